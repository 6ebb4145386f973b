"""PatchedActivations: the activations of an image with one window after another replaced, computed from crops."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property

import numpy as np
import torch

from .dependence import dependent_positions, rounding
from .network import Network
from .probe import Probe, Replacement
from .sliding_windows import Cut, Span, Stage, confirmed_stages, cuts_of, merged_stages, sliding_stages
from .upsample import as_maps

Places = Sequence[tuple[int, int]]
Patch = torch.Tensor | Callable[[int, int], torch.Tensor]

_TOLERANCE = 1e-3  # largest difference of spliced and computed activations, relative to the change by the window
_TRIED = 6  # windows that are computed both ways before the first is spliced
_CHECKED = 4  # at least, of each run
_FEW = 24  # windows that are computed sooner than it is found out whether they can be spliced
_SHARE = 64  # one window in so many is checked

_Windows = tuple[str, tuple[int, int]]
_STAGES: weakref.WeakKeyDictionary[Network, dict[_Windows, tuple[list[Stage], bool]]] = weakref.WeakKeyDictionary()


class _OtherSize(Exception):
    """A stage does not compute from a crop what a sliding window would; its argument is the stage's name."""


class PatchedActivations:
    """The activations of a layer for an image in which a window is replaced, for many windows.

    Only the part of the activations that the window can change is computed, from a crop, and spliced into the
    activations of the image. That holds where the network is made of sliding windows. Whether it is, is measured, and
    some windows of every run are computed both ways. Where the two do not agree, all is computed by whole passes.

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
    seed : int
        Of the choice of the windows that are computed both ways.

    Raises
    ------
    LayerNotFound
        If there is no such layer.
    """

    def __init__(
        self, net: Network, x: torch.Tensor, layer: str, window: tuple[int, int], batch: int = 32, seed: int = 0
    ):
        self.net, self.window, self.batch = net, window, batch
        self.layer = net.layers[layer]
        self._fed = net.feed(x)
        self._random = np.random.default_rng(seed)
        self._key = self.layer.name, window

    @cached_property
    def base(self) -> torch.Tensor:
        """The layer's activations of the image itself."""
        with torch.no_grad():
            return self.net.probe(self.layer.name)(self._fed)[self.layer.name]

    @property
    def exact(self) -> bool:
        """Whether activations are spliced; they then agree with those of whole passes."""
        return bool(self._stages)

    @exact.setter
    def exact(self, value: bool) -> None:
        self._set_stages(self._planned[0] if value else [])

    @property
    def spliced(self) -> bool:
        """Whether activations have been spliced until now and no check has failed."""
        return bool(vars(self).get("_stages"))

    @property
    def is_local(self) -> bool:
        """Whether a window changes nothing outside the receptive fields, by the formula, that it touches."""
        return self._planned[1]

    def dependent(self, masks: torch.Tensor) -> torch.Tensor:
        """The positions of the layer's map that some pixels can change, measured; all where that cannot be done.

        Parameters
        ----------
        masks : torch.Tensor
            (K, H, W) bool, K sets of pixels.

        Returns
        -------
        torch.Tensor
            (K, h, w) bool.
        """
        try:
            return dependent_positions(self.net, self._fed, [self.layer.name], masks, self.batch)[self.layer.name]
        except Exception:  # the module may raise anything for what is not a number
            return torch.ones(len(masks), *as_maps(self.base, self.layer).shape[2:], dtype=torch.bool)

    # which layers are spliced

    @cached_property
    def _planned(self) -> tuple[list[Stage], bool]:
        """The stages that were found to hold for windows of this size, and whether they reach the layer itself."""
        known = _STAGES.setdefault(self.net, {})
        if self._key not in known:
            known[self._key] = self._plan()
        return known[self._key]

    def _plan(self) -> tuple[list[Stage], bool]:
        possible = sliding_stages(self.net, self.layer.name)
        self._set_stages(possible)
        sizes = (tuple(self._base[one.name].shape[2:]) for one in possible)
        maps = [axes == tuple(axis.out for axis in one.axes) for one, axes in zip(possible, sizes, strict=True)]
        possible = possible[: [*maps, False].index(False)]
        try:
            stages = confirmed_stages(self.net, self._fed, possible, self.window)
        except Exception:  # the module may raise anything; whole passes will show whether it is to be heard
            stages = []
        local = bool(stages) and stages[-1].name == self.layer.name
        stages = merged_stages(self._of_usual_size(stages))
        while stages and not self._agrees(stages):
            stages = stages[: len(stages) // 2]
        return stages, local

    @cached_property
    def _stages(self) -> list[Stage]:
        self._set_stages(self._planned[0])
        return self._stages

    def _set_stages(self, stages: list[Stage]) -> None:
        names = list(dict.fromkeys([*(stage.name for stage in stages), self.layer.name]))
        self._stages = stages
        self._probe = self.net.probe(*names)
        with torch.no_grad():
            self._base = self._probe(self._fed)
        self.base = self._base[self.layer.name]

    def _of_usual_size(self, stages: list[Stage]) -> list[Stage]:
        """The first stages, up to one that computes another size from a crop than a sliding window would."""
        self._set_stages(stages)
        row, column = (max(self.net.size[a] - self.window[a], 0) for a in (0, 1))
        for place in (row // 2, column // 2), (0, column):
            try:
                if self._stages:
                    self._spliced([place], self._fed.new_zeros(1, self._fed.shape[1], 1, 1))
            except _OtherSize as error:
                self._set_stages(stages[: [stage.name for stage in stages].index(error.args[0])])
            except Exception:  # see `_plan`
                return []
        return self._stages

    def _agrees(self, stages: list[Stage]) -> bool:
        """Whether spliced and whole passes agree for windows in all parts of the image, filled with noise."""
        self._set_stages(stages)
        random = np.random.default_rng(0)
        corners = list(zip(*(_spread(random, self.net.size[a] - self.window[a]) for a in (0, 1)), strict=True))
        noise = random.uniform(-1, 1, (len(corners), self._fed.shape[1], *self.window))
        patch = torch.from_numpy(noise).to(self._fed) * self._fed.abs().amax().clamp_min(1)
        # Several windows at once have larger crops than one.
        groups = [slice(_TRIED // 2), *(slice(k, k + 1) for k in range(_TRIED // 2, _TRIED))]
        try:
            return all(
                self._confirms(self._spliced(corners[some], patch[some]), corners[some], patch[some]) for some in groups
            )
        except Exception:  # see `_plan`
            return False

    def _confirms(
        self, spliced: dict[str, torch.Tensor], places: Places, patch: torch.Tensor, which: Sequence[int] | None = None
    ) -> bool:
        """Whether whole passes give the same for some windows.

        What differs counts relative to what the window changes, at the last map that is spliced and at the layer: a
        constant that is added to all activations hides nothing.
        """
        which = range(len(places)) if which is None else which
        some = [places[k] for k in which]
        computed = self._passes(some, patch[list(which)] if len(patch) > 1 else patch)
        for name in {self._stages[-1].name, self.layer.name}:
            quick, slow, base = spliced[name], computed[name], self._base[name]
            if quick.shape[1:] != slow.shape[1:] or slow.shape[1:] != base.shape[1:]:
                return False
            quick, noise = quick[list(which)], rounding(slow)
            for one, whole in zip(quick, slow, strict=True):
                change = (whole - base[0]).abs().amax()
                if not bool((one - whole).abs().amax() <= _TOLERANCE * change + noise):
                    return False
        return True

    # windows

    def activations(self, places: Places, patch: Patch) -> Iterator[tuple[int, torch.Tensor]]:
        """The layer's activations, window by window.

        Parameters
        ----------
        places : sequence of (int, int)
            (row, column) of the first pixel of each of N windows; what lies outside the image is cut off.
        patch : torch.Tensor or callable
            What replaces the window, in the units of x: (1 or N, C, 1, 1) or (1 or N, C, *window); or a function of
            (first, last) that gives it for the windows from the first up to, but without, the last. It is called in
            their order, and from 0 again if all is computed once more.

        Yields
        ------
        first : int
            The number of the first window that follows. Where a check fails, it is 0 once more, and what was given
            before is void.
        activations : torch.Tensor
            (M, C, h, w) or (M, K) for the next M windows, in the order of `places`.
        """
        known = "_stages" in vars(self) or self._key in _STAGES.get(self.net, {})
        if len(places) > (_CHECKED if known else _FEW) and self._stages:
            checked = set(
                self._random.choice(len(places), max(_CHECKED, len(places) // _SHARE), replace=False).tolist()
            )
            for first, some, filling in self._batches(places, patch):
                which = [k for k in range(len(some)) if first + k in checked]
                try:
                    found = self._spliced(some, filling)
                    holds = not which or self._confirms(found, some, filling, which)
                except Exception:  # a crop may be what the module does not take; whole passes are
                    holds = False
                if not holds:
                    break
                yield first, found[self.layer.name]
            else:
                return
            self.exact = False
            _STAGES.setdefault(self.net, {})[self._key] = [], False
        for first, some, filling in self._batches(places, patch):
            yield first, self._passes(some, filling)[self.layer.name]

    def _batches(self, places: Places, patch: Patch) -> Iterator[tuple[int, Places, torch.Tensor]]:
        """The number of the first window, the places, and what fills them as the module takes it."""
        for first in range(0, len(places), self.batch):
            last = min(first + self.batch, len(places))
            given = patch(first, last) if callable(patch) else patch
            some = given[first:last] if given is patch and len(given) > 1 else given
            yield first, places[first:last], self.net.feed(some.expand(-1, self._fed.shape[1], -1, -1))

    def _put(
        self, crops: torch.Tensor, places: Places, patch: torch.Tensor, top: Sequence[int], left: Sequence[int]
    ) -> None:
        """Writes the windows into crops that begin at (top, left)."""
        for k, (row, column) in enumerate(places):
            one = patch[k if len(patch) > 1 else 0]
            r0, r1 = _within(row, row + self.window[0], top[k], crops.shape[2])
            c0, c1 = _within(column, column + self.window[1], left[k], crops.shape[3])
            if one.shape[-2:] != (1, 1):
                one = one[:, r0 - row : r1 - row, c0 - column : c1 - column]
            crops[k, :, r0 - top[k] : r1 - top[k], c0 - left[k] : c1 - left[k]] = one

    @cached_property
    def _probe(self) -> Probe:
        return self.net.probe(self.layer.name)

    @torch.no_grad()
    def _passes(self, places: Places, patch: torch.Tensor) -> dict[str, torch.Tensor]:
        images = self._fed.repeat(len(places), 1, 1, 1)
        zeros = [0] * len(places)
        self._put(images, places, patch, zeros, zeros)
        return self._probe(images.contiguous(memory_format=self.net.memory_format))

    @torch.no_grad()
    def _spliced(self, places: Places, patch: torch.Tensor) -> dict[str, torch.Tensor]:
        corner = np.asarray(places).reshape(-1, 2)
        size = np.asarray(self.net.size)
        spans: list[Span] = [
            (np.clip(corner[:, a], 0, size[a] - 1), np.clip(corner[:, a] + self.window[a], 1, size[a]) - 1)
            for a in (0, 1)
        ]
        cuts = list(cuts_of(self._stages, spans))
        crops = self._crops(self._fed, cuts[0])
        self._put(crops, places, patch, cuts[0][0].start.tolist(), cuts[0][1].start.tolist())
        following = [*cuts[1:], None]
        replace = {
            stage.name: self._splicer(stage.name, cut, after)
            for stage, cut, after in zip(self._stages, cuts, following, strict=True)
        }
        return self._probe(crops, replace)

    def _crops(self, whole: torch.Tensor, cut: tuple[Cut, Cut] | None, count: int = 0) -> torch.Tensor:
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

    def _splicer(self, name: str, cut: tuple[Cut, Cut], following: tuple[Cut, Cut] | None) -> Replacement:
        """A function that writes what was computed from crops into what the next stage reads of the whole image."""
        base = self._base[name]
        rows, columns = cut

        def splice(computed: torch.Tensor) -> torch.Tensor:
            if computed.shape != (len(rows.start), *base.shape[1:-2], rows.out, columns.out):
                raise _OtherSize(name)
            out = self._crops(base, following, len(computed))
            top = following[0].start if following else np.zeros(len(computed), int)
            left = following[1].start if following else np.zeros(len(computed), int)
            table = np.stack([rows.low, rows.high, rows.first, top, columns.low, columns.high, columns.first, left], 1)
            for k, (r0, r1, rf, rt, c0, c1, cf, ct) in enumerate(table.tolist()):
                r0, r1, c0, c1 = _within(r0, r1 + 1, rt, out.shape[2]) + _within(c0, c1 + 1, ct, out.shape[3])
                out[k, :, r0 - rt : r1 - rt, c0 - ct : c1 - ct] = computed[k, :, r0 - rf : r1 - rf, c0 - cf : c1 - cf]
            return out

        return splice


def _within(first: int, end: int, start: int, length: int) -> tuple[int, int]:
    """The part of first to end that a crop has; one of large steps leaves out what no position sees."""
    first, end = max(first, start), min(end, start + length)
    return first, max(first, end)


def _spread(random: np.random.Generator, last: int) -> list[int]:
    """Places from 0 to last: one at random in each of as many equal parts, in random order."""
    edges = np.linspace(0, max(last, 0) + 1, _TRIED + 1)
    return random.permutation(np.floor(random.uniform(edges[:-1], edges[1:])).astype(int)).tolist()


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
