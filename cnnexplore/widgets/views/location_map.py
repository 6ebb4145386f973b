"""LocationMap: which positions of pool5 are open, switched with the mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w
import numpy as np
from numpy.typing import ArrayLike

from ...arguments import array
from ...errors import SettingError
from ...network import Network
from ...styles.classifier_head import classifier_head
from .frame_view import FrameView

# two shades each, so that neighbouring cells can be told apart
OPEN, CLOSED = np.array([[247, 181, 56], [255, 196, 84]], np.uint8), np.array([[52, 56, 66], [60, 64, 76]], np.uint8)
_SIDE = 150  # screen pixels of the map, about


def _open(places: Any) -> np.ndarray:
    """What was given as open positions, as bool."""
    return array("places", places, "an array of the map's shape, True where a position is open") != 0


class LocationMap:
    """The map of the first fully-connected layer's input; a click or a drag opens and closes positions.

    Parameters
    ----------
    net : Network
    places : array_like of bool, optional
        The open positions, (rows, columns); all by default.

    Attributes
    ----------
    mask : ndarray of bool
        The open positions, (rows, columns).
    view : FrameView
        The map.
    all : ipywidgets.Button
        Opens all positions.
    widget : ipywidgets.Widget
        Both of them.
    on_change : callable
        Called without arguments when the user has switched positions.

    Raises
    ------
    SettingError
        If `places` has another shape than the map, or none is open.
    NetworkError
        If the network has no fully-connected layers.
    """

    def __init__(self, net: Network, places: ArrayLike | None = None):
        self.net = net
        self.mask = np.ones(self._grid, bool) if places is None else _open(places)
        if self.mask.shape != self._grid or not self.mask.any():
            raise SettingError(
                f"places has shape {self.mask.shape} with {int(self.mask.sum())} open; expected {self._grid}, one "
                "or more open."
            )
        self.on_change: Callable[[], object] = lambda: None
        self.view = FrameView((1, 1), windows=True)
        self.view.on_window = self._switch
        layout = w.Layout(width="128px", margin="2px 0")  # a layout that is replaced later is never closed
        self.all = w.Button(description="open all", tooltip="open every position of pool5 again", layout=layout)
        self.all.on_click(lambda _: self._set_mask(np.ones(self._grid, bool)))
        self.widget = w.VBox([self.view, self.all], layout=w.Layout(margin="6px 14px 0 0", width="170px"))
        self._draw()

    def set_network(self, net: Network) -> None:
        """Show the map of another network with all positions open.

        Parameters
        ----------
        net : Network

        Raises
        ------
        NetworkError
            If the network has no fully-connected layers.
        """
        classifier_head(net)
        self.net = net
        self.mask = np.ones(self._grid, bool)
        self._draw()

    @property
    def text(self) -> str:
        """How many positions are open, in words; empty if all are."""
        count, total = int(self.mask.sum()), self.mask.size
        return "" if count == total else f"{count} of {total} places"

    @property
    def box(self) -> list[float]:
        """(top, left, bottom, right) in input pixels around the cells of the open positions; empty if all are open."""
        pool = classifier_head(self.net).pool
        if self.mask.all() or pool is None:
            return []
        ends = [np.flatnonzero(self.mask.any(axis))[[0, -1]] for axis in (1, 0)]
        cells = zip(ends, pool.rf_offset, pool.rf_stride, strict=True)
        (top, bottom), (left, right) = ((o + s * (a - 0.5), o + s * (b + 0.5)) for (a, b), o, s in cells)
        return [float(v) for v in (top, left, bottom, right)]

    @property
    def _grid(self) -> tuple[int, int]:
        """(rows, columns) of pool5; (1, 1) where it is no map."""
        shape = classifier_head(self.net).shape
        return (shape[1], shape[2]) if len(shape) == 3 else (1, 1)

    def _draw(self) -> None:
        rows, columns = self._grid
        odd = np.add.outer(np.arange(rows), np.arange(columns)) % 2
        self.view.resize((rows, columns), max(1, _SIDE // max(rows, columns)))
        self.view.clear_box()
        self.view.draw(np.where(self.mask[..., None], OPEN[odd], CLOSED[odd]))
        pool = classifier_head(self.net).pool
        name = pool.name if pool is not None else "pool5"
        help_text = f"{self.text} pass; click or drag to switch" if self.text else "drag the places that may pass"
        self.view.caption = f"{name}: {help_text}"
        self.all.layout.visibility = "visible" if self.text else "hidden"
        self.widget.layout.display = "none" if self.mask.size == 1 else ""

    def _switch(self, top: int, left: int, bottom: int, right: int) -> None:
        mask = self.mask.copy()
        window = mask[top:bottom, left:right]
        if mask.all():
            mask[:] = False
            window[:] = True  # the first drag names what stays open
        else:
            window[:] = not window[0, 0]
        self._set_mask(mask if mask.any() else np.ones(self._grid, bool))  # with none open nothing could be seen

    def _set_mask(self, mask: np.ndarray) -> None:
        self.mask = mask
        self._draw()
        self.on_change()
