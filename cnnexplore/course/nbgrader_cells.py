"""The course for nbgrader: its metadata for graded cells, and the configuration of a course folder.

Checked answers are graded by running them: the cell with the solution is followed by a locked cell that demands a right
answer. Open answers are markdown cells that a person grades; in the source they hold the model answer and the hints for
marking, and nbgrader's own ``generate_assignment`` empties them.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from .notebook import CODE_STUB, TEXT_STUB, Cell, Notebook, numbered, points

CONFIG = f'''"""Settings of nbgrader for the course of cnnexplore."""

c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "cnnexplore"
c.ClearSolutions.code_stub = {{"python": {CODE_STUB!r}}}
c.ClearSolutions.text_stub = {TEXT_STUB!r}
c.ExecutePreprocessor.timeout = 600  # seconds for a cell
c.Execute.timeout = 600
'''
READ_ME = """# The course, for nbgrader

`source/` holds the labs with their solutions. Each lab is an assignment: `lab00` to `lab10`.

    pip install nbgrader
    nbgrader generate_assignment lab01    # release/lab01: the copy for students, without solutions
    nbgrader autograde lab01              # of submitted/STUDENT/lab01/
    nbgrader formgrader                   # or the menu "Nbgrader" in JupyterLab: grade the open answers
    nbgrader generate_feedback lab01

Checked answers are graded by `autograde`, which runs each notebook from top to bottom; that takes up to two minutes for
each student and lab. Open answers are graded by hand; their model answers and hints for marking are in `source/`.
"""


def for_nbgrader(notebook: Notebook) -> Notebook:
    """A notebook with the metadata of nbgrader's schema 3; notes for the teacher join the model answer before them."""
    found = copy.deepcopy(notebook)
    lab = re.search(r"# Lab (\d+)", found["cells"][0]["source"])
    prefix = f"lab{int(lab[1]):02}" if lab else "lab"
    kept: list[Cell] = []
    for cell, mark, number in numbered(found):
        if mark == "teacher":
            _join(kept, cell)
            continue
        cell["metadata"] = {key: value for key, value in cell["metadata"].items() if key != "tags"}
        scored = int(cell["metadata"].pop("points", 0))
        if mark == "question":
            cell["metadata"]["nbgrader"] = _metadata(cell, f"{prefix}-q{number}-text", locked=True)
        elif mark == "answer":
            by_hand = cell["cell_type"] == "markdown"
            meta = _metadata(cell, f"{prefix}-q{number}", grade=by_hand, solution=True)
            cell["metadata"]["nbgrader"] = {**meta, "points": scored} if by_hand else meta
        elif mark == "check":
            cell["source"] = f"{cell['source'].rstrip()}.demand()"
            meta = _metadata(cell, f"{prefix}-q{number}-check", grade=True, locked=True)
            cell["metadata"]["nbgrader"] = {**meta, "points": scored}
        kept.append(cell)
    found["cells"] = kept
    return found


def total(notebook: Notebook) -> int:
    """All points of a notebook."""
    return sum(points(cell) for cell in notebook["cells"])


def _join(cells: list[Cell], note: Cell) -> None:
    """Append a note to the model answer, if that is text; what else a teacher has is in the teacher's edition."""
    last = cells[-1] if cells else None
    meta = last["metadata"].get("nbgrader", {}) if last else {}
    if last and note["cell_type"] == last["cell_type"] == "markdown" and meta.get("solution"):
        last["source"] += f"\n\n{note['source']}"


def _metadata(
    cell: Cell, name: str, *, grade: bool = False, solution: bool = False, locked: bool = False
) -> dict[str, Any]:
    return {
        "schema_version": 3,
        "grade_id": name,
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
        "cell_type": cell["cell_type"],
    }
