"""The table of versions: what the script writes, and that the table of the documentation is that of the ranges."""

import re
import tomllib
from pathlib import Path

import pytest
from versions import PAGE, PYTHONS, RESOLUTIONS, SHOWN, Row, read_table, write

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_each_environment_has_a_column_that_stays(tmp_path):
    path = tmp_path / "table.md"
    lowest = Row("lowest", "3.11.7", {"torch": "2.6.0"}, passed=8, again=1, failed=["tests.a::b", "tests.a::c"])
    write(lowest, path)
    write(Row("newest", "3.14.0", trouble="No wheel:\nfor torch."), path)
    columns, notes = read_table(path.read_text(encoding="utf-8"))
    assert list(columns) == ["lowest, Python 3.11", "newest, Python 3.14"]
    first, second = columns.values()
    assert (first["Python"], first["torch"], first["numpy"]) == ("3.11.7", "2.6.0", "-")
    assert (first["passed"], first["failed"], second["passed"]) == ("8", "2", "-")
    assert notes["lowest, Python 3.11"] == ["`tests.a::b` failed", "`tests.a::c` failed"]
    assert notes["newest, Python 3.14"] == ["No wheel: for torch."]
    write(Row("lowest", "3.11.9", passed=10), path)  # the same environment at a later time
    columns, notes = read_table(path.read_text(encoding="utf-8"))
    assert list(columns) == ["lowest, Python 3.11", "newest, Python 3.14"]
    assert columns["lowest, Python 3.11"]["passed"] == "10"
    assert "lowest, Python 3.11" not in notes


# Slow, so that the script leaves the others out: it runs them before it writes the table.


@pytest.fixture(scope="module")
def documented():
    return read_table(PAGE.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_documented_table_has_every_environment(documented):
    columns, notes = documented
    assert set(columns) == {f"{name}, Python {python}" for name in RESOLUTIONS for python in PYTHONS}
    for title, column in columns.items():
        if column["passed"] == "-":
            assert notes[title], "why the tests have no numbers"
        else:
            assert int(column["passed"]) > 1000
            assert int(column["failed"]) <= len(notes.get(title, []))


@pytest.mark.slow
def test_the_lowest_versions_of_the_table_are_those_that_are_declared(documented):
    """On the lowest Python: newer ones have no wheels for the lowest versions of everything."""
    ranges = "\n".join([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["test"]])
    declared = dict(re.findall(r"^([\w-]+)>=([\d.]+)", ranges.lower(), re.M))
    lowest = documented[0][f"lowest, Python {PYTHONS[0]}"]
    for name in SHOWN:
        assert f"{lowest[name]}.0.0.".startswith(f"{declared[name]}."), name
