"""RunPictures: the pictures of a run, the newest and those kept for looking back."""

from __future__ import annotations

from typing import Any

import ipywidgets as w
import numpy as np

from ...network import Network
from ...preimage import Frame, SteeredRun
from ...preimage.result import faded
from ...results import png, whole_scale
from ..views.frame_view import FrameView, decoded_pictures, side_by_side
from .patch_controls import PatchControls


class RunPictures:
    """The original, if there is one, beside the estimates of a run.

    Parameters
    ----------
    net : Network
    image : object, optional
        The original.
    patches : PatchControls, optional
        The switch of the patch prior; the matched patches stand beside the estimate while it is on.

    Attributes
    ----------
    shown : int or None
        The step that is looked back at; None for the newest.
    """

    def __init__(self, net: Network, image: Any = None, patches: PatchControls | None = None):
        self.estimate = FrameView(net.size)
        self.original: FrameView | None = None
        self.views = [self.estimate]
        self.net = net
        self.run: SteeredRun | None = None
        self.shown: int | None = None
        self.patches, self._history = patches, FrameHistory()
        self.learned = FrameView(net.size)  # shown beside the estimate where the layer has a learned inverter
        self._learned: np.ndarray | None = None
        self._original: np.ndarray | None = None
        if image is not None:
            self._original = net.picture(net.pixels_of(image))
            self.original = FrameView(net.size, caption="original")
            self.original.draw(self._original)
            self.views.insert(0, self.original)
        layout = w.Layout(flex_flow="row wrap", align_items="flex-start", grid_gap="10px", margin="8px 14px 0 0")
        self.widget = w.HBox(self.views, layout=layout)
        self.widget.add_class("cx-pictures")

    def record(self, run: SteeredRun) -> None:
        """Keep the first picture of another run; call it in the thread of the loop, before the first step."""
        self._history.clear()
        self._history.add(0, _shown(run))

    def show_run(self, run: SteeredRun, image: Any, caption: str) -> None:
        """Show another run.

        Parameters
        ----------
        run : SteeredRun
        image : object
            Its original.
        caption : str
            The caption of the estimate.
        """
        self.net, self.run = run.net, run
        scale = whole_scale(run.size, 200 if len(run.seeds) == 1 else 140)  # of several each is smaller
        if self.original is not None:
            self._original = run.net.picture(run.net.pixels_of(image))
            _fit(self.original, run.net.size, scale)
            self.original.caption = "original"
            self.original.draw(self._original)
        _fit(self.estimate, run.size, scale)
        if self.patches is not None:
            _fit(self.patches.view, run.size, scale)
            self.patches.begin()
        self._arrange()
        self.estimate.caption = caption
        newest = self._history.newest
        self.estimate.draw(_shown(run) if newest is None else newest)

    def show_learned(self, picture: np.ndarray | None, caption: str = "") -> None:
        """Show the picture of a learned inverter beside the estimate, or none.

        Parameters
        ----------
        picture : np.ndarray or None
            (H, W, 3) uint8.
        caption : str
        """
        self._learned = picture
        if picture is not None:
            _fit(self.learned, picture.shape[:2], self.estimate.scale)
            self.learned.caption = caption
            self.learned.draw(picture)
            self.learned.poster = png(picture)
        self._arrange()

    def _arrange(self) -> None:
        """Put the views side by side: original, estimate, learned picture, patches."""
        more = [self.learned] if self._learned is not None else []
        patches = [self.patches.view] if self.patches is not None and self.patches.on else []
        self.widget.children = [*self.views, *more, *patches]

    def update(self, frame: Frame) -> None:
        """Offer another step's picture to the views; in the thread of the loop. It is only made if it is due."""
        stream = self.estimate.stream
        if self.shown is None:
            moved = frame.step - 1 in frame.run.changes  # a setting, before this step
            self.estimate.offer(lambda: self._keep(frame), soon=moved)
        if not stream.views and frame.step % 4 == 0:
            self._keep(frame)  # for a look back from a view that is opened later
        if self.patches is not None:
            self.patches.update(frame.run)

    def show_last(self) -> None:
        """Show the newest picture of a run that is paused or has ended, and keep it for where no kernel runs."""
        now = self.picture
        if self.shown is None:
            if self.run is not None:
                self._history.add(self.run.step, now)
            self.estimate.draw(now)
        self.estimate.poster = png(picture_row(now))
        if self.original is not None and self._original is not None:
            self.original.poster = png(self._original)
        if self.patches is not None and self.run is not None:
            self.patches.update(self.run, last=True)

    def show_step(self, step: int) -> bool:
        """Show the kept picture nearest to a step; return whether there is one."""
        kept = self._history.nearest(step)
        if self.run is None or kept is None:
            return False
        self.shown = kept[0] if step < self.run.step else None
        self.estimate.draw(self.picture)
        return True

    def set_box(self, box: list[float]) -> None:
        """Draw the box (top, left, bottom, right) on each picture; [] removes it."""
        for view in self.views:
            view.box = box

    @property
    def picture(self) -> np.ndarray:
        """The estimate on the screen, (H, W, 3) uint8, or (N, H, W, 3)."""
        kept = self._history.nearest(self.shown) if self.shown is not None else None
        if kept is not None:
            return kept[1]
        return np.full((*self.net.size, 3), 128, np.uint8) if self.run is None else _shown(self.run)

    def poster(self, python: str) -> bytes:
        """A PNG of the original and the estimates in a row, with its Python inside."""
        now = self.picture
        row = [now] if now.ndim == 3 else list(now)
        if self._original is not None and self._original.shape == row[0].shape:
            row.insert(0, self._original)
        return png(side_by_side(row), python)

    def _keep(self, frame: Frame) -> np.ndarray:
        picture = _shown(frame.run)
        self._history.add(frame.step, picture)
        return picture


