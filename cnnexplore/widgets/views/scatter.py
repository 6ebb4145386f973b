"""Scatter: many points that can be hovered over, clicked and lassoed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import ArrayLike

_MANY = 1500  # points from which on WebGL draws them; fewer are drawn as SVG, which every browser does well
_GREY = "#999999"
COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999933", "#882255", "#44aa99", "#aa4499",
    "#117733", "#ddcc77", "#332288", "#88ccee", "#661100", "#6699cc", "#cc6677", "#777777", "#3366aa", "#ee8866",
)  # fmt: skip


class _Figure(go.FigureWidget):
    """A plotly figure whose JavaScript is a text: anywidget watches a file, and would keep each figure for ever."""

    _esm = str(go.FigureWidget._esm)


class Scatter:
    """A plotly figure of coloured points, without axes.

    Parameters
    ----------
    width, height : int
        Size in screen pixels.

    Attributes
    ----------
    widget : plotly.graph_objects.FigureWidget
        The figure.
    on_hover, on_pick : callable
        Called with the index of a point under the mouse, or of one that was clicked, from the kernel's thread.
    on_lasso : callable
        Called with the sorted indices of the points in a lasso.
    """

    def __init__(self, width: int = 440, height: int = 330):
        self.on_hover: Callable[[int], object] = lambda k: None
        self.on_pick: Callable[[int], object] = lambda k: None
        self.on_lasso: Callable[[list[int]], object] = lambda indices: None
        self._count = 0
        self._places = np.zeros((2, 0), np.float32)
        self._colours: np.ndarray | None = None
        hidden_axis = {"visible": False, "zeroline": False, "showgrid": False}
        self.widget = _Figure(
            layout={
                "width": width, "height": height, "margin": {"l": 4, "r": 4, "t": 4, "b": 4}, "showlegend": False,
                "dragmode": "lasso", "hovermode": "closest", "paper_bgcolor": "rgba(0,0,0,0)",
                "plot_bgcolor": "rgba(128,128,128,0.07)",
                "xaxis": hidden_axis, "yaxis": hidden_axis,
            }
        )  # fmt: skip

        self.widget._config = {"displayModeBar": False}  # it would cover points

    def show(self, points: ArrayLike, colours: Sequence[int] | np.ndarray) -> None:
        """Show points.

        Parameters
        ----------
        points : array_like
            Their coordinates, (N, 2).
        colours : sequence of int
            For each the index of its colour in COLOURS, repeated from the start; -1 for grey.
        """
        x, y = self._places = np.asarray(points, np.float32).T
        if len(x) != self._count:
            self._create_traces(len(x))
        with self.widget.batch_update():
            self._points.x, self._points.y = x, y
            self.widget.layout.xaxis.range, self.widget.layout.yaxis.range = _range_of(x), _range_of(y)
        self.set_colours(colours)

    def set_colours(self, colours: Sequence[int] | np.ndarray) -> None:
        """Change the colours of the points.

        Parameters
        ----------
        colours : sequence of int
            For each the index of its colour in COLOURS, repeated from the start; -1 for grey.
        """
        numbers = np.asarray(colours)
        if self._colours is not None and np.array_equal(numbers, self._colours):
            return  # ten thousand names of colours take long to send
        self._colours = numbers.copy()
        names = np.array([*COLOURS, _GREY])
        with self.widget.batch_update():
            self._points.marker.color = names[np.where(numbers < 0, len(COLOURS), numbers % len(COLOURS))].tolist()

    def highlight(self, indices: Sequence[int] | None) -> None:
        """Dim all points but some.

        Parameters
        ----------
        indices : sequence of int or None
            The points that are not dimmed; None for all.
        """
        if self._count:
            self._points.selectedpoints = None if indices is None else [int(k) for k in indices]

    def ring(self, index: int | None) -> None:
        """Draw a ring around a point.

        Parameters
        ----------
        index : int or None
            The point; None for no ring.
        """
        if self._count:
            # the places, not what plotly's points have: another thread may be making those
            x, y = self._places[:, [] if index is None else [index]]
            with self.widget.batch_update():
                self._ring.x, self._ring.y = x, y

    def _create_traces(self, count: int) -> None:
        kind = go.Scattergl if count > _MANY else go.Scatter
        size = float(np.clip(90 / np.sqrt(max(count, 1)), 3.5, 8))
        dimmed, clear = {"marker": {"opacity": 0.18}}, {"marker": {"opacity": 0.95}}
        marker = {"size": size, "line": {"width": 0}}
        points = kind(mode="markers", hoverinfo="none", marker=marker, selected=clear, unselected=dimmed)
        ring = {"size": size + 7, "symbol": "circle-open", "color": "#ff2d2d", "line": {"width": 2.5}}
        with self.widget.batch_update():
            self.widget.data = []
            self.widget.add_traces([points, kind(mode="markers", hoverinfo="skip", marker=ring)])
        self._points, self._ring = self.widget.data
        self._count, self._colours = count, None
        self._points.on_hover(lambda trace, points, state: self._first(points, self.on_hover))
        self._points.on_click(lambda trace, points, state: self._first(points, self.on_pick))
        self._points.on_selection(lambda trace, points, state: self._several(points))

    def _first(self, points: Any, act: Callable[[int], object]) -> None:
        if points.point_inds:
            act(int(points.point_inds[0]))

    def _several(self, points: Any) -> None:
        if points.point_inds:
            self.on_lasso(sorted(map(int, points.point_inds)))


def _range_of(values: np.ndarray) -> list[float]:
    """A range of the axis that holds all values with a margin."""
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 1.0
    return [low - margin, high + margin]
