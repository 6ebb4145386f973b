"""ClassBars: what a network predicts for an image, as bars, of which one is chosen."""

from __future__ import annotations

from collections.abc import Sequence
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
    """

    _files = "class_bars"
    _from_browser = frozenset({"selected"})
    rows = traitlets.List(traitlets.Dict()).tag(sync=True)
    selected = traitlets.Int(-1).tag(sync=True)
    title = traitlets.Unicode("").tag(sync=True)

    def __init__(self, **traits: Any):
        super().__init__(**traits)

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

    def _check(self, name: str, value: object) -> object:
        numbers = {-1, *(row["number"] for row in self.rows)}
        if isinstance(value, bool) or not isinstance(value, int) or value not in numbers:
            raise MalformedMessage(name)
        return value
