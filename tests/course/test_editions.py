"""The editions of the course: students get no solution, and every check of a lab agrees with its model answer."""

from __future__ import annotations

import copy
import json
import re

import nbformat
import pytest
from click.testing import CliRunner

import cnnexplore as cx
from cnnexplore import cli, lab
from cnnexplore.course import checking, editions, notebook
from cnnexplore.course.nbgrader_cells import total

LABS = sorted((lab.bundled_notebooks() / "labs").glob("*.ipynb"))
each_lab = pytest.mark.parametrize("path", LABS, ids=lambda path: path.stem)


def solutions(source):
    """The lines of a notebook's answers that a student's copy must not have, with the teacher's notes."""
    found = []
    for cell, mark, _ in notebook.numbered(source):
        if mark == "teacher" or (mark == "answer" and cell["cell_type"] == "markdown"):
            found += cell["source"].splitlines()
        elif mark == "answer":
            inside = False
            for line in cell["source"].splitlines():
                inside = (inside or notebook.BEGIN in line) and notebook.END not in line
                if inside and notebook.BEGIN not in line:
                    found.append(line)
    return [line.strip() for line in found if len(line.strip()) > 12]


@each_lab
def test_a_students_copy_has_no_solution(path, tmp_path):
    source = notebook.read(path)
    hidden = solutions(source)
    assert len(hidden) > 20
    [(written, outcome)] = list(editions.make("student", tmp_path, path.parent, [int(path.name[:2])]))
    assert outcome == "new"
    copied = written.read_text(encoding="utf-8")
    cells = json.loads(copied)["cells"]
    visible = {line.strip() for cell in cells for line in "".join(cell["source"]).splitlines()}
    assert [line for line in hidden if line in visible] == []
    assert all(not {"tags", "points"} & set(cell["metadata"]) for cell in cells)
    assert "BEGIN SOLUTION" not in copied
    nbformat.validate(nbformat.reads(copied, 4))


@each_lab
def test_what_cnnexplore_lab_copies_is_the_students_edition(path):
    assert lab._for_students(path).decode() == notebook.text(editions.student(notebook.read(path)))


def test_the_test_above_sees_a_solution_that_is_left():
    source = notebook.read(LABS[1])
    hidden = solutions(source)
    careless = copy.deepcopy(source)
    visible = {line.strip() for cell in careless["cells"] for line in cell["source"].splitlines()}
    assert all(line in visible for line in hidden)


@each_lab
def test_each_lab_has_the_same_form(path):
    """What one will be able to do, what it needs, how long it takes; numbered questions with answers; an end."""
    source = notebook.read(path)
    first, last = source["cells"][0]["source"], source["cells"][-2]["source"]
    number = int(path.name[:2])
    assert first.startswith(f"# Lab {number} · ")
    for part in ("**Afterwards you can**", "**You need**", "**It takes** about "):
        assert part in first
    minutes = int(re.search(r"about (\d+) minutes", first)[1])
    assert 45 <= minutes <= 90
    assert last.startswith("## What you have learnt")
    assert source["cells"][-1]["source"] == f"print(summary({number}))"
    marks = [(mark, n, cell) for cell, mark, n in notebook.numbered(source) if mark in ("question", "answer", "check")]
    questions = [n for mark, n, _ in marks if mark == "question"]
    assert questions == list(range(1, len(questions) + 1))
    for k, (mark, n, cell) in enumerate(marks):
        if mark == "question":
            assert marks[k + 1][:2] == ("answer", n)
        if mark == "answer" and cell["cell_type"] == "code":
            assert marks[k + 1][:2] == ("check", n)
            assert notebook.BEGIN in cell["source"]
            assert notebook.END in cell["source"]
        if mark == "check":
            assert re.fullmatch(rf'check\("{number}\.{n}", .*\)', cell["source"])
            assert cell["metadata"]["points"] > 0
        if mark == "answer" and cell["cell_type"] == "markdown":
            assert cell["metadata"]["points"] > 0
    checked = [f"{number}.{n}" for mark, n, _ in marks if mark == "check"]
    assert checked == checking.questions(number)
    assert len(checked) >= 3
    ids = [cell["id"] for cell in source["cells"]]
    assert len(set(ids)) == len(ids)


@each_lab
def test_a_check_says_that_there_is_no_answer_yet(path):
    for name in checking.questions(int(path.name[:2])):
        for missing in (None, ...):
            found = checking.check(name, missing)
            assert found.right is None
            with pytest.raises(AssertionError, match="no answer"):
                found.demand()


@each_lab
def test_for_nbgrader_each_question_has_points_once(path):
    source = notebook.read(path)
    cells = editions.for_nbgrader(source)["cells"]
    graded = [cell["metadata"]["nbgrader"] for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade")]
    assert sum(one["points"] for one in graded) == total(source)
    questions = [n for _, mark, n in notebook.numbered(source) if mark == "question"]
    assert len(graded) == len(questions)
    for cell in cells:
        if cell["cell_type"] == "code" and cell["metadata"].get("nbgrader", {}).get("grade"):
            assert cell["source"].endswith(").demand()")


def test_the_teachers_edition_has_everything_and_says_so(tmp_path):
    done = CliRunner().invoke(
        cli.cli, ["course", "--edition", "teacher", "--out", str(tmp_path / "t"), "--lab", "1", "--lab", "2"]
    )
    assert done.exit_code == 0, done.output
    written = sorted((tmp_path / "t").glob("*.ipynb"))
    assert [path.name[:2] for path in written] == ["01", "02"]
    cells = json.loads(written[0].read_text())["cells"]
    assert "Teacher's edition" in "".join(cells[0]["source"])
    assert len(cells) == 1 + len(notebook.read(LABS[1])["cells"])


def test_a_file_that_is_there_is_kept(tmp_path):
    first = dict(editions.make("nbgrader", tmp_path, LABS[0].parent, [3]))
    assert set(first.values()) == {"new"}
    for path in first:
        path.write_text("mine")
    again = dict(editions.make("nbgrader", tmp_path, LABS[0].parent, [3]))
    assert set(again.values()) == {"kept"}
    assert {path.read_text() for path in first} == {"mine"}


def test_what_cannot_be_made_gets_a_sentence(tmp_path):
    with pytest.raises(cx.ExploreError, match="expected one of student, teacher, nbgrader"):
        list(editions.make("pupil", tmp_path, LABS[0].parent))
    with pytest.raises(cx.ExploreError, match="no lab 99; expected 0 to 10"):
        list(editions.make("student", tmp_path, LABS[0].parent, [99]))
    (tmp_path / "file").write_text("")
    with pytest.raises(cx.ExploreError, match="cannot be written"):
        list(editions.make("student", tmp_path / "file" / "deeper", LABS[0].parent, [1]))
    (tmp_path / "01_broken.ipynb").write_text("{}")
    with pytest.raises(cx.ExploreError, match="no notebook that can be read"):
        list(editions.make("student", tmp_path / "out", tmp_path))


def test_a_notebook_is_run_so_that_it_holds_its_outputs():
    cells = [
        {"cell_type": "code", "id": "one", "metadata": {}, "source": "1 + 1", "outputs": [], "execution_count": None}
    ]
    short = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    done = nbformat.reads(editions.executed(notebook.text(short), "short.ipynb"), 4)
    assert done.cells[0].outputs[0]["data"]["text/plain"] == "2"
    cells[0]["source"] = "undefined_name"
    with pytest.raises(cx.ExploreError, match=r"short\.ipynb failed when it was run: NameError"):
        editions.executed(notebook.text(short), "short.ipynb")
