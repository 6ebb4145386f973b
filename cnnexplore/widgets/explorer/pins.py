"""Pins: pictures that are kept with what was selected, to be compared and gone back to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import ipywidgets as w
import numpy as np

from ... import drawing
from ...arguments import checked, whole
from ...errors import SettingError
from ...results import Result
from ..elements import button
from ..live.selection import Selection
from ..views.unit_grid import UnitGrid

_SIDE, _SHOWN = 128, 72  # pixels of a thumbnail, and on the screen
_MOST = 60  # pinned pictures


@dataclass(frozen=True)
class Pin:
    """A picture that was pinned.

    Attributes
    ----------
    picture : np.ndarray
        (H, W, 3) uint8.
    caption : str
        What it shows, with the number that judges it.
    python : str
        The line of Python that makes it again; empty if there is none.
    question : str
        The question that it answers, a name of `QUESTIONS`.
    selection : Selection
        What was selected.
    settings : dict
        The settings of its panel by name.
    """

    picture: np.ndarray = field(repr=False)
    caption: str
    python: str
    question: str
    selection: Selection = field(repr=False)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PinSheet(Result):
    """Pinned pictures side by side, each with its caption.

    Attributes
    ----------
    pins : tuple of Pin
    python : str
        The lines of Python that make the pictures again.
    """

    pins: tuple[Pin, ...]
    python: str = ""

    def plot(self) -> drawing.Figure:
        """A matplotlib figure of the pictures in rows of up to five."""
        return drawing.picture_grid(
            [pin.picture for pin in self.pins], [_lines(pin.caption) for pin in self.pins], 5, inches=2.2
        )


class Pins:
    """A row of pinned pictures; a click on one shows it again.

    Parameters
    ----------
    restore : callable
        Called with a pin whose picture was clicked.
    download : callable
        Called with the name and the bytes of a PNG.

    Attributes
    ----------
    pinned : list of Pin
    """

    def __init__(self, restore: Callable[[Pin], None], download: Callable[[str, bytes], None]):
        self.pinned: list[Pin] = []
        self._restore, self._download = restore, download
        self._quiet = False
        self.grid = UnitGrid(rows=1, labelled=True, label="pinned pictures")
        self.grid.layout.flex = "1 1 300px"
        self.grid.on_select(self._chosen)
        self.grid.on_action = self._remove_selected
        self.sheet_button = button(
            "sheet", "download", "save all pinned pictures as one PNG, with their Python", self._save
        )
        self.widget = w.HBox([self.grid, self.sheet_button], layout=w.Layout(align_items="center", grid_gap="8px"))
        self.widget.add_class("cx-pins")
        self._show()

    def add(self, pin: Pin) -> None:
        """Pin a picture.

        Parameters
        ----------
        pin : Pin

        Raises
        ------
        SettingError
            If there are too many.
        """
        if len(self.pinned) >= _MOST:
            raise SettingError(f"{_MOST} pictures are pinned; remove one first.")
        self.pinned.append(pin)
        self._show(len(self.pinned) - 1)

    @checked(number=whole(0, what="the number of a pinned picture"))
    def remove(self, number: int) -> None:
        """Forget a pinned picture.

        Parameters
        ----------
        number : int
            From 0 on.
        """
        if number < len(self.pinned):
            del self.pinned[number]
            self._show()

    def leave(self) -> None:
        """Mark none: something else is shown."""
        self._mark(-1)

    def sheet(self) -> PinSheet:
        """All pinned pictures as one result.

        Returns
        -------
        PinSheet
            Empty if nothing is pinned.
        """
        return PinSheet(tuple(self.pinned), "\n".join(pin.python for pin in self.pinned if pin.python))

    def _show(self, marked: int = -1) -> None:
        self.widget.layout.display = "" if self.pinned else "none"
        self.grid.reset(len(self.pinned), _SIDE, [pin.caption for pin in self.pinned])
        self.grid.shown = _SHOWN
        for k, pin in enumerate(self.pinned):
            self.grid.put(k, pin.picture)
        self._mark(marked)

    def _mark(self, number: int) -> None:
        self._quiet = True
        try:
            self.grid.selected = number
        finally:
            self._quiet = False
        count = len(self.pinned)
        self.grid.note = f"{count} pinned; a click shows one again" if count > 1 else "pinned; a click shows it again"
        self.grid.action = "remove" if number >= 0 else ""

    def _chosen(self, number: int) -> None:
        if self._quiet or not 0 <= number < len(self.pinned):
            return
        self._restore(self.pinned[number])
        self._mark(number)

    def _remove_selected(self) -> None:
        if self.grid.selected >= 0:
            self.remove(self.grid.selected)

    def _save(self) -> None:
        self._download("pinned.png", self.sheet()._repr_png_())


def _lines(caption: str, width: int = 30) -> str:
    """A caption in lines of about so many characters."""
    lines = [""]
    for word in caption.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
