"""Chart: a figure that is a diagram of numbers, with the numbers behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Chart(Result):
    """A figure of bars or curves.

    Attributes
    ----------
    title : str
        Title of the figure.
    draw : callable
        Makes the matplotlib figure.
    data : dict
        The numbers behind it: "table", a list of rows, and "result".
    python : str
        The call that makes the figure again.
    """

    title: str
    draw: Callable[[], Figure] = field(repr=False)
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    python: str = field(default="", repr=False)

    def plot(self) -> Figure:
        """A matplotlib figure of the chart."""
        return self.draw()
