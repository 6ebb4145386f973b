"""Sheet: a figure of pictures in rows, with a line under each, and the results that they show."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import drawing
from ..results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRAME = "tab:orange"


@dataclass(frozen=True)
class Cell:
    """One picture of a sheet.

    Attributes
    ----------
    picture : np.ndarray
        (H, W, 3) uint8.
    title : str
        Text above the picture.
    box : tuple of float, optional
        A rectangle in white, (top, left, bottom, right) in pixels.
    result : object
        The result that the picture shows; None for an input image.
    framed : bool
        Whether a coloured frame marks the picture.
    """

    picture: np.ndarray = field(repr=False)
    title: str = ""
    box: tuple[float, float, float, float] | None = None
    result: Any = field(default=None, repr=False)
    framed: bool = False


@dataclass(frozen=True)
class Sheet(Result):
    """A figure: rows of pictures.

    Attributes
    ----------
    title : str
        Title of the figure.
    rows : list of list of Cell
        The pictures, row by row.
    data : dict
        Numbers behind the figure that no cell holds, by name.
    inches : float
        The width of a picture.
    python : str
        The call that makes the figure again.
    """

    title: str
    rows: list[list[Cell]]
    data: dict[str, Any] = field(default_factory=dict, repr=False)
    inches: float = 1.5
    python: str = field(default="", repr=False)

    @property
    def results(self) -> list[Any]:
        """The results that the cells show, row by row."""
        return [cell.result for row in self.rows for cell in row if cell.result is not None]

    def plot(self, inches: float | None = None) -> Figure:
        """A matplotlib figure.

        Parameters
        ----------
        inches : float, optional
            The width of a picture (default: the sheet's own).

        Returns
        -------
        matplotlib.figure.Figure
            The pictures in a grid, with their titles.
        """
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

        inches, columns = inches or self.inches, max(len(row) for row in self.rows)
        tallest = [max((cell.picture.shape[0] / cell.picture.shape[1] for cell in row), default=1) for row in self.rows]
        titles = [[_wrap(cell.title, inches, 7) for cell in row] for row in self.rows]
        lines = [max((title.count("\n") + bool(title) for title in row), default=0) for row in titles]
        heading = _wrap(self.title, inches * columns, 9)
        height = inches * sum(tallest) + 0.16 * sum(lines) + 0.2 * (heading.count("\n") + 2)
        drawn = Figure(figsize=(inches * columns, height), layout="constrained", dpi=150)
        drawn.suptitle(heading, fontsize=9, parse_math=False)
        grid = drawn.subplots(len(self.rows), columns, squeeze=False, height_ratios=tallest)
        for axes, row, names in zip(grid, self.rows, titles, strict=True):
            for axis in axes:
                axis.set_axis_off()
            for axis, cell, title in zip(axes, row, names, strict=False):
                shrunk = max(cell.picture.shape[:2]) > drawn.dpi * inches
                axis.imshow(cell.picture, interpolation="antialiased" if shrunk else "nearest")
                axis.set_title(title, fontsize=7, pad=3, parse_math=False)
                if cell.framed:
                    axis.add_patch(
                        Rectangle((0, 0), 1, 1, fill=False, edgecolor=FRAME, lw=2.5, transform=axis.transAxes)
                    )
                if cell.box is not None:
                    top, left, bottom, right = cell.box
                    axis.add_patch(
                        Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor="white", lw=1)
                    )
                    axis.set_xlim(-0.5, cell.picture.shape[1] - 0.5)
                    axis.set_ylim(cell.picture.shape[0] - 0.5, -0.5)
        return drawn


def _wrap(text: str, inches: float, points: float) -> str:
    """Text in lines that fit a width, at the average width of a letter; its own line breaks stay."""
    letters = max(8, int(inches * 72 / (0.55 * points)))
    lines = drawing.printable(text).split("\n")
    return "\n".join(textwrap.fill(line, letters, break_long_words=False) for line in lines)
