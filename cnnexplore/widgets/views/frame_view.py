"""FrameView: pictures in the browser that follow a loop in the kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anywidget
import numpy as np
import torch
import traitlets

from ...results import whole_scale
from ..live.post import handles_messages
from ..live.stream import Message, Stream

STATIC = Path(__file__).parent


def raw(pictures: np.ndarray) -> Message:
    """The message of (H, W, 3) or (N, H, W, 3) uint8: raw RGB, lossless and the cheapest to make and to draw."""
    n, h, w = (1, *pictures.shape[:2]) if pictures.ndim == 3 else pictures.shape[:3]
    return {"w": w, "h": h, "n": n, "encoding": "rgb"}, [np.ascontiguousarray(pictures).data]


class FrameView(anywidget.AnyWidget):
    """A picture, or a batch in a row, fed by a Stream; whole multiples of the pictures' pixels, no blur.

    width, height: of one picture, before the first frame. caption: the line below. box: (top, left, bottom, right)
    in pixel centres, drawn as a frame over each picture, or (). windows: a window can be dragged instead of a pixel
    picked. brush: the width in pixels of a brush that can be drawn with, 0 for none; erases: whether it takes away.
    columns: how many of a batch stand in a row, 0 for as many as fit. poster: the PNG that a saved notebook shows.
    on_pick(row, column) is called when a pixel is clicked, on_item(k) with the number of its picture in a batch,
    on_window(top, left, bottom, right), the last two excluded, when a window was dragged, on_stroke(cells, brush,
    erases) when a brush went over (row, column) cells, on_views(n) when a view opens or closes.
    """

    _esm = STATIC / "frame_view.js"
    _css = STATIC / "frame_view.css"
    width = traitlets.Int(224).tag(sync=True)
    height = traitlets.Int(224).tag(sync=True)
    scale = traitlets.Int(1).tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)
    box = traitlets.List(traitlets.Float()).tag(sync=True)
    windows = traitlets.Bool(False).tag(sync=True)
    brush = traitlets.Int(0).tag(sync=True)
    erases = traitlets.Bool(False).tag(sync=True)
    columns = traitlets.Int(0).tag(sync=True)
    poster = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self, size: tuple[int, int], caption: str = "", **traits):
        traits = {"scale": whole_scale(size), **traits}
        super().__init__(height=size[0], width=size[1], caption=caption, **traits)
        self.stream = Stream(lambda content, buffers: self.send(content, buffers=buffers))
        self.on_pick: Callable[[int, int], None] = lambda row, column: None
        self.on_item: Callable[[int], None] = lambda k: None
        self.on_window: Callable[[int, int, int, int], None] = lambda *window: None
        self.on_stroke: Callable[[list, int, bool], None] = lambda cells, brush, erases: None
        self.on_views: Callable[[int], None] = lambda count: None
        self.stream.open_views.on_change = lambda count: self.on_views(count)
        self.on_msg(lambda _, content, buffers: self.receive(content))

    def resize(self, size: tuple[int, int], scale: int | None = None) -> None:
        """Another picture size; the scale follows."""
        self.box = []
        self.height, self.width = size
        self.scale = scale or whole_scale(size)

    def clear_box(self) -> None:
        """Takes the frame away, also one that a person has just dragged, of which only the browser knows."""
        self.box = [0.0] * 4
        self.box = []

    def draw(self, pictures: np.ndarray) -> None:
        """Shows an (H, W, 3) uint8 picture, or an (N, H, W, 3) batch, now."""
        self.stream.show(lambda: raw(pictures))

    def offer(self, pictures: Callable[[], np.ndarray]) -> bool:
        """Shows a loop's newest picture if that is due; it is only made then. Says whether it was."""
        return self.stream.offer(lambda: raw(pictures()))

    def receive(self, content: dict) -> None:
        handles_messages()
        kind = self.stream.received(content)
        if kind == "pick":
            self.on_item(int(content.get("item", 0)))
            self.on_pick(int(content["row"]), int(content["column"]))
        elif kind == "window":
            self.on_window(*map(int, content["window"]))
        elif kind == "stroke":
            cells = [(int(row), int(column)) for row, column in content["cells"]]
            self.on_stroke(cells, int(content["brush"]), bool(content["erases"]))


def pictures_of(x: torch.Tensor, net) -> np.ndarray:
    """The picture of an estimate, (H, W, 3) uint8, or of a batch of them, (N, H, W, 3)."""
    pictures = net.pixels.decode(x).cpu().numpy()
    return pictures[0] if len(pictures) == 1 else pictures


def side_by_side(pictures: list[np.ndarray], gap: int = 10, scale: int | None = None) -> np.ndarray:
    """Pictures of one size on a white sheet, enlarged by a whole factor (default: as on the screen)."""
    scale = scale or whole_scale(pictures[0].shape[:2])
    large = [p.repeat(scale, 0).repeat(scale, 1) for p in pictures]
    white = np.full((large[0].shape[0], gap, 3), 255, np.uint8)
    return np.concatenate([part for p in large for part in (white, p)][1:], 1)
