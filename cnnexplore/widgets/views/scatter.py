"""Scatter: many images as points that can be looked at, clicked and lassoed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import plotly.graph_objects as go

_MANY = 1500  # points from which on WebGL draws them; below, what every browser has does it better
COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999933", "#882255", "#44aa99", "#aa4499",
    "#117733", "#ddcc77", "#332288", "#88ccee", "#661100", "#6699cc", "#cc6677", "#777777", "#3366aa", "#ee8866",
)  # fmt: skip


class Scatter:
    """A plotly figure of points in colours, without axes.

    on_hover(k), on_pick(k) and on_lasso(places) are called from the kernel's thread when a point is looked at or
    clicked, or some are encircled.
    """

    def __init__(self, width: int = 440, height: int = 330):
        self.on_hover: Callable[[int], None] = lambda k: None
        self.on_pick: Callable[[int], None] = lambda k: None
        self.on_lasso: Callable[[list[int]], None] = lambda places: None
        self._count, self._painted = 0, None
        still = {"visible": False, "zeroline": False, "showgrid": False}
        self.widget = go.FigureWidget(
            layout={
                "width": width, "height": height, "margin": {"l": 4, "r": 4, "t": 4, "b": 4}, "showlegend": False,
                "dragmode": "lasso", "hovermode": "closest", "paper_bgcolor": "rgba(0,0,0,0)",
                "plot_bgcolor": "rgba(128,128,128,0.07)",
                "xaxis": still, "yaxis": still,
            }
        )  # fmt: skip

        self.widget._config = {"displayModeBar": False}  # it would lie over the points

    def show(self, points: np.ndarray, colours: Sequence[int]) -> None:
        """The points (N, 2); colours: (N,) numbers of colours, -1 for grey."""
        x, y = np.asarray(points, np.float32).T
        if len(x) != self._count:
            self._begin(len(x))
        with self.widget.batch_update():
            self._points.x, self._points.y = x, y
            self.widget.layout.xaxis.range, self.widget.layout.yaxis.range = _span(x), _span(y)
        self.paint(colours)

    def paint(self, colours: Sequence[int]) -> None:
        """Other colours for the same points."""
        numbers = np.asarray(colours)
        if self._painted is not None and np.array_equal(numbers, self._painted):
            return  # ten thousand names of colours are slow to send
        self._painted = numbers.copy()
        names = np.array([*COLOURS, "#999999"])
        with self.widget.batch_update():
            self._points.marker.color = names[np.where(numbers < 0, len(COLOURS), numbers % len(COLOURS))].tolist()

    def highlight(self, places: Sequence[int] | None) -> None:
        """Dims all but some points, or none."""
        if self._count:
            self._points.selectedpoints = None if places is None else [int(k) for k in places]

    def ring(self, place: int | None) -> None:
        """Draws a ring around a point."""
        if self._count:
            x, y = ([], []) if place is None else ([self._points.x[place]], [self._points.y[place]])
            with self.widget.batch_update():
                self._ring.x, self._ring.y = x, y

    def _begin(self, count: int) -> None:
        """New traces: their number of points, and who draws them, is another."""
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
        self._count, self._painted = count, None
        self._points.on_hover(lambda trace, points, state: self._each(points, self.on_hover))
        self._points.on_click(lambda trace, points, state: self._each(points, self.on_pick))
        self._points.on_selection(lambda trace, points, state: self._several(points))

    def _each(self, points, act: Callable[[int], None]) -> None:
        if points.point_inds:
            act(int(points.point_inds[0]))

    def _several(self, points) -> None:
        if points.point_inds:
            self.on_lasso(sorted(map(int, points.point_inds)))


def _span(values: np.ndarray) -> list[float]:
    """From below the least to above the largest."""
    low, high = float(values.min()), float(values.max())
    room = 0.06 * (high - low) or 1.0
    return [low - room, high + room]
