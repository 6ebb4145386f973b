"""Runs the tests on the lowest and newest of every dependency, on the lowest and newest Python; once per release.

    python tests/versions.py

Each environment is made fresh outside the checkout, from the ranges of pyproject.toml, and deleted when its tests have
run. Browser tests and slow ones are left out. It needs uv (`pip install uv`) and some 8 GB of disk. With
UV_TORCH_BACKEND=cpu it takes PyTorch's CPU wheels from PyTorch's own index. It prints a table; --out writes it, too.
"""

from __future__ import annotations

import argparse
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
SHOWN = (
    "torch",
    "torchvision",
    "numpy",
    "scikit-image",
    "scikit-learn",
    "matplotlib",
    "jupyterlab",
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
    failed: list[str] = field(default_factory=list)
    skipped: int = 0
    minutes: float = 0.0
    trouble: str = ""  # why no tests were run

    def cells(self) -> list[str]:
        counts = [str(self.passed), str(len(self.failed)), str(self.skipped), f"{self.minutes:.0f}"]
        if self.trouble:
            counts = ["-"] * 4
        return [self.name, self.python, *(self.versions.get(name, "-") for name in SHOWN), *counts]


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
    listed = subprocess.run([uv(), "pip", "list", "--format", "json", "--python", str(there)], capture_output=True)
    row.versions = {one["name"].lower(): one["version"] for one in json.loads(listed.stdout)}
    code = "import platform; print(platform.python_version())"
    row.python = subprocess.run([there, "-c", code], capture_output=True, text=True).stdout.strip()
    return there


def run(folder: Path, python: Path, row: Row, options: list[str]) -> None:
    """Run the tests with that Python and count them."""
    report, begin = folder / "report.xml", time.monotonic()
    which = ["-m", "not slow and not browser and not gpu", "--ignore", str(CHECKOUT / "tests" / "browser")]
    plain = ["-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([python, "-m", "pytest", *which, *plain, *options], cwd=CHECKOUT, env=env)
    row.minutes = (time.monotonic() - begin) / 60
    if not report.is_file():
        row.trouble = f"pytest ended with status {done.returncode} and no report."
        return
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        if case.find("skipped") is not None:
            row.skipped += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            row.failed.append(f"{case.get('classname')}::{case.get('name')}")
        else:
            row.passed += 1


def uv() -> str:
    """The path of uv."""
    found = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if found is None:
        sys.exit("uv was not found; install it with: pip install uv.")
    return found


def table(rows: list[Row]) -> str:
    """The rows in columns, then what failed in each."""
    lines = [["versions", "Python", *SHOWN, "passed", "failed", "skipped", "min"], *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    for row in rows:
        what = f"{row.name}, Python {row.python}"
        text += [f"{what}: {name}" for name in row.failed] + ([f"{what}: {row.trouble}"] if row.trouble else [])
    return "\n".join(text) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", nargs="+", default=PYTHONS, help="versions, or paths of interpreters")
    parser.add_argument("--only", choices=RESOLUTIONS, help="only the lowest, or only the newest dependencies")
    parser.add_argument("--out", type=Path, help="a file that the table is written to")
    parser.add_argument("options", nargs="*", help="options of pytest, after --")
    given = parser.parse_args()
    rows: list[Row] = []
    for python in given.python:
        for resolution in [given.only] if given.only else RESOLUTIONS:
            row = Row(resolution, python)
            rows.append(row)
            with tempfile.TemporaryDirectory(prefix="cnnexplore-versions-") as folder:
                there = make(Path(folder), python, resolution, row)
                if there is not None:
                    run(Path(folder), there, row, given.options)
            print(table(rows), flush=True)
            if given.out:
                given.out.write_text(table(rows))
    return any(row.failed or row.trouble for row in rows)


if __name__ == "__main__":
    sys.exit(main())
