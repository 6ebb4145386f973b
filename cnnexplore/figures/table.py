"""Table: means and standard deviations over images beside published numbers; long ones go on where they stopped."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from ..errors import SettingError


@dataclass(frozen=True)
class Table:
    """Numbers by row and column. values: (row, column) -> one number per image; published: -> mean, or nothing.

    In percent, as the papers print them, with so many digits.
    """

    title: str
    rows: list[str]
    columns: list[str]
    values: dict[tuple[str, str], list[float]] = field(repr=False)
    published: dict[tuple[str, str], float] = field(default_factory=dict, repr=False)
    digits: int = 1

    def mean(self, row: str, column: str) -> float:
        """The mean over images, in percent."""
        return 100 * float(np.mean(self.values[row, column]))

    def deviation(self, row: str, column: str) -> float:
        """The standard deviation over images, in percent."""
        return 100 * float(np.std(self.values[row, column]))

    def cells(self) -> list[list[str]]:
        """Header and rows as text: "14.2 ± 3.1 (14.5)", the published mean in brackets."""
        lines = [["", *self.columns]]
        for row in self.rows:
            line = [row]
            for column in self.columns:
                known = self.published.get((row, column))
                beside = "" if known is None else f" ({known:.{self.digits}f})"
                mean, spread = self.mean(row, column), self.deviation(row, column)
                line.append(f"{mean:.{self.digits}f} ± {spread:.{self.digits}f}{beside}")
            lines.append(line)
        return lines

    def __str__(self) -> str:
        lines = self.cells()
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([self.title, *text])

    def save(self, path: str | os.PathLike) -> None:
        """Writes the table as comma-separated values."""
        import csv

        with open(path, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(self.cells())

    def _repr_html_(self) -> str:
        head, *body = [[html.escape(cell) for cell in line] for line in self.cells()]
        rows = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in body)
        header = "".join(f"<th>{cell}</th>" for cell in head)
        return f"<p>{html.escape(self.title)}</p><table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table>"


def measured(
    jobs: Iterable[tuple[str, str, str]],
    measure: Callable[[str, str, str], float],
    kept: str | os.PathLike | None,
    settings: dict,
    label: str,
    progress: bool = True,
) -> dict[tuple[str, str], list[float]]:
    """measure(row, column, item) for all jobs, by (row, column); with a progress bar.

    kept: a file (one JSON line per measurement) that is gone on from, so that a killed measurement loses nothing.
    settings: what must be the same for that. Raises SettingError for a file of other settings.
    """
    jobs = list(jobs)
    known = _read(Path(kept), settings) if kept is not None else {}
    values: dict[tuple[str, str], list[float]] = {}
    for job in tqdm(jobs, desc=label, disable=not progress, unit="run"):
        if job not in known:
            known[job] = float(measure(*job))
            if kept is not None:
                with open(kept, "a", encoding="utf-8") as file:
                    file.write(json.dumps([*job, known[job]]) + "\n")
        values.setdefault(job[:2], []).append(known[job])
    return values


def _read(path: Path, settings: dict) -> dict[tuple[str, str, str], float]:
    if not path.exists():
        path.write_text(json.dumps(settings) + "\n", encoding="utf-8")
        return {}
    try:
        first, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if json.loads(first) != settings:
            raise ValueError("it was measured with other settings")
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        if lines and not lines[-1].endswith("\n"):  # killed while writing: that one is measured again
            path.write_text(first + "".join(lines[:-1]), encoding="utf-8")
        return {(row, column, item): float(value) for row, column, item, value in whole}
    except (ValueError, TypeError) as error:
        raise SettingError(f"{path} holds no measurements of this table ({error}); give another file.") from error
