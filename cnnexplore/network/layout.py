"""Layout: which axes of a layer's activations are the image, the units and the positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from .origins import CENTRE, HIGH, LOW, STRIDE, Origins, compress


@dataclass(frozen=True)
class ImageAxis:
    """Where the images of a batch lie in a tensor.

    Attributes
    ----------
    axis : int
        The axis that holds them.
    per_image : int
        How many entries of the axis belong to one image.
    minor : bool
        Whether the images alternate along the axis, rather than following one another.
    dropped : bool
        Whether the axis is missing when there is one image.
    """

    axis: int = 0
    per_image: int = 1
    minor: bool = False
    dropped: bool = False

    def first(self, tensor: torch.Tensor, count: int) -> torch.Tensor:
        """The tensor with the images along its first axis.

        Parameters
        ----------
        tensor : torch.Tensor
            What the module computed of `count` images.
        count : int
            How many images.

        Returns
        -------
        torch.Tensor
            (count, ...), a view where that is possible.
        """
        if self.dropped and count == 1:
            return tensor[None]
        if self.per_image == 1:
            return tensor if self.axis == 0 else tensor.movedim(self.axis, 0)
        sizes = (self.per_image, count) if self.minor else (count, self.per_image)
        return tensor.unflatten(self.axis, sizes).movedim(self.axis + self.minor, 0)

    def back(self, tensor: torch.Tensor) -> torch.Tensor:
        """The inverse of `first`."""
        if self.dropped and len(tensor) == 1:
            return tensor[0]
        if self.per_image == 1:
            return tensor if self.axis == 0 else tensor.movedim(0, self.axis)
        return tensor.movedim(0, self.axis + self.minor).flatten(self.axis, self.axis + 1)


@dataclass(frozen=True)
class Layout:
    """The axes of a layer's activations for one image.

    Attributes
    ----------
    image : ImageAxis or None
        Where the images of a batch lie; None where the module mixes them or their number does not scale.
    axes : tuple of int
        Those of an image's activations that hold positions: rows and columns, or the axes of tokens; empty where the
        layer has no map. The others are units.
    order : tuple of int or None
        For tokens, the index of each position of the map, row by row; None where `axes` are rows and columns.
    size : tuple of int
        (rows, columns) of the map.
    tokens : int
        How many tokens there are, those without a position included; 0 where `axes` are rows and columns.

    Examples
    --------
    >>> cx.load("worldnet").layers["conv3"].layout.axes
    (1, 2)
    """

    image: ImageAxis | None = ImageAxis()
    axes: tuple[int, ...] = ()
    order: tuple[int, ...] | None = None
    size: tuple[int, int] = (1, 1)
    tokens: int = 0

    def maps(self, activations: torch.Tensor) -> torch.Tensor:
        """The activations as maps.

        Parameters
        ----------
        activations : torch.Tensor
            (N, ...), with the images along the first axis.

        Returns
        -------
        torch.Tensor
            (N, C, rows, columns), a view where that is possible; (N, K, 1, 1) without a map.
        """
        if not self.axes:
            return activations.reshape(len(activations), -1, 1, 1)
        moved, shape = self._units_first(activations)
        if self.order is None:
            return moved.reshape(len(moved), -1, *shape)
        index = torch.tensor(self.order, device=moved.device)
        return moved.reshape(len(moved), -1, self.tokens).index_select(2, index).unflatten(2, self.size)

    def _units_first(self, activations: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
        axes = [a + 1 for a in self.axes]
        units = [a for a in range(1, activations.dim()) if a not in axes]
        return activations.permute(0, *units, *axes), [activations.shape[a] for a in axes]

    def activations(self, maps: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """The inverse of `maps`; tokens without a position are zero.

        Parameters
        ----------
        maps : torch.Tensor
            (N, C, rows, columns).
        shape : sequence of int
            That of one image's activations, without the first axis.

        Returns
        -------
        torch.Tensor
            (N, *shape).
        """
        if not self.axes:
            return maps.reshape(len(maps), *shape)
        units = [n for a, n in enumerate(shape) if a not in self.axes]
        places = [shape[a] for a in self.axes]
        if self.order is not None:
            flat = maps.new_zeros(len(maps), math.prod(units), self.tokens)
            maps = flat.index_copy(2, torch.tensor(self.order, device=maps.device), maps.flatten(2))
        moved = maps.reshape(len(maps), *units, *places)
        order = [a for a in range(len(shape)) if a not in self.axes] + list(self.axes)
        return moved.permute(0, *(1 + order.index(a) for a in range(len(shape))))


Span = tuple[float, float, float]  # centre, first and last pixel


@dataclass(frozen=True)
class Geometry:
    """Places and receptive fields of a layer's units.

    Attributes
    ----------
    layout : Layout
        The axes.
    channels : int
        How many units.
    rows, columns : tuple of Span
        For each row, or column, of the map.
    stride : tuple of float
        The step of the fields, negative where they run backwards.
    """

    layout: Layout
    channels: int
    rows: tuple[Span, ...]
    columns: tuple[Span, ...]
    stride: tuple[float, float]


def find_geometry(origins: Origins, entries: torch.Tensor, image: ImageAxis | None) -> Geometry:
    """The layout of a layer from where its elements lie in the image.

    Parameters
    ----------
    origins : Origins
        Those of the pass.
    entries : torch.Tensor
        Entries of one image's activations, without the image's axis.
    image : ImageAxis or None
        Where the images lie.

    Returns
    -------
    Geometry
        The layout and its fields.
    """
    shape = tuple(entries.shape)
    small = compress(entries)
    fields = origins.fields(small)
    moving = [{d for d in range(len(shape)) if _moves(fields[..., column], d)} for column in CENTRE]
    if len(shape) > 1:
        rows, columns = _grid_axes(shape, moving)
        if rows is not None and columns is not None and shape[rows] * shape[columns] > 1:
            return _grid(origins, small, shape, (rows, columns), image)
        tokens = sorted(moving[0] | moving[1])
        found = _tokens(origins, small, shape, tokens, image) if tokens else None
        if found is not None:
            return found
        rows, columns = (_main_axis(fields[..., column]) for column in CENTRE)
        if len(shape) == 3 and tokens and rows != columns:  # each unit's grid is shifted by a little
            return _grid(origins, small, shape, (rows, columns), image)
        if not tokens and len(shape) == 3 and shape[1] * shape[2] > 1:
            return _spread(origins, small, shape, image)
    whole = origins.fields(origins.combine(small, range(small.dim())).reshape(-1)[0])
    spans = [_whole_span(whole, a, origins.size[a]) for a in (0, 1)]
    stride = (float(whole[STRIDE[0]]), float(whole[STRIDE[1]]))
    return Geometry(Layout(image), math.prod(shape), (spans[0],), (spans[1],), stride)


def _whole_span(fields: torch.Tensor, axis: int, count: int) -> Span:
    """The span of a single field; its centre is the middle of what is seen where there is none."""
    centre, low, high = (float(fields[columns[axis]]) for columns in (CENTRE, LOW, HIGH))
    return (max(low, 0) + min(high, count - 1)) / 2 if math.isnan(centre) else centre, low, high


def _moves(values: torch.Tensor, dim: int) -> bool:
    values = values.nan_to_num(-1e9)
    return values.shape[dim] > 1 and bool((values != values.narrow(dim, 0, 1)).any())


def _main_axis(values: torch.Tensor) -> int:
    """The axis along which the centres move furthest."""
    values = values.nan_to_num(0)
    means = [values.movedim(d, 0).flatten(1).mean(1) if values.dim() > 1 else values for d in range(values.dim())]
    ranges = [float(one.max() - one.min()) for one in means]
    return ranges.index(max(ranges))


def _grid_axes(shape: tuple[int, ...], moving: list[set[int]]) -> tuple[int | None, int | None]:
    """The axes of rows and of columns, if each centre depends on one axis; an axis of one stands for a missing one."""
    found: list[int | None] = [next(iter(one)) if len(one) == 1 else None for one in moving]
    if any(len(one) > 1 for one in moving) or (found[0] is not None and found[0] == found[1]):
        return None, None
    for a in (0, 1):
        other = found[1 - a]
        if found[a] is None and other is not None:
            beside = [d for d in (other - 1 if a == 0 else other + 1,) if 0 <= d < len(shape) and shape[d] == 1]
            found[a] = beside[0] if beside else None
    return found[0], found[1]


def _spans(fields: torch.Tensor, axis: int, dim: int) -> tuple[Span, ...]:
    """(centre, low, high) along a dimension, over all others."""
    flat = fields.movedim(dim, 0).flatten(1, -2)
    own = flat[..., CENTRE[axis]]  # units whose grids are shifted, such as a descriptor's cells: the middle of them
    centre = (own.nan_to_num(float("inf")).amin(1) + own.nan_to_num(float("-inf")).amax(1)) / 2
    low, high = flat[..., LOW[axis]].amin(1), flat[..., HIGH[axis]].amax(1)
    return tuple(zip(centre.tolist(), low.tolist(), high.tolist(), strict=True))


def _geometry(layout: Layout, channels: int, spans: list[tuple[Span, ...]], strides: list[float]) -> Geometry:
    done: list[tuple[Span, ...]] = []
    steps: list[float] = []
    for one, stride in zip(spans, strides, strict=True):
        backwards = len(one) > 1 and one[-1][0] < one[0][0]
        spans_here = _evenly(one, -stride if backwards else stride)
        apart = [b[0] - a[0] for a, b in pairwise(spans_here)]
        even = bool(apart) and max(apart) - min(apart) < 1e-6 and abs(apart[0]) > 1e-6
        steps.append(apart[0] if even else -stride if backwards else stride)
        done.append(spans_here)
    return Geometry(layout, channels, done[0], done[1], (steps[0], steps[1]))


def _evenly(spans: tuple[Span, ...], stride: float) -> tuple[Span, ...]:
    """Runs of the same centre, as a rearrangement of units into positions gives them, lie side by side."""
    centres = [span[0] for span in spans]
    run = next((k for k, value in enumerate(centres) if value != centres[0]), len(centres))
    runs = [centres[k : k + run] for k in range(0, len(centres), run)]
    if run < 2 or len(runs) < 2 or any(len(set(one)) > 1 or len(one) < run for one in runs):
        return spans
    return tuple((c + stride * ((k % run - (run - 1) / 2) / run), low, high) for k, (c, low, high) in enumerate(spans))


def _stride(fields: torch.Tensor, axis: int) -> float:
    return float(fields[..., STRIDE[axis]].flatten().median())


def _grid(
    origins: Origins, small: torch.Tensor, shape: tuple[int, ...], axes: tuple[int, int], image: ImageAxis | None
) -> Geometry:
    fields = origins.fields(small.expand([n if d in axes else small.shape[d] for d, n in enumerate(shape)]))
    spans = [_spans(fields, a, axes[a]) for a in (0, 1)]
    size = (shape[axes[0]], shape[axes[1]])
    layout = Layout(image, axes, None, size)
    return _geometry(layout, math.prod(shape) // math.prod(size), spans, [_stride(fields, a) for a in (0, 1)])


def _spread(origins: Origins, small: torch.Tensor, shape: tuple[int, ...], image: ImageAxis | None) -> Geometry:
    """A map by its shape, whose units all depend on everything: the units lie evenly over the image."""
    fields = origins.fields(origins.combine(small, range(small.dim())).reshape(-1)[0])
    size = (shape[1], shape[2])
    spans, steps = [], []
    for a, count in enumerate(size):
        step = origins.size[a] / count
        low, high = float(fields[LOW[a]]), float(fields[HIGH[a]])
        spans.append(tuple(((k + 0.5) * step - 0.5, low, high) for k in range(count)))
        steps.append(step)
    return Geometry(Layout(image, (1, 2), None, size), shape[0], spans[0], spans[1], (steps[0], steps[1]))


def _tokens(
    origins: Origins, small: torch.Tensor, shape: tuple[int, ...], axes: list[int], image: ImageAxis | None
) -> Geometry | None:
    """Tokens whose centres fill a grid once each; others, such as the class token, have no position."""
    fields = origins.fields(small.expand([n if d in axes else small.shape[d] for d, n in enumerate(shape)]))
    count = math.prod(shape[d] for d in axes)
    flat = fields.movedim(axes, list(range(len(axes)))).reshape(count, -1, fields.shape[-1])
    centres = flat[..., list(CENTRE)].nanmedian(1).values.mul(1e4).round().div(1e4)
    placed = (~centres.isnan().any(1)).nonzero().flatten()
    if len(placed) < 2:
        return None
    rows, row = centres[placed, 0].unique(return_inverse=True)
    columns, column = centres[placed, 1].unique(return_inverse=True)
    size = (len(rows), len(columns))
    cell = row * size[1] + column
    if len(placed) != math.prod(size) or len(cell.unique()) != len(cell):
        return None
    order = placed[cell.argsort()]
    grid = flat[order].unflatten(0, size)
    spans = [_spans(grid.movedim(a, 0), a, 0) for a in (0, 1)]
    layout = Layout(image, tuple(axes), tuple(order.tolist()), size, count)
    units = math.prod(shape) // count
    return _geometry(layout, units, spans, [_stride(grid, a) for a in (0, 1)])
