"""Sheet: pictures in rows with a line under each, and the results that they show."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field

import numpy as np

FRAME = "tab:orange"


@dataclass(frozen=True)
class Cell:
    """One picture of a sheet.

    box: (top, left, bottom, right) in pixels, drawn in white. framed: stands out. result: what it shows.
    """

    picture: np.ndarray = field(repr=False)
    title: str = ""
    box: tuple[float, float, float, float] | None = None
    result: object = field(default=None, repr=False)
    framed: bool = False


class Drawn:
    """What has a `plot` that makes a matplotlib figure: can be saved, and shows itself in a notebook."""

    def save(self, path: str | os.PathLike) -> None:
        """Writes the figure in the format of the path's suffix (png, pdf, svg)."""
        self.plot().savefig(path)

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.plot().savefig(file, format="png")
        return file.getvalue()


@dataclass(frozen=True)
class Sheet(Drawn):
    """A figure: rows of cells. `sheet.results` are the runs behind it, `sheet.data` other numbers, by name.

    inches: how wide a picture is drawn.
    """

    title: str
    rows: list[list[Cell]]
    data: dict[str, object] = field(default_factory=dict, repr=False)
    inches: float = 1.5

    @property
    def results(self) -> list:
        return [cell.result for row in self.rows for cell in row if cell.result is not None]

    def plot(self, inches: float | None = None):
        """A matplotlib figure, each picture `inches` wide (default: the sheet's own)."""
        from matplotlib.figure import Figure
        from matplotlib.patches import Rectangle

        inches, columns = inches or self.inches, max(len(row) for row in self.rows)
        tallest = [max((cell.picture.shape[0] / cell.picture.shape[1] for cell in row), default=1) for row in self.rows]
        lines = [max((cell.title.count("\n") + bool(cell.title) for cell in row), default=0) for row in self.rows]
        size = (inches * columns, inches * sum(tallest) + 0.16 * sum(lines) + 0.4)
        drawn = Figure(figsize=size, layout="constrained", dpi=150)
        drawn.suptitle(self.title, fontsize=9)
        grid = drawn.subplots(len(self.rows), columns, squeeze=False, height_ratios=tallest)
        for axes, row in zip(grid, self.rows, strict=True):
            for axis in axes:
                axis.set_axis_off()
            for axis, cell in zip(axes, row, strict=False):
                fine = max(cell.picture.shape[:2]) > drawn.dpi * inches  # more pixels than there is room for
                axis.imshow(cell.picture, interpolation="antialiased" if fine else "nearest")
                axis.set_title(cell.title, fontsize=7, pad=3)
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
