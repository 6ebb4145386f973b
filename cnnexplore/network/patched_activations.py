"""PatchedActivations: the activations of an image with one window after another replaced, computed from crops."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .bottleneck import bottleneck_layers
from .layers import Layer
from .network import Network
from .probe import Replacement

Places = Sequence[tuple[int, int]]

_TOLERANCE = 1e-3  # largest difference of spliced and computed activations, relative to their largest value


@dataclass(frozen=True)
class _Cut:
    """The crops that one stage reads of its input, one per window, along one axis; positions count from 0.

    Attributes
    ----------
    start : np.ndarray
        The first row of each crop.
    length : int
        The length of all crops.
    low, high : np.ndarray
        The first and last row of the stage's output that the window can change.
    first : np.ndarray
        The row of the output that is the first one of the crop's output.
    """

    start: np.ndarray
    length: int
    low: np.ndarray
    high: np.ndarray
    first: np.ndarray


def _stage(a: Layer, b: Layer, axis: int) -> tuple[int, int, int] | None:
    """(kernel, stride, padding) of all that lies between two layers along an axis; None if it is no sliding window."""
    stride = b.rf_stride[axis] / a.rf_stride[axis]
    kernel = (b.rf_size[axis] - a.rf_size[axis]) / a.rf_stride[axis] + 1
    padding = (kernel - 1) / 2 - (b.rf_offset[axis] - a.rf_offset[axis]) / a.rf_stride[axis]
    whole = [round(v) for v in (kernel, stride, padding)]
    if any(abs(v - w) > 1e-6 for v, w in zip((kernel, stride, padding), whole, strict=True)):
        return None
    size, step, before = whole
    return (size, step, before) if size >= 1 and step >= 1 and 0 <= before < size else None


def _cut(low: np.ndarray, high: np.ndarray, size: int, out: int, stage: tuple[int, int, int] | None) -> _Cut:
    assert stage is not None  # `_plan` kept sliding windows only
    kernel, stride, padding = stage
    first = np.clip(-((kernel - 1 - padding - low) // stride), 0, out - 1)  # the outputs that see low..high
    last = np.clip((high + padding) // stride, first, out - 1)
    needs = np.maximum(first * stride - padding, 0)
    end = np.minimum(last * stride - padding + kernel - 1, size - 1)
    step = needs // stride
    length = int((end - step * stride + 1).max())
    length = min(length + (size - length) % stride, size)  # so that the last crop ends where the input does
    step = np.minimum(step, (size - length) // stride)
    return _Cut(step * stride, length, first, last, step)


class PatchedActivations:
    """The activations of a layer for an image in which a window is replaced, for many windows.

    Only the part of the activations that the window can change is computed, from a crop, and spliced into the
    activations of the image. Where that does not agree with whole passes, whole passes are made.

    Parameters
    ----------
    net : Network
        The network.
    x : torch.Tensor
        (1, C, H, W) image in the units of `Network.pixels_of`.
    layer : str
        The layer whose activations are wanted.
    window : tuple of int
        (rows, columns) of the windows.
    batch : int
        How many windows are computed at once.

    Attributes
    ----------
    exact : bool
        Whether activations are spliced; they then agree with those of whole passes.

    Raises
    ------
    LayerNotFound
        If there is no such layer.
    """

    def __init__(self, net: Network, x: torch.Tensor, layer: str, window: tuple[int, int], batch: int = 32):
        self.net, self.window, self.batch = net, window, batch
        self.layer = net.layers[layer]
        self._fed = net.feed(x)
        self._stages, known = self._plan()
        self._probe = net.probe(*known)
        self._whole = net.probe(self.layer.name)
        with torch.no_grad():
            self._base = self._probe(self._fed)
        self.exact = bool(self._stages) and self._agrees()

    @property
    def base(self) -> torch.Tensor:
        """The layer's activations of the image itself."""
        return self._base[self.layer.name]

    def _plan(self) -> tuple[list[Layer], list[str]]:
        """The layers at which activations are spliced, and those whose activations are needed."""
        size = self.net.size
        chain = [Layer("", "", "", self.net.pixels.channels, size, (1, 1), (1, 1), (0, 0))]
        for layer in bottleneck_layers(self.net, self.layer.name):
            if all(_stage(chain[-1], layer, a) is not None for a in (0, 1)) and min(layer.size) > 1:
                same = all(_stage(chain[-1], layer, a) == (1, 1, 0) for a in (0, 1))
                if same and len(chain) > 1:
                    chain[-1] = layer  # position by position between the two: one splice, at the later one
                else:
                    chain.append(layer)
        return chain[1:], list(dict.fromkeys([*(layer.name for layer in chain[1:]), self.layer.name]))

    def _agrees(self) -> bool:
        """Whether spliced and whole passes agree, for a window at a corner, one in the middle, and one at the end."""
        rows, columns = (size - window for size, window in zip(self.net.size, self.window, strict=True))
        places = [(0, 0), (rows // 2, columns // 2), (max(rows, 0), max(columns, 0))]
        patch = torch.full((1, self._fed.shape[1], 1, 1), 40.0, dtype=self._fed.dtype, device=self._fed.device)
        try:
            quick = self._spliced(places, patch)
        except (RuntimeError, ValueError, IndexError):
            return False
        slow = self._passes(places, patch)
        far = (quick - slow).abs().max()
        return quick.shape == slow.shape and bool(far <= _TOLERANCE * slow.abs().max())

    def activations(self, places: Sequence[tuple[int, int]], patch: torch.Tensor) -> Iterator[torch.Tensor]:
        """The layer's activations, window by window.

        Parameters
        ----------
        places : sequence of (int, int)
            (row, column) of the first pixel of each of N windows; what lies outside the image is cut off.
        patch : torch.Tensor
            What replaces the window, in the units of x: (1 or N, C, 1, 1) or (1 or N, C, *window).

        Yields
        ------
        torch.Tensor
            (M, C, h, w) or (M, K) for the next M windows, in the order of `places`.
        """
        patch = self.net.feed(patch.expand(-1, self._fed.shape[1], -1, -1))
        compute = self._spliced if self.exact else self._passes
        for k in range(0, len(places), self.batch):
            yield compute(places[k : k + self.batch], patch[k : k + self.batch] if len(patch) > 1 else patch)

    def _put(
        self, crops: torch.Tensor, places: Places, patch: torch.Tensor, top: Sequence[int], left: Sequence[int]
    ) -> None:
        """Writes the windows into crops that begin at (top, left)."""
        size = self._fed.shape[2:]
        for k, (row, column) in enumerate(places):
            one = patch[k if len(patch) > 1 else 0]
            r0, r1 = max(row, 0), min(row + self.window[0], size[0])
            c0, c1 = max(column, 0), min(column + self.window[1], size[1])
            if one.shape[-2:] != (1, 1):
                one = one[:, r0 - row : r1 - row, c0 - column : c1 - column]
            crops[k, :, r0 - top[k] : r1 - top[k], c0 - left[k] : c1 - left[k]] = one

    @torch.no_grad()
    def _passes(self, places: Places, patch: torch.Tensor) -> torch.Tensor:
        images = self._fed.repeat(len(places), 1, 1, 1)
        zeros = [0] * len(places)
        self._put(images, places, patch, zeros, zeros)
        return self._whole(images.contiguous(memory_format=self.net.memory_format))[self.layer.name]

    @torch.no_grad()
    def _spliced(self, places: Places, patch: torch.Tensor) -> torch.Tensor:
        corner = np.asarray(places).reshape(-1, 2)
        size = np.asarray(self.net.size)
        spans = [
            (np.clip(corner[:, a], 0, size[a] - 1), np.clip(corner[:, a] + self.window[a], 1, size[a]) - 1)
            for a in (0, 1)
        ]
        previous = Layer("", "", "", 0, self.net.size, (1, 1), (1, 1), (0, 0))
        cuts: list[list[_Cut]] = []
        for layer in self._stages:
            cut = [_cut(*spans[a], previous.size[a], layer.size[a], _stage(previous, layer, a)) for a in (0, 1)]
            cuts.append(cut)
            spans = [(c.low, c.high) for c in cut]
            previous = layer
        crops = self._crops(self._fed, cuts[0])
        self._put(crops, places, patch, cuts[0][0].start.tolist(), cuts[0][1].start.tolist())
        replace = {}
        for k, layer in enumerate(self._stages):
            following = cuts[k + 1] if k + 1 < len(cuts) else None
            replace[layer.name] = self._splicer(layer.name, cuts[k], following)
        return self._probe(crops, replace)[self.layer.name]

    def _crops(self, whole: torch.Tensor, cut: list[_Cut] | None, count: int = 0) -> torch.Tensor:
        """The parts of activations that a stage reads, for all windows; all of them if there is no such stage."""

        def empty(*shape: int) -> torch.Tensor:
            layout = self.net.memory_format
            return torch.empty(shape, dtype=whole.dtype, device=whole.device, memory_format=layout)

        if cut is None:
            return empty(count, *whole.shape[1:]).copy_(whole)
        rows, columns = cut
        out = empty(len(rows.start), whole.shape[1], rows.length, columns.length)
        for k, (r, c) in enumerate(zip(rows.start.tolist(), columns.start.tolist(), strict=True)):
            out[k] = whole[0, :, r : r + rows.length, c : c + columns.length]
        return out

    def _splicer(self, name: str, cut: list[_Cut], following: list[_Cut] | None) -> Replacement:
        """A function that writes what was computed from crops into what the next stage reads of the whole image."""
        base = self._base[name]
        rows, columns = cut

        def splice(computed: torch.Tensor) -> torch.Tensor:
            out = self._crops(base, following, len(computed))
            top = following[0].start if following else np.zeros(len(computed), int)
            left = following[1].start if following else np.zeros(len(computed), int)
            table = np.stack([rows.low, rows.high, rows.first, top, columns.low, columns.high, columns.first, left], 1)
            for k, (r0, r1, rf, rt, c0, c1, cf, ct) in enumerate(table.tolist()):
                out[k, :, r0 - rt : r1 + 1 - rt, c0 - ct : c1 + 1 - ct] = computed[
                    k, :, r0 - rf : r1 + 1 - rf, c0 - cf : c1 + 1 - cf
                ]
            return out

        return splice


def window_grid(size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]) -> list[tuple[int, int]]:
    """The positions of a window that slides over an image; the last ones may extend beyond the far edges.

    Parameters
    ----------
    size : tuple of int
        (rows, columns) of the image.
    window : tuple of int
        (rows, columns) of the window.
    stride : tuple of int
        (rows, columns) of its step.

    Returns
    -------
    list of (int, int)
        (row, column) of the first pixel, row by row.
    """
    counts = [max(0, math.ceil((n - w) / s)) + 1 for n, w, s in zip(size, window, stride, strict=True)]
    return [(r * stride[0], c * stride[1]) for r in range(counts[0]) for c in range(counts[1])]
