"""ClassBars: what a network predicts for an image, as bars, of which one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import traitlets

from .messages import MalformedMessage
from .view import View


class ClassBars(View):
    """The likeliest classes of an image with their probabilities; a click chooses one, a second click none.

    Parameters
    ----------
    **traits
        Values of the attributes below, or of any other trait of a widget.

    Attributes
    ----------
    rows : list of dict
        For each class its number, name and probability.
    selected : int
        The number of the chosen class, or -1.
    title : str
        The line above.
    on_choose : callable
        Called with the number of a class that a person chooses, or with None for no class any more.
    """

    _files = "class_bars"
    _from_browser = frozenset({"selected"})
    rows = traitlets.List(traitlets.Dict()).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)

    def __init__(self, **traits: Any):
        super().__init__(**traits)
        self.on_choose: Callable[[int | None], object] = lambda number: None

    def show(self, classes: Sequence[tuple[int, str, float]], title: str) -> None:
        """Show the predictions of another image.

        Parameters
        ----------
        classes : sequence of tuple
            (number, name, probability) of each class, the likeliest first.
        title : str
        """
        with self.hold_sync():
            self.title = title
            self.rows = [{"number": int(k), "name": name, "share": float(p)} for k, name, p in classes]

    def mark(self, number: int | None) -> None:
        """Mark a class as chosen, if it is among those that are shown.

        Parameters
        ----------
        number : int or None
        """
        known = {row["number"] for row in self.rows}
        self.selected = number if number is not None and number in known else -1

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Take the class that a person chose."""
        before = self.selected
        super().set_state(sync_data)
        if self.selected != before:
            self.on_choose(None if self.selected < 0 else self.selected)

    def _check(self, name: str, value: object) -> object:
        numbers = {-1, *(row["number"] for row in self.rows)}
        if isinstance(value, bool) or not isinstance(value, int) or value not in numbers:
            raise MalformedMessage(name)
        return value
