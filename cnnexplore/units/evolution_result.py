"""Units at the checkpoints of a training: the result of `evolution`, its picture and its table."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import drawing
from ..arguments import output, whole
from ..results import FORMATS, Result, writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Evolution(Result):
    """Units at T checkpoints of a training; row t of an array is of checkpoint t, column j of unit j of `units`.

    Attributes
    ----------
    checkpoints : list of str
        The checkpoints' names, such as "step 100".
    units : list of int
        The units.
    names : list of str
        What they are called: class labels, or "unit 7".
    layer : str
        Their layer.
    values : np.ndarray
        (T, U), the largest response to an image; with `same_image`, to that image.
    indices : np.ndarray
        (T, U) int, the image's number in the data set.
    positions : np.ndarray
        (T, U, 2) int, (row, column) of the response on the layer's map.
    selectivity : np.ndarray
        (T, U), the class selectivity index, 0 (answers to all classes alike) to 1 (to one only); not a number where
        the images have no labels, or the unit never responds.
    preferred : np.ndarray
        (T, U) int, the class that it answers to most; -1 for none.
    classes : list of str
        The names of the classes.
    patches : list of list of np.ndarray
        [t][j], (h, w, 3) uint8, the part of the image that the unit sees.
    projections : list of list of np.ndarray
        [t][j], (h, w, 3) uint8, the pattern in it that excited the unit, sent back to the pixels.
    filters : list of list of np.ndarray or None
        [t][j], (h, w, 3) uint8, the decoded filters; None where the layer cannot be decoded.
    words : list of list of str
        [t][j], the concept that the unit detects best; empty without a data set of concepts.
    scores : np.ndarray
        (T, U), the intersection over union of that concept; not a number without one.
    same_image : bool
        Whether all checkpoints of a unit show the same image.
    rule : str
        The backward rule of the projections.
    total : int
        How many checkpoints there are; a stream gives the first ones.
    python : str
        The call that makes this result again.
    """

    checkpoints: list[str]
    units: list[int]
    names: list[str] = field(repr=False)
    layer: str
    values: np.ndarray = field(repr=False)
    indices: np.ndarray = field(repr=False)
    positions: np.ndarray = field(repr=False)
    selectivity: np.ndarray = field(repr=False)
    preferred: np.ndarray = field(repr=False)
    classes: list[str] = field(repr=False)
    patches: list[list[np.ndarray]] = field(repr=False)
    projections: list[list[np.ndarray]] = field(repr=False)
    filters: list[list[np.ndarray]] | None = field(repr=False)
    words: list[list[str]] = field(repr=False)
    scores: np.ndarray = field(repr=False)
    same_image: bool = False
    rule: str = "deconvnet"
    total: int = 0
    python: str = field(default="", repr=False)

    def __len__(self) -> int:
        return len(self.checkpoints)

    def class_of(self, checkpoint: int, unit: int) -> str:
        """The class that a unit answers to most; empty for none.

        Parameters
        ----------
        checkpoint : int
            The row.
        unit : int
            The column.
        """
        row = whole(0, len(self) - 1, "the number of a checkpoint")("checkpoint", checkpoint)
        column = whole(0, len(self.units) - 1, "the number of a column")("unit", unit)
        number = int(self.preferred[row, column])
        return "" if number < 0 else self.classes[number] if number < len(self.classes) else f"class {number}"

    def describe(self, checkpoint: int, unit: int) -> str:
        """A line about a unit at a checkpoint: response, image, selectivity and concept.

        Parameters
        ----------
        checkpoint : int
            The row.
        unit : int
            The column.
        """
        name = self.class_of(checkpoint, unit)
        words = [f"response {self.values[checkpoint, unit]:.3g}", f"image {self.indices[checkpoint, unit]}"]
        if name:
            words.append(f"{name} {self.selectivity[checkpoint, unit]:.2f}")
        if self.words[checkpoint][unit]:
            words.append(f"{self.words[checkpoint][unit]} {self.scores[checkpoint, unit]:.2f}")
        return ", ".join(words)

    def plot(self, most: int = 4) -> Figure:
        """A matplotlib figure: for each of the first units its patch, projection and filter at every checkpoint.

        Parameters
        ----------
        most : int
            How many units at most.
        """
        from matplotlib.figure import Figure

        most = whole(1, 64, "how many units at most")("most", most)
        count = min(most, len(self.units))
        kinds = ["patch", self.rule.replace("_", " "), *(["decoded filter"] if self.filters is not None else [])]
        rows, columns = count * (len(kinds) + 1), len(self)
        ratios = [*([1.0] * len(kinds)), 0.8] * count
        figure = Figure(figsize=(0.95 * columns + 0.9, 1.05 * sum(ratios) + 0.5), layout="constrained", dpi=110)
        grid = figure.add_gridspec(rows, columns, height_ratios=ratios)
        for unit in range(count):
            for k, kind in enumerate(kinds):
                pictures = (self.patches, self.projections, self.filters)[k]
                assert pictures is not None
                for t in range(columns):
                    axis = figure.add_subplot(grid[unit * (len(kinds) + 1) + k, t])
                    axis.imshow(pictures[t][unit], interpolation="nearest")
                    axis.set_xticks([])
                    axis.set_yticks([])
                    if t == 0:
                        name = f"{self.names[unit]}\n{kind}" if k == 0 else kind
                        axis.set_ylabel(drawing.printable(name), fontsize=7, parse_math=False)
                    if k == 0:
                        text = f"{self.checkpoints[t]}\nimage {self.indices[t, unit]}"
                        axis.set_title(drawing.printable(text), fontsize=6.5, pad=2, parse_math=False)
            self._draw_numbers(figure.add_subplot(grid[unit * (len(kinds) + 1) + len(kinds), :]), unit)
        which = "the same image" if self.same_image else "the strongest image"
        title = f"{self.layer} through training: {which} of each checkpoint"
        if any(map(any, self.words)):
            title += "\nunder each checkpoint: the concept that the unit detects best"
        elif (self.preferred >= 0).any():
            title += (
                "\nunder each checkpoint: the class that the unit answers to most; how selectively, the orange line"
            )
        figure.suptitle(drawing.printable(title), fontsize=9, parse_math=False)
        return figure

    def _draw_numbers(self, axis: Any, unit: int) -> None:
        """The response and the selectivity of a unit at each checkpoint."""
        places = np.arange(len(self))
        axis.plot(places, self.values[:, unit], "o-", color="tab:blue", ms=3, lw=1)
        axis.set_ylabel("response", color="tab:blue", fontsize=7)
        axis.set_xlim(-0.5, len(self) - 0.5)
        axis.set_xticks(places, [""] * len(self))
        axis.tick_params(labelsize=6)
        words = [drawing.printable(self.words[t][unit] or self.class_of(t, unit)) for t in range(len(self))]
        for t, word in enumerate(words):
            axis.text(t, -0.08, word, fontsize=6, ha="center", va="top", transform=axis.get_xaxis_transform(),
                      parse_math=False)  # fmt: skip
        if np.isfinite(self.selectivity[:, unit]).any():
            other = axis.twinx()
            other.plot(places, self.selectivity[:, unit], "s--", color="tab:orange", ms=3, lw=1)
            other.set_ylim(0, 1.05)
            other.set_ylabel("selectivity", color="tab:orange", fontsize=7)
            other.tick_params(labelsize=6)

    def save(self, path: str | os.PathLike) -> None:
        """Write the numbers as a .csv file, one line for each checkpoint and unit, or the figure.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .csv, .png, .pdf, .svg or another suffix of an image format.
        """
        place = output(FORMATS | {".csv"})("path", path)
        if place.suffix.lower() != ".csv":
            return super().save(place)
        head = ["checkpoint", "unit", "response", "image", "row", "column", "selectivity", "class", "concept", "iou"]
        with writing(place), open(place, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(head)
            for t, label in enumerate(self.checkpoints):
                for j, unit in enumerate(self.units):
                    where = [int(self.indices[t, j]), *self.positions[t, j].tolist()]
                    numbers = [label, unit, float(self.values[t, j]), *where, float(self.selectivity[t, j])]
                    rows.writerow([*numbers, self.class_of(t, j), self.words[t][j], float(self.scores[t, j])])