def _shown(run: SteeredRun) -> np.ndarray:
    """The pictures of a run, (N, H, W, 3), or (H, W, 3) of one: as opaque as each pixel mattered, where it is known."""
    pictures, importance = decoded_pictures(run.x, run.net), getattr(run, "importance", None)
    if importance is None:
        return pictures
    known = importance.cpu().numpy()
    each = [faded(one, how) for one, how in zip(pictures if pictures.ndim == 4 else [pictures], known, strict=True)]
    return np.stack(each) if pictures.ndim == 4 else each[0]


class FrameHistory:
    """Pictures by step within a budget of bytes, evenly spaced: when it is full, the spacing doubles.

    Parameters
    ----------
    budget : int
        Bytes.
    """

    def __init__(self, budget: int = 64_000_000):
        self.budget = budget
        self.clear()

    def clear(self) -> None:
        """Forget all pictures."""
        self._pictures: dict[int, np.ndarray] = {}
        self._spacing = 1

    def add(self, step: int, picture: np.ndarray) -> None:
        """Keep the picture of a step, later than all before; the first and the newest are always kept."""
        self._pictures[step] = picture
        if self._bytes() > self.budget or self._spacing > 1:
            self._thin(step)
        while self._bytes() > self.budget and len(self._pictures) > 2:
            self._spacing *= 2
            self._thin(step)

    @property
    def newest(self) -> np.ndarray | None:
        """The picture of the last step that was added; None if there is none."""
        return next(reversed(list(self._pictures.values())), None)

    def nearest(self, step: int) -> tuple[int, np.ndarray] | None:
        """(step, picture) of the kept frame nearest to a step; None if there is none."""
        kept = list(self._pictures.items())
        return min(kept, key=lambda one: abs(one[0] - step), default=None)

    def _bytes(self) -> int:
        return sum(p.nbytes for p in self._pictures.values())

    def _thin(self, newest: int) -> None:
        last = None
        for step in list(self._pictures):
            if last is not None and step - last < self._spacing and step != newest:
                del self._pictures[step]
            else:
                last = step


def picture_row(pictures: np.ndarray) -> np.ndarray:
    """One picture as it is, or several in a row, pixel by pixel."""
    return pictures if pictures.ndim == 3 else side_by_side(list(pictures), scale=1)


def _fit(view: FrameView, size: tuple[int, int], scale: int) -> None:
    if (view.height, view.width, view.scale) != (*size, scale):
        view.resize(size, scale)
    elif view.box:
        view.box = []
