"""nbgrader's own commands on the generated edition: validate, generate_assignment, and autograde of a filled copy."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cnnexplore import lab
from cnnexplore.course import editions, notebook
from cnnexplore.course.nbgrader_cells import total

SOURCES = lab.bundled_notebooks() / "labs"
NUMBERS = sorted(int(path.name[:2]) for path in SOURCES.glob("*.ipynb"))
SHORT = 4  # the quickest lab
WRONG = "lab04-q1"  # the answer that the filled copy has wrong


def nbgrader(folder: Path, *words: str) -> str:
    """Run one of nbgrader's commands in a course folder; returns what it printed."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "JUPYTER_PLATFORM_DIRS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


def course(folder: Path, number: int) -> tuple[str, str]:
    """A course folder with one lab: the names of its assignment and of its notebook."""
    written = [path for path, _ in editions.make("nbgrader", folder, SOURCES, [number])]
    return f"lab{number:02}", written[-1].name


def grade(folder: Path, number: int) -> dict[str, tuple[float, float]]:
    """Release a lab, hand in the model answers, with one of them wrong, and grade them: (points, most) by cell."""
    name, file = course(folder, number)
    nbgrader(folder, "generate_assignment", name)
    released = json.loads((folder / "release" / name / file).read_text(encoding="utf-8"))
    text = json.dumps(released)
    assert "BEGIN SOLUTION" not in text
    answers = {cell["id"]: cell for cell in editions.for_nbgrader(notebook.read(SOURCES / file))["cells"]}
    for cell in released["cells"]:
        meta = cell["metadata"].get("nbgrader", {})
        if meta.get("solution") and cell["cell_type"] == "code":
            assert notebook.CODE_STUB in "".join(cell["source"])
            if meta["grade_id"] != WRONG:
                cell["source"] = answers[cell["id"]]["source"]
        elif meta.get("solution"):
            assert "".join(cell["source"]) == notebook.TEXT_STUB
            cell["source"] = "An answer of a student."
    handed_in = folder / "submitted" / "ada" / name / file
    handed_in.parent.mkdir(parents=True)
    handed_in.write_text(json.dumps(released), encoding="utf-8")
    nbgrader(folder, "autograde", name, "--create")
    with sqlite3.connect(folder / "gradebook.db") as book:
        rows = book.execute(
            "select base_cell.name, grade.auto_score, grade_cells.max_score, grade_cells.cell_type from grade "
            "join base_cell on grade.cell_id = base_cell.id join grade_cells on grade_cells.id = base_cell.id"
        ).fetchall()
    assert sum(most for _, _, most, _ in rows) == total(notebook.read(SOURCES / file))
    return {cell: (score, most) for cell, score, most, kind in rows if kind == "code"}


def test_a_lab_is_released_and_graded(tmp_path):
    scores = grade(tmp_path, SHORT)
    assert len(scores) == 3
    for cell, (score, most) in scores.items():
        assert most > 0
        assert score == (0 if cell == f"{WRONG}-check" else most), cell


def test_nbgrader_validates_what_is_right_and_says_what_is_wrong(tmp_path):
    """On the checked answers alone, without the cells that take time."""
    _, file = course(tmp_path, SHORT)
    source = tmp_path / "source" / f"lab{SHORT:02}" / file
    whole = json.loads(source.read_text(encoding="utf-8"))
    kept = [cell for cell in whole["cells"] if cell["cell_type"] == "code"]
    paths = next(k for k, cell in enumerate(kept) if 'check("4.4"' in "".join(cell["source"]))
    whole["cells"] = [cell for cell in kept[: paths + 1] if "nbgrader" in cell["metadata"] or cell is kept[0]]
    source.write_text(json.dumps(whole), encoding="utf-8")
    assert "Success" in nbgrader(tmp_path, "validate", str(source))
    text = source.read_text(encoding="utf-8")
    assert "np.convolve(found, np.ones(3))" in text
    source.write_text(text.replace("np.convolve(found, np.ones(3))", "found"), encoding="utf-8")
    said = nbgrader(tmp_path, "validate", str(source))
    assert "Success" not in said
    assert "A pixel reaches three units of the next layer" in " ".join(said.split())


@pytest.mark.long
@pytest.mark.parametrize("number", NUMBERS)
def test_each_lab_is_validated_released_and_graded(number, tmp_path):
    _, file = course(tmp_path, number)
    assert "Success" in nbgrader(tmp_path, "validate", f"source/lab{number:02}/{file}")
    for cell, (score, most) in grade(tmp_path, number).items():
        assert score == (0 if cell == f"{WRONG}-check" else most), cell
