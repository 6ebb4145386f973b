"""RunPictures: the pictures of a run, the newest and those kept for looking back."""

from __future__ import annotations

import ipywidgets as w
import numpy as np

from ...network import Network
from ...preimage import Frame, Run
from ...results import png, whole_scale
from ..live.frame_history import FrameHistory
from ..views.frame_view import FrameView, decoded_pictures, side_by_side
from .patch_controls import PatchControls


class RunPictures:
    """The original, where there is one, beside the estimates; both follow a run and are framed together.

    patches: what the patch prior is switched on with; what matched then stands beside the estimate. shown: the step
    that is looked back at, None for the newest.
    """

    def __init__(self, net: Network, image=None, patches: PatchControls | None = None):
        self.estimate = FrameView(net.size)
        self.views = [self.estimate]
        self.net, self.run, self.shown = net, None, None
        self.patches, self._history, self._original = patches, FrameHistory(), None
        if image is not None:
            self._original = net.picture(net.pixels_of(image))
            self.original = FrameView(net.size, caption="original")
            self.original.draw(self._original)
            self.views.insert(0, self.original)
        layout = w.Layout(flex_flow="row wrap", align_items="flex-start", grid_gap="10px", margin="8px 14px 0 0")
        self.widget = w.HBox(self.views, layout=layout)

    def show_run(self, run: Run, image, caption: str) -> None:
        """Shows another run from its first picture."""
        self.net, self.run = run.net, run
        scale = whole_scale(run.size, 200 if len(run.seeds) == 1 else 140)  # of several each is smaller
        if self._original is not None:
            self._original = run.net.picture(run.net.pixels_of(image))
            _fit(self.original, run.net.size, scale)
            self.original.caption = "original"
            self.original.draw(self._original)
        _fit(self.estimate, run.size, scale)
        if self.patches is not None:
            _fit(self.patches.view, run.size, scale)
            self.patches.begin()
            self.widget.children = [*self.views, self.patches.view] if self.patches.on else self.views
        self.estimate.caption = caption
        newest = self._history.newest
        self.estimate.draw(decoded_pictures(run.x, run.net) if newest is None else newest)

    def record(self, run: Run) -> None:
        """Keep the first picture of another run; call it in the thread of the loop, before the first step."""
        self._history.clear()
        self._history.add(0, decoded_pictures(run.x, run.net))

    def update(self, frame: Frame) -> None:
        """Offers the views another step's picture, which is only made if it is due."""
        stream = self.estimate.stream
        if self.shown is None:
            self.estimate.offer(lambda: self._keep(frame))
        if not stream.views and frame.step % 4 == 0:
            self._keep(frame)  # nobody looks now; somebody may look back later
        if self.patches is not None:
            self.patches.follow(frame.run)

    def show_last(self) -> None:
        """Shows the newest picture of a run that waits or has ended, and keeps it for where no kernel runs."""
        now = self.picture
        if self.shown is None:
            self._history.add(self.run.step, now)
            self.estimate.draw(now)
        self.estimate.poster = png(picture_row(now))
        if self._original is not None:
            self.original.poster = png(self._original)
        if self.patches is not None and self.run is not None:
            self.patches.follow(self.run, last=True)

    def show_step(self, step: int) -> bool:
        """Shows the kept picture nearest to a step; says whether there is one."""
        kept = self._history.nearest(step)
        if self.run is None or kept is None:
            return False
        self.shown = kept[0] if step < self.run.step else None
        self.estimate.draw(self.picture)
        return True

    def set_box(self, box: list[float]) -> None:
        """Frames (top, left, bottom, right) in each picture."""
        for view in self.views:
            view.box = box

    @property
    def picture(self) -> np.ndarray:
        """The estimate on the screen, (H, W, 3) uint8, or (N, H, W, 3)."""
        kept = self._history.nearest(self.shown) if self.shown is not None else None
        if kept is not None:
            return kept[1]
        return (
            np.full((*self.net.size, 3), 128, np.uint8) if self.run is None else decoded_pictures(self.run.x, self.net)
        )

    def poster(self, code: str) -> bytes:
        """A PNG of the original and the estimates in a row."""
        now = self.picture
        row = [now] if now.ndim == 3 else list(now)
        if self._original is not None and self._original.shape == row[0].shape:
            row.insert(0, self._original)
        return png(side_by_side(row), code)

    def _keep(self, frame: Frame) -> np.ndarray:
        picture = decoded_pictures(frame.x, frame.run.net)
        self._history.add(frame.step, picture)
        return picture


def picture_row(pictures: np.ndarray) -> np.ndarray:
    """One picture as it is, or several in a row, pixel by pixel."""
    return pictures if pictures.ndim == 3 else side_by_side(list(pictures), scale=1)


def _fit(view: FrameView, size: tuple[int, int], scale: int) -> None:
    if (view.height, view.width, view.scale) != (*size, scale):
        view.resize(size, scale)
    elif view.box:
        view.box = []
