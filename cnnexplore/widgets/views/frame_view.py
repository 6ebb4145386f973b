"""FrameView: pictures in the browser that follow a loop in the kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import traitlets

from ...network import Network
from ...results import whole_scale
from ..live.stream import Message as Frame
from ..live.stream import Stream
from .messages import Message
from .view import View

_MOST_CELLS = 8000  # of a stroke, as in frame_view.js
_MOST_FRAMES = 2**53  # JavaScript's largest exact integer


class FrameView(View):
    """A picture, or a batch in a row, drawn at a whole multiple of its pixels without blur.

    Parameters
    ----------
    size : tuple of int
        Height and width of one picture, before the first frame.
    caption : str
        The line below.
    **traits
        Values of the attributes below, or of any other trait of a widget.

    Attributes
    ----------
    height, width : int
        Size of one picture in pixels.
    scale : int
        Screen pixels per pixel of the picture; by default as many as make its longer side at least 200.
    box : list of float
        (top, left, bottom, right) in pixel centres, outlined in each picture; empty for none.
    windows : bool
        Whether the mouse drags a window; otherwise it picks a pixel.
    brush : int
        Width in pixels of the brush that the mouse draws with; 0 for none.
    erases : bool
        Whether the brush removes.
    cells : bool
        Whether lines are drawn between the pixels, which then are positions of a map.
    columns : int
        Number of pictures in a row; 0 for as many as there is room for.
    poster : bytes
        PNG that a saved notebook shows.
    stream : Stream
        Decides which frames are sent.
    on_pick : callable
        Called with (row, column) of a pixel that is clicked.
    on_item : callable
        Called before it with the index of its picture in the batch.
    on_window : callable
        Called with (top, left, bottom, right) of a window that was dragged; the last two are excluded.
    on_stroke : callable
        Called with (positions, brush, erases) after a stroke of the brush.
    on_views : callable
        Called with the number of open views when it has changed.
    """

    _files = "frame_view"
    width = traitlets.Int(224).tag(sync=True)
    height = traitlets.Int(224).tag(sync=True)
    scale = traitlets.Int(1).tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    box = traitlets.List(traitlets.Float()).tag(sync=True)
    windows = traitlets.Bool(False).tag(sync=True)
    brush = traitlets.Int(0).tag(sync=True)
    erases = traitlets.Bool(False).tag(sync=True)
    cells = traitlets.Bool(False).tag(sync=True)
    columns = traitlets.Int(0).tag(sync=True)
    poster = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self, size: tuple[int, int], caption: str = "", **traits: Any):
        traits = {"scale": whole_scale(size), **traits}
        super().__init__(height=size[0], width=size[1], caption=caption, **traits)
        self.on_pick: Callable[[int, int], object] = lambda row, column: None
        self.on_item: Callable[[int], object] = lambda k: None
        self.on_window: Callable[[int, int, int, int], object] = lambda top, left, bottom, right: None
        self.on_stroke: Callable[[list[tuple[int, int]], int, bool], object] = lambda positions, brush, erases: None
        self.on_views: Callable[[int], None] = lambda count: None
        self._shape = (1, *size)  # number, height and width of the pictures that were drawn last
        self.stream = Stream(lambda content, buffers: self.send(content, buffers=buffers))
        self.stream.open_views.on_change = lambda count: self.on_views(count)

    def resize(self, size: tuple[int, int], scale: int | None = None) -> None:
        """Change the size of the pictures and remove the box.

        Parameters
        ----------
        size : tuple of int
            Height and width in pixels.
        scale : int, optional
            Screen pixels per pixel; by default as many as make the longer side at least 200.
        """
        self.box = []
        self.height, self.width = size
        self.scale = scale or whole_scale(size)

    def clear_box(self) -> None:
        """Remove the box, also one that was just dragged, of which only the browser knows."""
        self.box = [0.0] * 4
        self.box = []

    def draw(self, pictures: np.ndarray) -> None:
        """Draw pictures now.

        Parameters
        ----------
        pictures : ndarray of uint8
            One, (H, W, 3), or a batch, (N, H, W, 3).
        """
        self._note_shape(pictures)
        self.stream.show(partial(_frame_message, pictures))

    def offer(self, make: Callable[[], np.ndarray], soon: bool = False) -> bool:
        """Draw the newest picture of a loop if a frame is due.

        Parameters
        ----------
        make : callable
            Makes one picture, (H, W, 3) uint8, or a batch; called only if it is sent.
        soon : bool
            Whether it answers to a person who waits for it, and may come earlier than the pace has it.

        Returns
        -------
        bool
            Whether it was sent.
        """

        def message() -> Frame:
            pictures = make()
            self._note_shape(pictures)
            return _frame_message(pictures)

        return self.stream.offer(message, soon)

    def probe(self) -> None:
        """Ask the open views for an answer, once a second at most; those that stay silent are dropped."""
        self.stream.probe()

    def _note_shape(self, pictures: np.ndarray) -> None:
        self._shape = (1, *pictures.shape[:2]) if pictures.ndim == 3 else pictures.shape[:3]

    def _read(self, message: Message) -> Callable[[], object] | None:
        n, height, width = self._shape
        if message.kind == "pick":
            item = message.integer("item", 0, n - 1, default=0)
            row, column = message.integer("row", 0, height - 1), message.integer("column", 0, width - 1)
            return lambda: (self.on_item(item), self.on_pick(row, column))
        if message.kind == "window":
            return partial(self.on_window, *message.window("window", height, width))
        if message.kind == "stroke":
            cells = message.positions("cells", height, width, _MOST_CELLS)
            return partial(self.on_stroke, cells, message.integer("brush", 1, height + width), message.flag("erases"))
        if message.kind == "ready":
            return partial(self._view_ready, message.text("view"))
        if message.kind == "gone":
            return partial(self.stream.received, {"kind": "gone", "view": message.text("view")})
        if message.kind == "ack":
            seq = message.integer("seq", 0, _MOST_FRAMES)
            return partial(self.stream.received, {"kind": "ack", "view": message.text("view"), "seq": seq})
        return None

    def _view_ready(self, view: str) -> None:
        self.stream.received({"kind": "ready", "view": view})
        self.send({"kind": "here", "view": view, "seq": self.stream.newest})


def _frame_message(pictures: np.ndarray) -> Frame:
    """The message of (H, W, 3) or (N, H, W, 3) uint8: raw RGB, lossless and the cheapest to make and to draw."""
    n, h, w = (1, *pictures.shape[:2]) if pictures.ndim == 3 else pictures.shape[:3]
    return {"w": w, "h": h, "n": n}, [np.ascontiguousarray(pictures).data]


def decoded_pictures(x: torch.Tensor, net: Network) -> np.ndarray:
    """Return the pictures of network inputs (N, C, H, W): (N, H, W, 3) uint8, or (H, W, 3) of a single one."""
    pictures = net.pixels.decode(x).cpu().numpy()
    return pictures[0] if len(pictures) == 1 else pictures


def side_by_side(pictures: list[np.ndarray], gap: int = 10, scale: int | None = None) -> np.ndarray:
    """Return pictures of one size on a white background, enlarged by a whole factor (default: as on the screen)."""
    scale = scale or whole_scale(pictures[0].shape[:2])
    large = [p.repeat(scale, 0).repeat(scale, 1) for p in pictures]
    white = np.full((large[0].shape[0], gap, 3), 255, np.uint8)
    return np.concatenate([part for p in large for part in (white, p)][1:], 1)
