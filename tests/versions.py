"""Runs the tests on the lowest and newest of every dependency, on the lowest and newest Python; once per release.

    python tests/versions.py

Each environment is made fresh outside the checkout, from the ranges of pyproject.toml, and deleted when its tests have
run. Browser tests and slow ones are left out. What failed is run once more, alone, because a busy machine makes tests
late. It needs uv (`pip install uv`) and some 8 GB of disk. With UV_TORCH_BACKEND=cpu it takes PyTorch's CPU wheels from
PyTorch's own index. It prints a table and writes it to a page of the documentation, or to --out; environments that were
not run keep their column there.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
from dataclasses import dataclass, field
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.14")
RESOLUTIONS = {"lowest": "lowest-direct", "newest": "highest"}
PAGE = CHECKOUT / "notebooks" / "docs" / "versions-table.md"
FIRST_LINE = "<!-- Written by tests/versions.py. -->"
SHOWN = (
    "torch",
    "torchvision",
    "numpy",
    "pillow",
    "safetensors",
    "scikit-image",
    "scikit-learn",
    "matplotlib",
    "plotly",
    "opentsne",
    "jupyterlab",
    "ipywidgets",
    "anywidget",
    "ipykernel",
    "pytest",
)


@dataclass
class Row:
    """What became of an environment."""

    name: str
    python: str
    versions: dict[str, str] = field(default_factory=dict)
    passed: int = 0
    again: int = 0  # of those, passed only when they ran alone
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    minutes: float = 0.0
    trouble: str = ""  # why no tests were run

    @property
    def title(self) -> str:
        return f"{self.name}, Python {'.'.join(self.python.split('.')[:2])}"

    def cells(self) -> dict[str, str]:
        counts = {
            "passed": str(self.passed),
            "of them alone, in a second run": str(self.again),
            "failed": str(len(self.failed)),
            "skipped": str(self.skipped),
            "minutes": f"{self.minutes:.0f}",
        }
        if self.trouble:
            counts = dict.fromkeys(counts, "-")
        versions = {name: self.versions.get(name, "-") for name in SHOWN}
        return {"Python": self.python, **versions, **counts, "date": f"{datetime.date.today()}"}

    def notes(self) -> list[str]:
        """What failed, and why no tests were run."""
        return [f"`{name}` failed" for name in self.failed] + [self.trouble.replace("\n", " ")] * bool(self.trouble)


def make(folder: Path, python: str, resolution: str, row: Row) -> Path | None:
    """An environment with the package and its tests' needs; its Python, or None with the row's trouble."""
    environment = folder / "venv"
    there = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # wheels only: the lowest version that has one for this Python, instead of a build of an older one
    wheels = ["-r", str(CHECKOUT / "pyproject.toml"), "--extra", "test", "--only-binary", ":all:"]
    install = ["pip", "install", "-q", "--python", str(there)]
    for command in (
        ["venv", "-q", "--python", python, str(environment)],
        [*install, *wheels, "--resolution", RESOLUTIONS[resolution]],
        [*install, "--no-deps", "-e", str(CHECKOUT)],
    ):
        done = subprocess.run([uv(), *command], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            row.trouble = done.stderr.strip()
            return None
        code = "import platform; print(platform.python_version())"
        row.python = subprocess.run([there, "-c", code], capture_output=True, text=True).stdout.strip()
    listed = subprocess.run([uv(), "pip", "list", "--format", "json", "--python", str(there)], capture_output=True)
    row.versions = {one["name"].lower(): one["version"] for one in json.loads(listed.stdout)}
    return there


def run(folder: Path, python: Path, row: Row, options: list[str]) -> None:
    """Run the tests with that Python and count them; what failed runs once more, alone."""
    begin = time.monotonic()
    first = pytest(folder, python, "first", options)
    if first is None:
        row.trouble = "pytest ended without a report."
        return
    row.passed, row.failed, row.skipped = first
    second = pytest(folder, python, "second", [*options, "-n", "0", "--lf", "--lfnf=none"]) if row.failed else None
    if second is not None:
        row.again = len(set(row.failed) - set(second[1]))
        row.passed += row.again
        row.failed = [name for name in row.failed if name in second[1]]
    row.minutes = (time.monotonic() - begin) / 60


def pytest(folder: Path, python: Path, label: str, options: list[str]) -> tuple[int, list[str], int] | None:
    """How many tests passed, which failed and how many were skipped; None without a report."""
    report = folder / f"{label}.xml"
    which = ["-m", "not slow and not long and not browser and not gpu", f"--ignore={CHECKOUT / 'tests' / 'browser'}"]
    plain = ["-q", "-o", f"cache_dir={folder / 'cache'}", f"--junitxml={report}"]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run([python, "-m", "pytest", *which, *plain, *options], cwd=CHECKOUT, env=env)
    if not report.is_file():
        return None
    passed, failed, skipped = 0, {}, 0
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed[f"{case.get('classname')}::{case.get('name')}"] = None
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, list(failed), skipped


def uv() -> str:
    """The path of uv."""
    found = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if found is None:
        sys.exit("uv was not found; install it with: pip install uv.")
    return found


Columns = dict[str, dict[str, str]]  # by the title of the environment, then by the name of the row


def table(columns: Columns, notes: dict[str, list[str]]) -> str:
    """A column for each environment, in Markdown; then what failed in each."""
    labels = list(dict.fromkeys(label for column in columns.values() for label in column))
    lines = [["", *columns], *([label, *(c.get(label, "-") for c in columns.values())] for label in labels)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    text = [FIRST_LINE, "", *("| " + " | ".join(map(str.ljust, line, widths)) + " |" for line in lines)]
    listed = [f"* {title}: {note}" for title in columns for note in notes.get(title, ())]
    return "\n".join([*text, "", *listed]).rstrip() + "\n"


def read_table(text: str) -> tuple[Columns, dict[str, list[str]]]:
    """The columns and notes of a table that was written before."""
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("|")]
    titles = lines[0][1:] if lines else []
    columns = {title: {line[0]: line[k] for line in lines[2:]} for k, title in enumerate(titles, 1)}
    notes: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("* "):
            title, note = line[2:].split(": ", 1)
            notes.setdefault(title, []).append(note)
    return columns, notes


def write(row: Row, path: Path) -> str:
    """Put an environment's column into the table of a file; the file's new text."""
    columns, notes = read_table(path.read_text(encoding="utf-8")) if path.is_file() else ({}, {})
    columns[row.title], notes[row.title] = row.cells(), row.notes()
    text = table(columns, notes)
    path.write_text(text, encoding="utf-8")
    return text


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", nargs="+", default=PYTHONS, help="versions, or paths of interpreters")
    parser.add_argument("--only", choices=RESOLUTIONS, help="only the lowest, or only the newest dependencies")
    parser.add_argument("--out", type=Path, default=PAGE, help="the file that the table is written to")
    parser.add_argument("options", nargs="*", help="options of pytest, after --")
    given = parser.parse_args()
    rows: list[Row] = []
    for resolution in [given.only] if given.only else RESOLUTIONS:
        for python in given.python:
            row = Row(resolution, python)
            rows.append(row)
            with tempfile.TemporaryDirectory(prefix="cnnexplore-versions-") as folder:
                there = make(Path(folder), python, resolution, row)
                if there is not None:
                    run(Path(folder), there, row, given.options)
            print(write(row, given.out), flush=True)
    return any(row.failed or row.trouble for row in rows)


if __name__ == "__main__":
    sys.exit(main())
