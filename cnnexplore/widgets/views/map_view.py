"""MapView: a layer's map, on which a position or a window is chosen."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w
import numpy as np

from ...network import Layer
from .frame_view import FrameView

_LEAST = 128  # screen pixels of a map's longer side, about


class MapView:
    """A layer's positions as a small picture; hidden where a layer has none.

    windows: whether windows are dragged or single positions clicked. nothing: the word on the button that takes the
    choice back. on_choose(choice) is called with (row, column), or (top, left, bottom, right) without the last two,
    or None when it was taken back.
    """

    def __init__(self, windows: bool, nothing: str, tooltip: str):
        self.on_choose: Callable[[tuple[int, ...] | None], None] = lambda choice: None
        self.view = FrameView((1, 1), windows=windows)
        self.view.on_pick = lambda row, column: self.on_choose((row, column))
        self.view.on_window = lambda *window: self.on_choose(window)
        self.back = w.Button(
            description=nothing, tooltip=tooltip, layout=w.Layout(width="128px", margin="2px 0", visibility="hidden")
        )
        self.back.on_click(lambda _: self.on_choose(None))
        self.widget = w.VBox([self.view, self.back], layout=w.Layout(margin="6px 14px 0 0", width="150px"))

    def show(self, layer: Layer, picture: np.ndarray | None, choice: tuple[int, ...] | None, caption: str) -> None:
        """The map of a layer as a picture (default: a plain one) with what is chosen on it."""
        rows, columns = layer.size
        flat = max(rows, columns) == 1
        self.widget.layout.display = "none" if flat else ""
        if flat:
            return
        if (self.view.height, self.view.width) != layer.size:
            self.view.resize(layer.size, scale=max(1, _LEAST // max(rows, columns)))
        self.view.draw(chequered(rows, columns) if picture is None else picture)
        self.view.caption = caption
        self.mark(choice)

    def mark(self, choice: tuple[int, ...] | None) -> None:
        """Frames a position or a window, or nothing."""
        if choice is None:
            self.view.box = []
        else:
            top, left, bottom, right = window_of(choice)
            self.view.box = [float(v) for v in (top, left, bottom - 1, right - 1)]
        self.back.layout.visibility = "visible" if choice is not None else "hidden"


def window_of(choice: tuple[int, ...]) -> tuple[int, int, int, int]:
    """A position as the window of one cell; a window as it is."""
    return tuple(choice) if len(choice) == 4 else (choice[0], choice[1], choice[0] + 1, choice[1] + 1)


def receptive_box(layer: Layer, choice: tuple[int, ...]) -> list[float]:
    """(top, left, bottom, right) in input pixels of all that a position or a window sees."""
    top, left, bottom, right = window_of(choice)
    return [*map(float, layer.rf_box(top, left)[:2]), *map(float, layer.rf_box(bottom - 1, right - 1)[2:])]


def nearest_position(layer: Layer, row: int, column: int) -> tuple[int, int]:
    """The position on a layer's map whose field is centred nearest to a pixel."""
    return tuple(
        min(max(round((p - o) / s), 0), n - 1)
        for p, o, s, n in zip((row, column), layer.rf_offset, layer.rf_stride, layer.size, strict=True)
    )


def chequered(rows: int, columns: int) -> np.ndarray:
    """A plain map on which cells can be told apart."""
    odd = np.add.outer(np.arange(rows), np.arange(columns)) % 2
    return np.where(odd[..., None], 150, 170).astype(np.uint8).repeat(3, 2)
