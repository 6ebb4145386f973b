"""The source of a lab: one notebook with its solutions, whose cells are marked by tags.

==========  ==================  =======================================================================================
tag         kind of cell        what it is
==========  ==================  =======================================================================================
question    markdown            a question; starts with its number, as in **Q3.**
answer      markdown or code    the model answer. Students get an empty cell, or the code without what stands between
                                ``### BEGIN SOLUTION`` and ``### END SOLUTION``
check       code                one call of `cnnexplore.course.check`
teacher     markdown or code    for the teacher only: hints for marking, common mistakes, what the pictures look like
==========  ==================  =======================================================================================

The metadata ``points`` of an answer or check says how much it counts; an answer in code is counted by its check.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ExploreError, brief_value

TAGS = ("question", "answer", "check", "teacher")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
CODE_STUB = "...  # your code"
TEXT_STUB = "*Your answer:*"

Notebook = dict[str, Any]
Cell = dict[str, Any]


def read(path: Path) -> Notebook:
    """A notebook as JSON; raises ExploreError if the file is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        cells = found["cells"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ExploreError(f"{brief_value(str(path))} is no notebook that can be read ({error}).") from None
    for cell in cells:
        cell["source"] = "".join(cell["source"])
    return found


def text(notebook: Notebook) -> str:
    """A notebook as the text of its file, with the sources in lines, as Jupyter writes them."""
    found = copy.deepcopy(notebook)
    for cell in found["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
    return json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def tag(cell: Cell) -> str | None:
    """The course's tag of a cell; None for a cell that all editions have as it is."""
    found = [name for name in cell["metadata"].get("tags", []) if name in TAGS]
    return found[0] if found else None


def points(cell: Cell) -> int:
    """How many points an answer or a check gives."""
    return int(cell["metadata"].get("points", 0))


def numbered(notebook: Notebook) -> Iterator[tuple[Cell, str | None, int | None]]:
    """Each cell with its tag and the number of the question that it belongs to."""
    number = None
    for cell in notebook["cells"]:
        mark = tag(cell)
        if mark == "question":
            found = re.match(r"\*\*Q(\d+)\.\*\*", cell["source"])
            number = int(found[1]) if found else None
        yield cell, mark, number if mark else None


def without_solution(cell: Cell) -> str:
    """The source of an answer with a stub in place of the solution."""
    if cell["cell_type"] == "markdown":
        return TEXT_STUB
    lines, inside = [], False
    for line in cell["source"].split("\n"):
        if BEGIN in line:
            inside = True
            lines.append(line[: len(line) - len(line.lstrip())] + CODE_STUB)
        elif END in line:
            inside = False
        elif not inside:
            lines.append(line)
    return "\n".join(lines)
