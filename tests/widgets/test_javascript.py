"""The JavaScript of the views: one module each, without an import, and of consistent types."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from cnnexplore.widgets.views import source
from cnnexplore.widgets.views.source import javascript

FOLDER = Path(source.__file__).parent
VIEWS = ["frame_view", "run_view", "unit_grid"]


def program(name: str) -> str:
    """The path of a program; the test is skipped where it is missing."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed; .github/CONTRIBUTING.md says how to check the JavaScript.")
    return path


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_one_module_that_imports_nothing(name):
    text = javascript(name)
    assert not re.search(r"^\s*import ", text, re.MULTILINE)
    assert re.findall(r"^export .*", text, re.MULTILINE) == ["export default { render };"]
    shared = (FOLDER / "shared.js").read_text(encoding="utf-8")
    for helper in re.findall(r"^export function (\w+)", shared, re.MULTILINE):
        assert len(re.findall(rf"^function {helper}\b", text, re.MULTILINE)) == 1


@pytest.mark.parametrize("name", VIEWS)
def test_node_can_parse_a_view(name, tmp_path):
    file = tmp_path / f"{name}.mjs"
    file.write_text(javascript(name), encoding="utf-8")
    done = subprocess.run([program("node"), "--check", str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_typescript_finds_no_wrong_type():
    done = subprocess.run([program("tsc"), "-p", str(FOLDER / "jsconfig.json")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
