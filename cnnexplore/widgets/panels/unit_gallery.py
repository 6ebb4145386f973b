"""UnitGallery: thumbnails of what maximizes each unit of a layer, made behind a live run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...data import Images
from ...network import Layer, Network, has_class_units, unit_name
from ...preimage import Frame, Maximization, best_responses
from ...preimage.unit_canvas import unit_canvas
from ..live.post import post
from ..live.runner import Runner
from ..live.task import Pausable
from ..views.frame_view import decoded_pictures
from ..views.unit_grid import UnitGrid, fit_to_square

_STEPS, _STEPS_FLAT = 40, 80  # of a thumbnail: enough to tell the units apart; those that see everything are slow
_SHOW = 12  # steps between two pictures of a batch on its way
_ACTIONS = {"running": "pause", "paused": "go on", "stopped": "go on", "failed": "try again"}
_SIDE = 128  # pixels of a thumbnail, at most
UNANSWERED = "no picture", "no picture was found yet to which it responds; it responds to some of the images at hand."

Thumbnail = np.ndarray | tuple[str, str]  # a picture, or why there is none, as `no_picture` says it


class UnitGallery:
    """Fills a grid with what maximizes each unit of a layer, a batch at a time, the most responsive units first.

    Pictures are kept, so that a layer that was left is complete at once when it is chosen again.

    Parameters
    ----------
    grid : UnitGrid
    runner : Runner
        Makes the pictures.
    busy : callable
        Returns whether a live run goes on, which then gets most of the time.
    """

    def __init__(self, grid: UnitGrid, runner: Runner, busy: Callable[[], bool]):
        self.grid, self.runner, self.busy = grid, runner, busy
        runner.on_frame, runner.on_state, runner.on_error = self._frame, self._state, self._error
        self._kept: dict[tuple[Network, str], dict[int, Thumbnail]] = {}
        self._where: tuple[Network, str] | None = None
        self._making = False
        grid.on_action = self._toggle
        runner.watch(grid)

    def leave(self) -> None:
        """Make no more pictures; the grid is used for something else until `show`."""
        self.runner.stop()
        self._where = None

    def show(
        self,
        net: Network,
        layer: Layer,
        make: bool = True,
        order: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        """Show the units of a layer.

        Parameters
        ----------
        net : Network
        layer : Layer
        make : bool
            Make the pictures that are missing.
        order : sequence of int, optional
            The units in the order in which they are made and shown (default: the most responsive first).
        names : sequence of str, optional
            A caption for each unit (default: the names of classes).
        """
        if self._where == (net, layer.name):
            return
        self.runner.stop()
        self._where = (net, layer.name)
        kept = self._kept.setdefault(self._where, {})
        order = by_interest(net, layer) if order is None else list(order)
        self._side = thumbnail_side(unit_canvas(net, layer)[0])
        self.grid.reset(layer.channels, self._side, captions(net, layer) if names is None else names, order)
        self._fill(kept)
        left = [unit for unit in order if unit not in kept]
        self._began, self._steps = time.monotonic(), 0
        self._making = bool(left) and make
        if self._making:
            self.runner.begin(lambda: ThumbnailTask(net, layer.name, left, self.busy))
        else:
            self._update_note()

    def put(self, net: Network, layer: str, unit: int, picture: np.ndarray) -> None:
        """Show a better picture of a unit, from a live run."""
        if self._where == (net, layer):
            self._kept[self._where][unit] = fit_to_square(picture, self._side)
            self._fill({unit: self._kept[self._where][unit]})

    def _fill(self, thumbnails: Mapping[int, Thumbnail]) -> None:
        """Show pictures, and the word for units without one."""
        pictures = {unit: one for unit, one in thumbnails.items() if isinstance(one, np.ndarray)}
        if pictures:
            self.grid.put(list(pictures), np.stack(list(pictures.values())))
        for words in {one for one in thumbnails.values() if isinstance(one, tuple)}:
            self.grid.say([unit for unit, one in thumbnails.items() if isinstance(one, tuple) and one == words], *words)

    def _frame(self, frame: Frame) -> None:
        """Keep the pictures of a batch now and then; in the thread of the loop, so that what shows them is posted."""
        self._steps += 1
        run: Any = frame.run  # a Maximization
        last = frame.step == frame.total
        if frame.step % _SHOW == 0 or last:
            pictures = decoded_pictures(frame.x, run.net)
            pictures = pictures if pictures.ndim == 4 else pictures[None]
            fit = np.stack([fit_to_square(picture, self._side) for picture in pictures])
            responded = best_responses(run.net, run.layer.name)
            thumbnails: dict[int, Thumbnail] = {}
            for unit, picture, data in zip(run.units, fit, frame.terms[1].tolist(), strict=True):
                if data != 0:
                    thumbnails[unit] = picture
                elif last:
                    thumbnails[unit] = no_picture(run.net, bool(responded[unit] > 0))
            post(lambda: self._show_batch((run.net, run.layer.name), thumbnails, last))

    def _show_batch(self, where: tuple[Network, str], thumbnails: Mapping[int, Thumbnail], last: bool) -> None:
        if where != self._where:
            return
        self._fill(thumbnails)
        if last:
            self._kept[where].update(thumbnails)
        self._update_note()

    def _state(self, state: str) -> None:
        if state == "running":
            self._began, self._steps = time.monotonic(), 0
        self._update_note()

    def _error(self, sentence: str, trace: str) -> None:
        self.grid.note, self.grid.action = f"thumbnails: {sentence}", "try again"

    def _update_note(self) -> None:
        """How many are made, how long the others take, and a button to pause or go on."""
        made = self._kept.get(self._where, {}) if self._where is not None else {}
        state, count, done = self.runner.state, self.grid.count, len(made)
        if state == "failed":
            return  # the note is the error
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
    """Maximizations of many units, batch after batch, as one task for a Runner."""

    def __init__(self, net: Network, layer: str, units: list[int], busy: Callable[[], bool] = lambda: False):
        super().__init__()
        self.net, self.layer, self.units, self.busy = net, layer, units, busy
        self.batch = 8 if net.device.type == "cpu" else 64
        self.each = _STEPS_FLAT if max(net.layers[layer].size) == 1 else _STEPS
        self.step, self.total = 0, math.ceil(len(units) / self.batch) * self.each
        self._run: Maximization | None = None

    def frames(self) -> Iterator[Frame]:
        """One frame per step of a batch, until the last unit is done or `stop`."""
        self._stopped = False
        while self.step < self.total:
            if not self._goes_on():
                return
            first, at = divmod(self.step, self.each)
            if at == 0 or self._run is None:
                units = self.units[first * self.batch : (first + 1) * self.batch]
                self._run = Maximization(self.net, self.layer, units, steps=self.each)
            begun = time.monotonic()
            frame = self._run.advance()
            self.step += 1
            yield frame
            if self.busy():  # the run on the screen gets twice the time
                time.sleep(min(2 * (time.monotonic() - begun), 0.5))


def no_picture(net: Network, responded: bool) -> tuple[str, str]:
    """A word for a unit without a response to its picture, and how it is known; `responded`: to the images at hand."""
    if responded:
        return UNANSWERED
    count = len(Images.of(net, None))
    return "silent", f"no response to any of the {count} images at hand, nor to the best picture that was found."


def by_interest(net: Network, layer: Layer) -> list[int]:
    """A layer's units, the most responsive to the bundled images first; classes in the order of their numbers."""
    if has_class_units(net, layer):
        return list(range(layer.channels))
    return best_responses(net, layer.name).argsort(descending=True, stable=True).tolist()


def captions(net: Network, layer: Layer) -> list[str]:
    """The name of each class; [] for other units, which are numbered."""
    if not has_class_units(net, layer):
        return []
    return [f"{unit_name(net, layer, k)} (unit {k})" for k in range(layer.channels)]


def thumbnail_side(canvas: tuple[int, int]) -> int:
    """The pixels of a thumbnail of a picture of that size: a whole multiple of it from 48 on, or 128."""
    side = max(canvas)
    return _SIDE if side > _SIDE else side * -(-48 // side)
