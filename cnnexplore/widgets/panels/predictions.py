"""Predictions: the likeliest classes of an image with their probabilities, as buttons that choose a class."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import ipywidgets as w

from ...errors import ExploreError
from ...network import Network
from ..elements import WRAP, sentence


class Predicted(NamedTuple):
    """A class that a network predicts: its number, its label and its probability."""

    target: int
    label: str
    probability: float


def predicted(net: Network, image: Any, k: int = 3) -> list[Predicted]:
    """The likeliest classes of an image; none where the network does not end in one score per class.

    Parameters
    ----------
    net : Network
    image : image
        What `Network.pixels_of` takes; one.
    k : int
        How many.

    Returns
    -------
    list of Predicted
        The likeliest first.
    """
    try:
        found = net.predict(image, k)
    except ExploreError:
        return []
    scores = net.activations(image, net.scores.name).flatten()
    order = scores.topk(min(k, len(scores))).indices.tolist()
    return [Predicted(target, *row) for target, row in zip(order, found, strict=False)]


class Predictions:
    """A row of buttons, one per class.

    Parameters
    ----------
    on_choose : callable
        Called with the number of a class when its button is pressed.

    Attributes
    ----------
    widget : ipywidgets.HBox
        The row; hidden while there is nothing to show.
    """

    def __init__(self, on_choose: Callable[[int], None]):
        self.on_choose = on_choose
        self._rows: list[Predicted] = []
        self._head = w.HTML(layout=w.Layout(margin="5px 4px 2px 0"))
        self._buttons: list[w.Button] = []
        self.widget = w.HBox([self._head], layout=w.Layout(display="none", **WRAP))

    def show(self, rows: list[Predicted], classes: int, target: int | None = None) -> None:
        """Show other classes.

        Parameters
        ----------
        rows : list of Predicted
        classes : int
            How many classes the network knows.
        target : int, optional
            The class that is explained, whose button is marked.
        """
        self._rows = rows
        self._head.value = sentence(f"of its {classes} classes the network predicts")
        while len(self._buttons) < len(rows):
            made = w.Button(layout=w.Layout(width="auto", margin="2px"))
            made.on_click(partial(self._pressed, len(self._buttons)))
            self._buttons.append(made)
        for row, made in zip(rows, self._buttons, strict=False):
            made.description = f"{row.label} {_percent(row.probability)}"
            made.tooltip = f"explain {row.label}; its probability is {row.probability:.2%}"
        self.widget.children = (self._head, *self._buttons[: len(rows)])
        self.widget.layout.display = "" if rows else "none"
        self.mark(target)

    def mark(self, target: int | None) -> None:
        """Mark the class that is explained."""
        for row, made in zip(self._rows, self._buttons, strict=False):
            made.style.font_weight = "bold" if row.target == target else ""
            made.style.text_decoration = "underline" if row.target == target else ""

    def _pressed(self, k: int, button: w.Button) -> None:
        if k < len(self._rows):
            self.on_choose(self._rows[k].target)

    @property
    def hidden_widgets(self) -> list[w.Widget]:
        """The buttons, of which some are not in the row."""
        return list(self._buttons)


def _percent(probability: float) -> str:
    """A probability for a button: two digits, and none that says 0 or 100 % of what is neither."""
    percent = 100 * probability
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.1f} %"
