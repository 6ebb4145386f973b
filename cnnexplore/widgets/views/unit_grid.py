"""UnitGrid: many small pictures to choose from, filled in as they come."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import anywidget
import numpy as np
import traitlets

from ... import drawing
from .frame_view import STATIC

_CHUNK = 64  # sprites in one message, at most


class UnitGrid(anywidget.AnyWidget):
    """A grid of `count` thumbnails of `side` x `side` pixels, of which one is selected by click or arrow keys.

    captions: a name for each (default: "unit 7"). order: which is shown first, second, ... (default: as numbered).
    shown: how large on the screen, 64 pixels at most unless given. rows: how many are in sight before it scrolls.
    selected: a number, or -1. note: a line beside the selected one's caption; action: the word of a button behind it,
    or "". on_action() is called when that is pressed, on_views(n) when a view opens or closes.
    """

    _esm = STATIC / "unit_grid.js"
    _css = STATIC / "unit_grid.css"
    count = traitlets.Int(0).tag(sync=True)
    side = traitlets.Int(64).tag(sync=True)
    shown = traitlets.Int(64).tag(sync=True)
    rows = traitlets.Float(3.5).tag(sync=True)
    captions = traitlets.List(traitlets.Unicode()).tag(sync=True)
    order = traitlets.List(traitlets.Int()).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    note = traitlets.Unicode("").tag(sync=True)
    action = traitlets.Unicode("").tag(sync=True)

    def __init__(self, count: int = 0, side: int = 64, captions: Sequence[str] = (), **traits):
        traits.setdefault("shown", min(side, 64))
        super().__init__(count=count, side=side, captions=list(captions), **traits)
        self._sprites: dict[int, np.ndarray] = {}
        self._views: set[str] = set()
        self._lock = threading.Lock()  # pictures come from a loop's thread, views from the kernel's
        self.on_action: Callable[[], None] = lambda: None
        self.on_views: Callable[[int], None] = lambda count: None
        self.on_msg(lambda _, content, buffers: self.receive(content))

    def put(self, index: int | Sequence[int], rgb: np.ndarray) -> None:
        """Fills in one picture, (H, W, 3) uint8, or several, (N, H, W, 3) with N indices; any size is made to fit."""
        indices = [int(index)] if np.ndim(index) == 0 else [int(k) for k in index]
        pictures = rgb[None] if rgb.ndim == 3 else rgb
        with self._lock:
            for k, picture in zip(indices, pictures, strict=True):
                if not 0 <= k < self.count:
                    raise IndexError(f"{k} is no place in a grid of {self.count}; expected 0 to {self.count - 1}.")
                self._sprites[k] = fit_to_square(picture, self.side)
            if self._views:
                self._transfer(indices)

    def on_select(self, act: Callable[[int], None]) -> None:
        """Has act(index) called whenever another one is selected, by hand or by program."""
        self.observe(lambda change: act(change.new) if change.new >= 0 else None, "selected")

    @property
    def done(self) -> int:
        """How many pictures are filled in."""
        return len(self._sprites)

    def reset(self, count: int, side: int, captions: Sequence[str] = (), order: Sequence[int] = ()) -> None:
        """Empties the grid for `count` other pictures; nothing is selected."""
        with self._lock:
            self._sprites = {}
        with self.hold_sync():
            self.count, self.captions, self.order = count, list(captions), [int(k) for k in order]
            self.side, self.shown = side, min(side, 64)
            self.selected = -1
        self.send({"kind": "clear"})

    def _transfer(self, indices: list[int]) -> None:
        for first in range(0, len(indices), _CHUNK):
            some = indices[first : first + _CHUNK]
            sheet = np.concatenate([self._sprites[k] for k in some])
            self.send({"kind": "sprites", "side": self.side, "units": some}, buffers=[sheet.data])

    def receive(self, content: dict) -> None:
        kind, view = content.get("kind"), str(content.get("view", ""))
        if kind == "action":
            self.on_action()
        elif kind in ("ready", "gone"):
            with self._lock:
                self._views.discard(view)
                if kind == "ready":
                    self._views.add(view)
                    self._transfer(list(self._sprites))
            self.on_views(len(self._views))


def fit_to_square(picture: np.ndarray, side: int) -> np.ndarray:
    """An (H, W, 3) uint8 picture in the middle of a square, enlarged by a whole factor or made smaller to fit."""
    h, w = picture.shape[:2]
    if max(h, w) > side:
        picture = drawing.thumbnail(picture, side)
    else:
        times = side // max(h, w)
        picture = picture.repeat(times, 0).repeat(times, 1)
    h, w = picture.shape[:2]
    square = np.full((side, side, 3), 128, np.uint8)
    top, left = (side - h) // 2, (side - w) // 2
    square[top : top + h, left : left + w] = picture
    return square
