"""UnitGallery: what every unit of a layer wants, as thumbnails that are made behind a live run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator

import numpy as np

from ...network import Layer, Network, has_class_units, unit_name
from ...preimage import Frame, Maximization, best_responses
from ...preimage.maximization import field_canvas
from ..live.runner import Runner
from ..live.task import Pausable
from ..views.frame_view import decoded_pictures
from ..views.unit_grid import UnitGrid, fit_to_square

_STEPS, _STEPS_FLAT = 40, 80  # of a thumbnail: enough to tell the units apart; those that see everything are slow
_SHOW = 12  # steps between two pictures of a batch on its way
_ACTIONS = {"running": "pause", "paused": "go on", "stopped": "go on", "failed": "try again"}
_SIDE = 128  # pixels of a thumbnail, at most


class UnitGallery:
    """Fills a UnitGrid with what the units of a layer want, a batch at a time, most interesting first.

    key: of its runner. busy: says whether a live run goes on, which then gets most of the time. Pictures are kept, so
    that a layer that was left is complete at once when it is chosen again.
    """

    def __init__(self, grid: UnitGrid, key: str | None, busy: Callable[[], bool]):
        self.grid, self.busy = grid, busy
        self.runner = Runner(key)
        self.runner.on_result, self.runner.on_state, self.runner.on_error = self._frame, self._state, self._error
        self._kept: dict[tuple[Network, str], dict[int, np.ndarray]] = {}
        self._where: tuple[Network, str] | None = None
        self._making = False
        grid.on_action, grid.on_views = self._toggle, self.runner.watched

    def show(self, net: Network, layer: Layer, make: bool = True) -> None:
        """The units of a layer to choose from; make: those without a picture get one."""
        if self._where == (net, layer.name):
            return
        self.runner.stop()
        self._where = (net, layer.name)
        kept = self._kept.setdefault(self._where, {})
        order = by_interest(net, layer)
        self._side = thumbnail_side(field_canvas(layer, net.size))
        self.grid.reset(layer.channels, self._side, captions(net, layer), order)
        if kept:
            self.grid.put(list(kept), np.stack(list(kept.values())))
        left = [unit for unit in order if unit not in kept]
        self._began, self._steps = time.monotonic(), 0
        self._making = bool(left) and make
        if self._making:
            self.runner.begin(lambda: ThumbnailTask(net, layer.name, left, self.busy))
        else:
            self._say()

    def put(self, net: Network, layer: str, unit: int, picture: np.ndarray) -> None:
        """A better picture of a unit, from a live run."""
        if self._where == (net, layer):
            self._kept[self._where][unit] = fit_to_square(picture, self._side)
            self.grid.put(unit, picture)

    def _frame(self, frame: Frame) -> None:
        self._steps += 1
        last = frame.step == frame.total
        if frame.step % _SHOW == 0 or last:
            pictures = decoded_pictures(frame.x, frame.run.net)
            pictures = pictures if pictures.ndim == 4 else pictures[None]
            fit = np.stack([fit_to_square(picture, self._side) for picture in pictures])
            self.grid.put(frame.run.units, fit)
            if last:
                self._kept[self._where].update(zip(frame.run.units, fit, strict=True))
            self._say()

    def _state(self, state: str) -> None:
        if state == "running":
            self._began, self._steps = time.monotonic(), 0
        self._say()

    def _error(self, sentence: str, trace: str) -> None:
        self.grid.note, self.grid.action = f"thumbnails: {sentence}", "try again"

    def _say(self) -> None:
        """How far, how long still, and what can be done about it."""
        state, count, done = self.runner.state, self.grid.count, len(self._kept[self._where])
        if state == "failed":
            return  # why is said already
        if not self._making or done >= count:
            self.grid.note, self.grid.action = f"{count} units", ""
            return
        left = ""
        if state == "running" and self._steps > _SHOW:
            seconds = (time.monotonic() - self._began) / self._steps * (self.runner.run.total - self.runner.run.step)
            left = f", {f'{seconds / 60:.0f} min' if seconds > 90 else f'{max(seconds, 1):.0f} s'} left"
        self.grid.note = f"{done} of {count} units{left}"
        self.grid.action = _ACTIONS.get(state, "")

    def _toggle(self) -> None:
        if self.runner.state == "running":
            self.runner.pause()
        else:
            self.runner.resume()


class ThumbnailTask(Pausable):
    """Maximisations of many units, batch after batch, as one run that a Runner can drive: waits, stops and goes on."""

    def __init__(self, net: Network, layer: str, units: list[int], busy: Callable[[], bool] = lambda: False):
        super().__init__()
        self.net, self.layer, self.units, self.busy = net, layer, units, busy
        self.batch = 8 if net.device.type == "cpu" else 64
        self.each = _STEPS_FLAT if max(net.layers[layer].size) == 1 else _STEPS
        self.step, self.total = 0, math.ceil(len(units) / self.batch) * self.each
        self._run: Maximization | None = None

    def frames(self) -> Iterator[Frame]:
        """One frame per step of a batch until the last unit is done, or `stop`."""
        self._stopped = False
        while self.step < self.total:
            if not self._goes_on():
                return
            first, at = divmod(self.step, self.each)
            if at == 0:
                units = self.units[first * self.batch : (first + 1) * self.batch]
                self._run = Maximization(self.net, self.layer, units, steps=self.each)
            begun = time.monotonic()
            frame = self._run.advance()
            self.step += 1
            yield frame
            if self.busy():  # the run that somebody watches gets twice the time
                time.sleep(min(2 * (time.monotonic() - begun), 0.5))


def by_interest(net: Network, layer: Layer) -> list[int]:
    """A layer's units, those first that respond most to the images at hand; classes as they are numbered."""
    if has_class_units(net, layer):
        return list(range(layer.channels))
    return best_responses(net, layer.name).argsort(descending=True, stable=True).tolist()


def captions(net: Network, layer: Layer) -> list[str]:
    """What to call each unit."""
    if not has_class_units(net, layer):
        return []
    return [f"{unit_name(net, layer, k)} (unit {k})" for k in range(layer.channels)]


def thumbnail_side(canvas: tuple[int, int]) -> int:
    """The pixels of a thumbnail of a picture of that size: a whole multiple of it from 48 on, or 128."""
    side = max(canvas)
    return _SIDE if side > _SIDE else side * -(-48 // side)
