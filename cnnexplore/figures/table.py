"""Table: means and standard deviations over images beside published numbers; a long measurement can be resumed."""

from __future__ import annotations

import csv
import html
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import output
from ..data.journal import Journal
from ..network import Network, read_image
from ..representations.network_digest import network_digest, value_digest
from ..results import FORMATS, Result, writing
from ..sweep import in_pieces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Place = tuple[str, str]  # row, column


@dataclass(frozen=True)
class Table(Result):
    """Shares in percent by row and column, each a mean over images beside the published mean.

    Attributes
    ----------
    title : str
        Title of the table.
    rows, columns : list of str
        Names of the rows and of the columns.
    values : dict
        (row, column) to one share (1 is 100 %) per image.
    published : dict
        (row, column) to the published mean in percent, where there is one.
    digits : int
        Digits after the decimal point.
    python : str
        The call that makes the table again.
    """

    title: str
    rows: list[str]
    columns: list[str]
    values: dict[Place, list[float]] = field(repr=False)
    published: dict[Place, float] = field(default_factory=dict, repr=False)
    digits: int = 1
    python: str = field(default="", repr=False)

    def mean(self, row: str, column: str) -> float:
        """The mean over images, in percent.

        Parameters
        ----------
        row, column : str
            Names of the row and of the column.

        Returns
        -------
        float
            The mean.
        """
        return 100 * float(np.mean(self.values[row, column]))

    def deviation(self, row: str, column: str) -> float:
        """The standard deviation over images, in percent.

        Parameters
        ----------
        row, column : str
            Names of the row and of the column.

        Returns
        -------
        float
            The standard deviation.
        """
        return 100 * float(np.std(self.values[row, column]))

    def cells(self) -> list[list[str]]:
        """Header and rows as text: "14.2 ± 3.1 (14.5)", the published mean in brackets."""
        lines = [["", *self.columns]]
        for row in self.rows:
            line = [row]
            for column in self.columns:
                known = self.published.get((row, column))
                published = "" if known is None else f" ({known:.{self.digits}f})"
                mean, deviation = self.mean(row, column), self.deviation(row, column)
                line.append(f"{mean:.{self.digits}f} ± {deviation:.{self.digits}f}{published}")
            lines.append(line)
        return lines

    def __str__(self) -> str:
        lines = self.cells()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([self.title, *text])

    def plot(self) -> Figure:
        """The table as a matplotlib figure."""
        from matplotlib.figure import Figure

        head, *body = [[drawing.printable(cell.replace("\n", " ")) for cell in line] for line in self.cells()]
        widths = [max(map(len, column)) + 3 for column in zip(head, *body, strict=True)]
        drawn = Figure(figsize=(0.075 * sum(widths), 0.24 * (len(body) + 1) + 0.4), dpi=150)
        drawn.suptitle(
            drawing.printable(self.title), fontsize=8, parse_math=False, y=1 - 0.06 / drawn.get_figheight(), va="top"
        )
        axis = drawn.add_axes((0.01, 0, 0.98, 1 - 0.35 / drawn.get_figheight()))
        axis.set_axis_off()
        shares = [width / sum(widths) for width in widths]
        grid = axis.table(body, colLabels=head, colWidths=shares, loc="center", edges="horizontal", cellLoc="right")
        grid.auto_set_font_size(False)
        grid.set_fontsize(8)
        for cell in grid.get_celld().values():
            cell.get_text().set_parse_math(False)
        return drawn

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .csv for comma-separated values, else one of an image format.

        Raises
        ------
        SettingError
            If the suffix is neither .csv nor one of an image format.
        """
        place = output(FORMATS | {".csv"})("path", path)
        if place.suffix.lower() != ".csv":
            return super().save(place)
        with writing(place), open(place, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(self.cells())

    def _repr_html_(self) -> str:
        head, *body = [[html.escape(cell) for cell in line] for line in self.cells()]
        rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in body)
        header = "".join(f"<th>{cell}</th>" for cell in head)
        return f"<p>{html.escape(self.title)}</p><table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"


Job = tuple[str, tuple[str, ...], str]
"""A run of a table: its row, the columns that it fills, and the name of its image."""


@dataclass(frozen=True)
class Measurement(ABC):
    """What all runs of a table share; it is sent to the workers of an executor."""

    def prepare(self) -> Callable[[tuple[str, tuple[str, ...], str, Any]], Sequence[float]]:
        """The function of a run: a job with its image."""
        return lambda given: self.measure(given[0], given[1], given[3])

    @abstractmethod
    def measure(self, row: str, columns: tuple[str, ...], image: Any) -> Sequence[float]:
        """The number of each column."""


def measure_all(
    jobs: Iterable[Job],
    work: Measurement,
    log: str | os.PathLike[str] | None,
    settings: Callable[[], Mapping[str, object]],
    label: str,
    images: Mapping[str, Any],
    progress: bool = True,
    read: Callable[[Any], torch.Tensor] = read_image,
    executor: Any = None,
) -> dict[Place, list[float]]:
    """The measurements of all jobs, by (row, column).

    log: a journal of the measurements, so that an interrupted measurement is resumed. settings: what must be the same
    for that, as `run_settings` gives it. images: by name; the measurements of an image count for the same pixels only,
    as `read` reads them. executor: who computes the runs. Raises SettingError for a log of other settings.
    """
    jobs = list(jobs)
    journal = Journal(log, settings()) if log is not None else None
    pixels = {name: value_digest(read(image)) for name, image in images.items()} if journal is not None else {}
    known = {tuple(record[:4]): record[4] for record in (journal.records if journal else ()) if len(record) == 5}

    def keys(job: Job) -> list[tuple[str, str, str, str | None]]:
        row, columns, name = job
        return [(row, column, name, pixels.get(name)) for column in columns]

    missing = [job for job in jobs if any(key not in known for key in keys(job))]
    runs = ((*job, images[job[2]]) for job in missing)
    bar = {"desc": label, "disable": not progress, "unit": "run", "total": len(jobs)}
    with (
        tqdm(initial=len(jobs) - len(missing), **bar) as shown,
        in_pieces(work, runs, executor, kept=journal is not None) as found,
    ):
        for (*job, _), numbers in found:
            for key, number in zip(keys((job[0], job[1], job[2])), numbers, strict=True):
                if key in known:
                    continue
                known[key] = float(number)
                if journal is not None:
                    journal.append([*key, known[key]])
            shown.update()
    values: dict[Place, list[float]] = {}
    for job in jobs:
        for row, column, name, digest in keys(job):
            values.setdefault((row, column), []).append(known[row, column, name, digest])
    return values


def run_settings(
    table: str, nets: Mapping[str, Network], layers: Sequence[str], run: Mapping[str, object], **more: object
) -> dict[str, object]:
    """What must be the same for a table's measurements to be gone on with: digests of networks and settings.

    table: its name. nets: by name. layers: names of layers, of all of the networks. run, more: settings.
    """
    networks = {name: network_digest(net, layers) for name, net in nets.items()}
    return {"table": table, "networks": networks, "run": value_digest({**run, **more})}
