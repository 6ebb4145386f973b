"""Dissections side by side: of several layers, networks or checkpoints."""

from __future__ import annotations

import csv
import html
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import drawing
from ..arguments import checked, choice, output
from ..errors import SettingError, brief_value
from ..results import FORMATS, Result, writing
from .detectors import BY, total
from .dissection import Dissection
from .dissection_plot import COLOURS, OTHER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_BARS = 12


@dataclass(frozen=True, eq=False)
class DissectionComparison(Result):
    """Detectors of several dissections by category.

    Attributes
    ----------
    dissections : dict of str to Dissection
        The dissections by name.
    by : str
        "category" or "word": how detectors are counted.
    python : str
        The call that makes this result again.
    """

    dissections: dict[str, Dissection] = field(repr=False)
    by: str = "category"
    python: str = field(default="", repr=False)

    @property
    def categories(self) -> list[str]:
        """All categories, in a fixed order."""
        found = {category for one in self.dissections.values() for category in one.categories}
        return [c for c in COLOURS if c in found] + sorted(found - set(COLOURS))

    @property
    def table(self) -> list[dict[str, Any]]:
        """A row for each dissection: unique detectors by category and in sum, units with a word, units, images, and
        the unique detectors of its null where it has one."""
        rows = []
        for name, one in self.dissections.items():
            counts = one.counts(self.by)
            row: dict[str, Any] = {"name": name, "layer": one.layer.name}
            row |= {c: counts[c].unique if c in counts else 0 for c in self.categories}
            row |= {"unique": total(counts).unique, "detectors": len(one.detectors), "units": len(one)}
            row |= {"dead": int(one.dead.sum()), "images": one.seen}
            row["null"] = "" if one.null is None else total(one.null.counts(self.by)).unique
            rows.append(row)
        return rows

    def _cells(self) -> list[list[str]]:
        table = self.table
        return [list(table[0]), *([str(value) for value in row.values()] for row in table)]

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = []
        for row in cells:
            sides = [str.ljust if k < 2 else str.rjust for k in range(len(row))]
            lines.append("  ".join(side(cell, w) for side, cell, w in zip(sides, row, widths, strict=True)).rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        head, *body = [[html.escape(cell) for cell in row] for row in self._cells()]
        rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in body)
        header = "".join(f"<th>{cell}</th>" for cell in head)
        return f"<table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"

    def plot(self) -> Figure:
        """A matplotlib figure: unique detectors by category, stacked; for many dissections as areas."""
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        names, table = list(self.dissections), self.table
        many = len(names) > _MOST_BARS
        width = 6.4 if many else 2.4 + 0.62 * len(names)
        figure = Figure(figsize=(max(width, 4.6), 3.4), layout="constrained", dpi=110)
        axis = figure.subplots()
        places = list(range(len(names)))
        below = [0] * len(names)
        for category in self.categories:
            values = [row[category] for row in table]
            colour = COLOURS.get(category, OTHER)
            label = drawing.printable(category)
            above = [a + b for a, b in zip(below, values, strict=True)]
            if many:
                axis.fill_between(places, below, above, color=colour, label=label, lw=0)
            else:
                axis.bar(places, values, 0.7, bottom=below, color=colour, label=label)
            below = above
        if not many:
            for place, value in zip(places, below, strict=True):
                axis.annotate(str(value), (place, value), ha="center", va="bottom", fontsize=7)
        if any(row["null"] != "" for row in table):
            nulls = [row["null"] if row["null"] != "" else float("nan") for row in table]
            axis.plot(places, nulls, "k_", ms=14, label="null")
        axis.set_xticks(places, [drawing.printable(name) for name in names], fontsize=7, rotation=40, ha="right",
                        rotation_mode="anchor", parse_math=False)  # fmt: skip
        axis.tick_params(axis="y", labelsize=7)
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        axis.set_ylabel("different concepts detected", fontsize=8)
        axis.margins(y=0.1)
        axis.spines[["top", "right"]].set_visible(False)
        legend = axis.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), reverse=True)
        for text in legend.get_texts():
            text.set_parse_math(False)
        threshold = next(iter(self.dissections.values())).threshold
        axis.set_title(f"Unique detectors (IoU > {threshold:g})", fontsize=9, loc="left")
        return figure

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table, or the picture.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .csv for the table, else one of an image format.

        Raises
        ------
        SettingError
            If the suffix is neither, or the file cannot be written.
        """
        place = output(FORMATS | {".csv"})("path", path)
        if place.suffix.lower() != ".csv":
            return super().save(place)
        with writing(place), open(place, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(self._cells())


def _dissections(name: str, value: Any) -> dict[str, Dissection]:
    """Dissections by name; those of a list are named by their networks and layers."""
    found: dict[str, Any] = {"": None}
    if isinstance(value, Mapping) and value and all(isinstance(key, str) for key in value):
        found = dict(value)
    elif isinstance(value, Sequence) and not isinstance(value, str) and 0 < len(value) <= 10_000:
        found = {str(k): one for k, one in enumerate(value)}
    if all(isinstance(one, Dissection) for one in found.values()):
        return found if isinstance(value, Mapping) else _named(list(found.values()))
    raise SettingError(f"{name} is {brief_value(value)}; expected results of cx.dissect, in a list or by name.")


def _named(dissections: list[Dissection]) -> dict[str, Dissection]:
    """By the names of the layers, and of the networks where there are several."""
    several = len({id(one.net) for one in dissections}) > 1, len({one.layer.name for one in dissections}) > 1
    found: dict[str, Dissection] = {}
    for one in dissections:
        words = [one.net.name] * several[0] + [one.layer.name] * (several[1] or not several[0])
        label, k = " ".join(words), 2
        while label in found:
            label, k = f"{' '.join(words)} ({k})", k + 1
        found[label] = one
    return found


@checked(dissections=_dissections, by=choice(BY))
def compare_dissections(
    dissections: Mapping[str, Dissection] | Sequence[Dissection], *, by: str = "category"
) -> DissectionComparison:
    """Compare what the units of several layers, networks or checkpoints detect.

    Parameters
    ----------
    dissections : mapping of str to Dissection, or sequence of Dissection
        The dissections, by name or in a list; best of one data set, since the scores depend on it.
    by : {"category", "word"}
        "category": a unit counts in each category whose best concept it detects, as in the published bar charts.
        "word": a unit counts in the category of its best concept alone.

    Returns
    -------
    DissectionComparison
        A table and a chart of unique detectors by category.

    Raises
    ------
    SettingError
        If there is no dissection.

    References
    ----------
    Bau et al., Network dissection, 2017, sections 3.3 to 3.6.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> scenes = cx.world.dataset(20, seed=1)
    >>> found = cx.dissect(cx.load("worldnet"), ["conv2", "conv5"], scenes, cache=False, progress=False)
    >>> [row["name"] for row in cx.compare_dissections(found).table]
    ['conv2', 'conv5']
    """
    named = _dissections("dissections", dissections)
    python = f"cx.compare_dissections({{{', '.join(f'{name!r}: {one.to_python()}' for name, one in named.items())}}}"
    return DissectionComparison(named, by, python + ("" if by == "category" else f", by={by!r}") + ")")
