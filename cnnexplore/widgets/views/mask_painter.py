"""MaskPainter: a mask over a photograph, drawn with a box, a brush, or found by itself."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w
import numpy as np
from PIL import Image, ImageDraw

from .frame_view import FrameView

TINT = np.array([224, 0, 122])  # of what is masked
TOOLS = {"box": "drag a box to be filled", "brush": "paint over more", "eraser": "take some away"}


class MaskPainter:
    """Draws a mask on a FrameView in the pixels that the network sees, and shows it as a tint.

    view: shows the photograph. on_change(mask) is called with (H, W) bool when it was drawn anew, on_find() when the
    mask is to be found by itself.
    """

    def __init__(self, view: FrameView):
        self.view, self.mask = view, np.zeros((view.height, view.width), bool)
        self._picture = np.full((view.height, view.width, 3), 128, np.uint8)
        self.on_change: Callable[[np.ndarray], None] = lambda mask: None
        self.on_find: Callable[[], None] = lambda: None
        view.on_window, view.on_stroke = self._boxed, self._stroked
        self.tool = w.ToggleButtons(options=list(TOOLS), value="box", tooltips=list(TOOLS.values()))
        self.tool.style.button_width = "66px"
        self.size = w.IntSlider(12, 2, 60, description="brush", layout=w.Layout(width="190px"))
        self.size.tooltip = "the width of brush and eraser, in percent of the picture"
        self.size.style.description_width = "38px"
        self.find = w.Button(description="find the key part", icon="magic", layout=w.Layout(width="164px"))
        self.find.tooltip = "where the predicted class depends most on the pixels: |d fc8 / dI|, cut and filled"
        self.find.on_click(lambda _: self.on_find())
        self.tool.observe(lambda change: self._suit(), "value")
        self.size.observe(lambda change: self._suit(), "value")
        self.row = [self.tool, self.size, self.find]
        self._suit()

    def show(self, picture: np.ndarray, mask: np.ndarray) -> None:
        """A photograph as the network sees it, (H, W, 3) uint8, and the mask over it, (H, W) bool."""
        self._picture, self.mask = picture, mask.copy()
        self._draw()
        self._suit()

    @property
    def tinted(self) -> np.ndarray:
        """The photograph with the mask over it, (H, W, 3) uint8."""
        out = self._picture.copy()
        out[self.mask] = (0.45 * out[self.mask] + 0.55 * TINT).astype(np.uint8)
        return out

    def _draw(self) -> None:
        self.view.clear_box()
        self.view.draw(self.tinted)

    def _suit(self) -> None:
        tool, side = self.tool.value, max(self.view.height, self.view.width)
        with self.view.hold_sync():
            self.view.windows = tool == "box"
            self.view.erases = tool == "eraser"
            self.view.brush = 0 if tool == "box" else max(1, round(self.size.value * side / 100))
        self.size.layout.display = "none" if tool == "box" else ""

    def _boxed(self, top: int, left: int, bottom: int, right: int) -> None:
        self.mask[:] = False
        self.mask[top:bottom, left:right] = True
        self._changed()

    def _stroked(self, cells: list[tuple[int, int]], brush: int, erases: bool) -> None:
        plane = Image.fromarray(self.mask.astype(np.uint8))
        pen, value, half = ImageDraw.Draw(plane), int(not erases), brush / 2
        points = [(column + 0.5, row + 0.5) for row, column in cells]
        if len(points) > 1:
            pen.line(points, value, brush, joint="curve")
        for x, y in points:
            pen.ellipse((x - half, y - half, x + half, y + half), value)
        self.mask = np.array(plane) > 0
        self._changed()

    def _changed(self) -> None:
        self._draw()
        self.on_change(self.mask)
