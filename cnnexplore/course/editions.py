"""The editions of the course: a student's, a teacher's, and one for nbgrader, all made from the same notebooks."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import ExploreError, SettingError, brief_value
from .nbgrader_cells import CONFIG, READ_ME, for_nbgrader
from .notebook import Notebook, numbered, read, text, without_solution

_TEACHER = (
    "> **Teacher's edition.** It holds the answers, hints for marking, what students often get wrong, and what the "
    "pictures look like. Do not hand it out: `cnnexplore lab` and `cnnexplore course --edition student` make copies "
    "without them."
)


def student(notebook: Notebook) -> Notebook:
    """A notebook without solutions: answers are empty, notes for the teacher are left out."""
    found = copy.deepcopy(notebook)
    kept = []
    for cell, mark, _ in numbered(found):
        if mark == "teacher":
            continue
        if mark == "answer":
            cell["source"] = without_solution(cell)
        cell["metadata"] = {key: value for key, value in cell["metadata"].items() if key not in ("tags", "points")}
        kept.append(cell)
    found["cells"] = kept
    return found


def teacher(notebook: Notebook) -> Notebook:
    """A notebook with everything, and a sentence at its top that says so."""
    found = copy.deepcopy(notebook)
    first = {"cell_type": "markdown", "id": "teachers-edition", "metadata": {}, "source": _TEACHER}
    found["cells"].insert(0, first)
    return found


_CONVERT: dict[str, Callable[[Notebook], Notebook]] = {
    "student": student,
    "teacher": teacher,
    "nbgrader": for_nbgrader,
}


def make(
    edition: str, folder: Path, labs: Path, only: list[int] | None = None, run: bool = False
) -> Iterator[tuple[Path, str]]:
    """Write an edition of the course.

    Parameters
    ----------
    edition : {"student", "teacher", "nbgrader"}
        Which one.
    folder : Path
        Where to; a file that is there already is never overwritten.
    labs : Path
        The folder of the sources.
    only : list of int, optional
        Numbers of labs.  [default: all]
    run : bool, default False
        Whether each notebook is run, so that it holds its pictures; a lab takes up to two minutes.

    Yields
    ------
    (Path, str)
        Each file, and "new" or "kept".

    Raises
    ------
    ExploreError
        If an edition or a lab is unknown, the folder cannot be written, or a notebook fails when it is run.
    """
    if edition not in _CONVERT:
        raise SettingError(f"edition is {brief_value(edition)}; expected one of {', '.join(_CONVERT)}.")
    sources = {int(path.name[:2]): path for path in sorted(labs.glob("[0-9][0-9]_*.ipynb"))}
    unknown = [number for number in only or [] if number not in sources]
    if unknown:
        raise SettingError(f"there is no lab {unknown[0]}; expected {min(sources)} to {max(sources)}.")
    convert: Callable[[Notebook], Notebook] = {"student": student, "teacher": teacher, "nbgrader": for_nbgrader}[
        edition
    ]
    try:
        if edition == "nbgrader":
            yield _write(folder / "nbgrader_config.py", CONFIG)
            yield _write(folder / "README.md", READ_ME)
        for number, path in sources.items():
            if only and number not in only:
                continue
            inside = Path("source") / f"lab{number:02}" if edition == "nbgrader" else Path()
            target = folder / inside / path.name
            if target.exists():
                yield target, "kept"
                continue
            content = text(convert(read(path)))
            yield _write(target, executed(content, path.name) if run else content)
    except OSError as error:
        raise ExploreError(f"{brief_value(str(folder))} cannot be written ({error}); name another folder.") from error


def _write(path: Path, content: str) -> tuple[Path, str]:
    if path.exists():
        return path, "kept"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path, "new"


def executed(content: str, name: str) -> str:
    """The text of a notebook with the outputs of a run."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    notebook = nbformat.reads(content, 4)
    try:
        NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
    except CellExecutionError as error:
        last = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines()[-1]
        raise ExploreError(f"{name} failed when it was run: {last}") from None
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return str(nbformat.writes(notebook)) + "\n"
