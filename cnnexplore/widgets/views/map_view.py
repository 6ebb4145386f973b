"""MapView: a layer's map, on which a position or a window is chosen."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w
import numpy as np

from ...network import Layer
from .frame_view import FrameView

_LONGER_SIDE = 128  # screen pixels, about


class MapView:
    """A layer's map as a small picture; hidden where a layer has only one position.

    Parameters
    ----------
    windows : bool
        Whether the mouse drags windows; otherwise it clicks single positions.
    nothing : str
        Text of the button that removes the choice.
    tooltip : str
        Tooltip of that button.

    Attributes
    ----------
    view : FrameView
        The picture.
    back : ipywidgets.Button
        The button.
    widget : ipywidgets.Widget
        Both of them.
    on_choose : callable
        Called with (row, column), with (top, left, bottom, right) of which the last two are excluded, or with None
        when the choice is removed.
    """

    def __init__(self, windows: bool, nothing: str, tooltip: str):
        self.on_choose: Callable[[tuple[int, ...] | None], object] = lambda choice: None
        self.view = FrameView((1, 1), windows=windows, cells=True)
        self.view.on_pick = lambda row, column: self.on_choose((row, column))
        self.view.on_window = lambda *window: self.on_choose(window)
        self.back = w.Button(
            description=nothing, tooltip=tooltip, layout=w.Layout(width="128px", margin="2px 0", visibility="hidden")
        )
        self.back.on_click(lambda _: self.on_choose(None))
        self.widget = w.VBox([self.view, self.back], layout=w.Layout(margin="6px 14px 0 0", width="150px"))

    def show(self, layer: Layer, picture: np.ndarray | None, choice: tuple[int, ...] | None, caption: str) -> None:
        """Show the map of a layer.

        Parameters
        ----------
        layer : Layer
        picture : ndarray of uint8 or None
            The map as a picture, (rows, columns, 3); None for a plain one.
        choice : tuple of int or None
            A position or a window, which is outlined.
        caption : str
            The line below.
        """
        rows, columns = layer.size
        flat = max(rows, columns) == 1
        self.widget.layout.display = "none" if flat else ""
        if flat:
            return
        if (self.view.height, self.view.width) != layer.size:
            self.view.resize(layer.size, scale=max(1, _LONGER_SIDE // max(rows, columns)))
        self.view.draw(np.full((rows, columns, 3), 190, np.uint8) if picture is None else picture)
        self.view.caption = caption
        self.mark(choice)

    def mark(self, choice: tuple[int, ...] | None) -> None:
        """Outline a position or a window.

        Parameters
        ----------
        choice : tuple of int or None
            (row, column), or (top, left, bottom, right) of which the last two are excluded; None for neither.
        """
        if choice is None:
            self.view.box = []
        else:
            top, left, bottom, right = _window_of(choice)
            self.view.box = [float(v) for v in (top, left, bottom - 1, right - 1)]
        self.back.layout.visibility = "visible" if choice is not None else "hidden"


def receptive_box(layer: Layer, choice: tuple[int, ...]) -> list[float]:
    """Return the receptive field of a position or a window of a layer's map.

    Parameters
    ----------
    layer : Layer
    choice : tuple of int
        (row, column), or (top, left, bottom, right) of which the last two are excluded.

    Returns
    -------
    list of float
        (top, left, bottom, right) in input pixels.
    """
    top, left, bottom, right = _window_of(choice)
    return [*map(float, layer.rf_box(top, left)[:2]), *map(float, layer.rf_box(bottom - 1, right - 1)[2:])]


def nearest_position(layer: Layer, row: int, column: int) -> tuple[int, int]:
    """Return the position (row, column) of a layer's map with its receptive field centred nearest to an input pixel."""
    i, j = (
        min(max(round((p - o) / s), 0), n - 1)
        for p, o, s, n in zip((row, column), layer.rf_offset, layer.rf_stride, layer.size, strict=True)
    )
    return i, j


def _window_of(choice: tuple[int, ...]) -> tuple[int, int, int, int]:
    """A position as the window of one cell; a window as it is."""
    if len(choice) == 2:
        row, column = choice
        return row, column, row + 1, column + 1
    top, left, bottom, right = choice
    return top, left, bottom, right
