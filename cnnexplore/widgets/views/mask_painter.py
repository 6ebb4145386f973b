"""MaskPainter: a mask over a photograph, drawn with a box or a brush, or computed."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w
import numpy as np
from PIL import Image, ImageDraw

from .frame_view import FrameView

TINT = np.array([224, 0, 122])  # colour of what is masked
_TOOLS = {
    "box": "drag a box to fill in",
    "brush": "paint what to mask",
    "eraser": "paint what not to mask",
}


class MaskPainter:
    """Tools that draw a mask on a FrameView, in the pixels of the network's input; the mask appears as a tint.

    Parameters
    ----------
    view : FrameView
        Shows the photograph.

    Attributes
    ----------
    mask : ndarray of bool
        The mask, (H, W).
    row : list of ipywidgets.Widget
        The tools.
    on_change : callable
        Called with the mask after a stroke or a box.
    on_find : callable
        Called without arguments when the user asks for a computed mask.
    """

    def __init__(self, view: FrameView):
        self.view, self.mask = view, np.zeros((view.height, view.width), bool)
        self._picture = np.full((view.height, view.width, 3), 128, np.uint8)
        self.on_change: Callable[[np.ndarray], object] = lambda mask: None
        self.on_find: Callable[[], object] = lambda: None
        view.on_window, view.on_stroke = self._fill_box, self._paint_stroke
        self.tool = w.ToggleButtons(options=list(_TOOLS), value="box", tooltips=list(_TOOLS.values()))
        self.tool.style.button_width = "66px"
        self.size = w.IntSlider(12, 2, 60, description="brush", layout=w.Layout(width="190px"))
        self.size.tooltip = "width of the brush and the eraser, in percent of the picture"
        self.size.style.description_width = "38px"
        self.find = w.Button(description="find the key part", icon="magic", layout=w.Layout(width="164px"))
        self.find.tooltip = "where the predicted class depends most on the pixels: |d fc8 / dI|, cut and filled"
        self.find.on_click(lambda _: self.on_find())
        self.tool.observe(lambda change: self._set_up_tool(), "value")
        self.size.observe(lambda change: self._set_up_tool(), "value")
        self.row = [self.tool, self.size, self.find]
        self._set_up_tool()

    def show(self, picture: np.ndarray, mask: np.ndarray) -> None:
        """Show a photograph and a mask.

        Parameters
        ----------
        picture : ndarray of uint8
            The photograph as the network sees it, (H, W, 3).
        mask : ndarray of bool
            The mask over it, (H, W).
        """
        self._picture, self.mask = picture, mask.copy()
        self._draw()
        self._set_up_tool()

    @property
    def tinted(self) -> np.ndarray:
        """The photograph with the mask over it, (H, W, 3) uint8."""
        out = self._picture.copy()
        out[self.mask] = (0.45 * out[self.mask] + 0.55 * TINT).astype(np.uint8)
        return out

    def _draw(self) -> None:
        self.view.clear_box()
        self.view.draw(self.tinted)

    def _set_up_tool(self) -> None:
        tool, side = self.tool.value, max(self.view.height, self.view.width)
        with self.view.hold_sync():
            self.view.windows = tool == "box"
            self.view.erases = tool == "eraser"
            self.view.brush = 0 if tool == "box" else max(1, round(self.size.value * side / 100))
        self.size.layout.display = "none" if tool == "box" else ""

    def _fill_box(self, top: int, left: int, bottom: int, right: int) -> None:
        self.mask[:] = False
        self.mask[top:bottom, left:right] = True
        self._changed()

    def _paint_stroke(self, positions: list[tuple[int, int]], brush: int, erases: bool) -> None:
        canvas = Image.fromarray(self.mask.astype(np.uint8))
        pen, value, half = ImageDraw.Draw(canvas), int(not erases), brush / 2
        points = [(column + 0.5, row + 0.5) for row, column in positions]
        if len(points) > 1:
            pen.line(points, value, brush, joint="curve")
        for x, y in points:
            pen.ellipse((x - half, y - half, x + half, y + half), value)
        self.mask = np.array(canvas) > 0
        self._changed()

    def _changed(self) -> None:
        self._draw()
        self.on_change(self.mask)
