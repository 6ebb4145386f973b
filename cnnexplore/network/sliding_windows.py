"""Sliding windows: the layers between which a network computes each position from a small part of a map alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from .bottleneck import bottleneck_layers
from .dependence import dependent_positions
from .network import Network

Span = tuple[np.ndarray, np.ndarray]  # the first and the last row (or column), of several windows

_STRIPES = 4  # of each axis, that the dependence is measured with


class _Field(Protocol):
    """What `Layer` knows of its receptive fields."""

    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def rf_size(self) -> tuple[float, float]: ...
    @property
    def rf_stride(self) -> tuple[float, float]: ...
    @property
    def rf_offset(self) -> tuple[float, float]: ...


@dataclass(frozen=True)
class _Image:
    size: tuple[int, int]
    rf_size: tuple[float, float] = (1, 1)
    rf_stride: tuple[float, float] = (1, 1)
    rf_offset: tuple[float, float] = (0, 0)


@dataclass(frozen=True)
class Cut:
    """The crops that one stage reads of its input, one per window, along one axis; positions count from 0.

    Attributes
    ----------
    start : np.ndarray
        The first row of each crop.
    length, out : int
        The length of all crops, and of what a sliding window computes from them.
    low, high : np.ndarray
        The first and last row of the stage's output that the window can change.
    first : np.ndarray
        The row of the output that is the first one of the crop's output.
    """

    start: np.ndarray
    length: int
    out: int
    low: np.ndarray
    high: np.ndarray
    first: np.ndarray


@dataclass(frozen=True)
class _Axis:
    """All that lies between two maps, as one sliding window along one axis."""

    size: int
    out: int
    kernel: int
    stride: int
    padding: int

    def cut(self, low: np.ndarray, high: np.ndarray) -> Cut:
        """The crops for windows that change rows low to high of the input."""
        kernel, stride, padding, size, out = self.kernel, self.stride, self.padding, self.size, self.out
        first = np.clip(-((kernel - 1 - padding - low) // stride), 0, out - 1)  # the outputs that see low..high
        last = np.clip((high + padding) // stride, first, out - 1)
        needs = np.maximum(first * stride - padding, 0)
        end = np.minimum(last * stride - padding + kernel - 1, size - 1)
        step = needs // stride
        length = int((end - step * stride + 1).max())
        length = min(length + (size - length) % stride, size)  # so that the last crop ends where the input does
        step = np.minimum(step, (size - length) // stride)
        return Cut(step * stride, length, out - (size - length) // stride, first, last, step)


@dataclass(frozen=True)
class Stage:
    """What lies between two bottleneck layers, or the image and the first, as a sliding window.

    Attributes
    ----------
    name : str
        The later layer.
    axes : tuple
        The windows along rows and columns.
    """

    name: str
    axes: tuple[_Axis, _Axis]

    def cuts(self, spans: Sequence[Span]) -> tuple[Cut, Cut]:
        """The crops that are read for windows which change given rows and columns of the input.

        Parameters
        ----------
        spans : sequence of (np.ndarray, np.ndarray)
            The first and last row of each window, then the first and last column.
        """
        return self.axes[0].cut(*spans[0]), self.axes[1].cut(*spans[1])


def cuts_of(stages: Sequence[Stage], spans: Sequence[Span]) -> Iterator[tuple[Cut, Cut]]:
    """The crops of each stage, for windows of the image.

    Parameters
    ----------
    stages : sequence of Stage
        The stages from the image on.
    spans : sequence of (np.ndarray, np.ndarray)
        The first and last row of each window, then the first and last column.

    Yields
    ------
    tuple of Cut
        Of rows and of columns.
    """
    for stage in stages:
        cuts = stage.cuts(spans)
        yield cuts
        spans = [(cut.low, cut.high) for cut in cuts]


def sliding_stages(net: Network, layer: str) -> list[Stage]:
    """The bottleneck layers up to a layer between which all is a sliding window, by the formula of receptive fields.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        A layer's name.

    Returns
    -------
    list of Stage
        In the order of computation; what follows the last one is to be computed whole.

    Raises
    ------
    LayerNotFound
        If there is no such layer.
    """
    names, strides = list(net.layers), [one.rf_stride for one in net.layers.values()]
    before: _Field = _Image(net.size)
    start, found = 0, []
    for one in bottleneck_layers(net, layer):
        end = names.index(one.name)
        axes = [_between(before, one, a) for a in (0, 1)]
        # A coarser map in between is cut into cells whose place a crop would shift.
        coarse = any(s[a] > one.rf_stride[a] for s in strides[start : end + 1] for a in (0, 1))
        if axes[0] is None or axes[1] is None or coarse or min(one.size) < 2:
            continue
        found.append(Stage(one.name, (axes[0], axes[1])))
        before, start = one, end + 1
    return found


def merged_stages(stages: Sequence[Stage]) -> list[Stage]:
    """Fewer stages that compute the same: one that works position by position is joined to the one before it.

    Parameters
    ----------
    stages : sequence of Stage
        The stages from the image on.
    """
    found: list[Stage] = []
    for stage in stages:
        if found and all((axis.kernel, axis.stride, axis.padding) == (1, 1, 0) for axis in stage.axes):
            found[-1] = replace(found[-1], name=stage.name)
        else:
            found.append(stage)
    return found


def _between(a: _Field, b: _Field, axis: int) -> _Axis | None:
    """All that lies between two layers along an axis; None if it is no sliding window."""
    with np.errstate(all="ignore"):
        stride = b.rf_stride[axis] / a.rf_stride[axis]
        kernel = (b.rf_size[axis] - a.rf_size[axis]) / a.rf_stride[axis] + 1
        padding = (kernel - 1) / 2 - (b.rf_offset[axis] - a.rf_offset[axis]) / a.rf_stride[axis]
    numbers = (kernel, stride, padding)
    if not np.isfinite(numbers).all() or any(abs(v - round(v)) > 1e-6 for v in numbers):
        return None
    size, step, before = (round(v) for v in numbers)
    if size < 1 or step < 1 or not 0 <= before < size:
        return None
    return _Axis(a.size[axis], b.size[axis], size, step, before)


def confirmed_stages(net: Network, fed: torch.Tensor, stages: Sequence[Stage], window: tuple[int, int]) -> list[Stage]:
    """The first of some stages, as far as the measured dependence is that of sliding windows.

    Stripes of an image become not a number, rows and columns apart: a stage is one of sliding windows only if nothing
    changes outside the rows, or columns, that see the stripe.

    Parameters
    ----------
    net : Network
        The network.
    fed : torch.Tensor
        (1, C, H, W) one image as the module takes it.
    stages : sequence of Stage
        The stages.
    window : tuple of int
        The height and width of a stripe.

    Returns
    -------
    list of Stage
        Those before the first one that is none.
    """
    if not stages:
        return []
    size = net.size
    masks, spans = [], []
    for a in (0, 1):
        last = max(size[a] - window[a], 0)
        lows = np.unique(np.linspace(0, last, _STRIPES).round().astype(int))
        highs = np.minimum(lows + window[a], size[a]) - 1
        index = np.arange(size[a])
        stripe = (index >= lows[:, None]) & (index <= highs[:, None])
        wide = np.repeat(np.expand_dims(stripe, 2 - a), size[1 - a], 2 - a)
        masks.append(torch.from_numpy(wide))
        spans.append((lows, highs))
    names = [stage.name for stage in stages]
    measured = dependent_positions(net, fed, names, torch.cat(masks))
    whole = [(np.zeros(len(low), int), np.full(len(low), size[1 - a] - 1)) for a, (low, _) in enumerate(spans)]
    asked = [(spans[0], whole[0]), (whole[1], spans[1])]
    expected = [list(cuts_of(stages, one)) for one in asked]
    for k, stage in enumerate(stages):
        for a in (0, 1):
            changed = measured[stage.name].split([len(mask) for mask in masks])[a].any(2 - a).cpu().numpy()
            cut = expected[a][k][a]
            if changed.shape[1] != stage.axes[a].out:
                return list(stages[:k])
            index = np.arange(changed.shape[1])
            if (changed & ((index < cut.low[:, None]) | (index > cut.high[:, None]))).any():
                return list(stages[:k])
    return list(stages)
