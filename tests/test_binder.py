"""binder/ is the same environment as pyproject.toml."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_binder_asks_for_what_the_package_asks_for(project):
    lines = (ROOT / "binder" / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith(("#", "-"))]
    assert wanted == project["dependencies"] + project["optional-dependencies"]["segmentation"]  # lab 3 cuts out


def test_binder_takes_cpu_wheels_and_a_python_that_the_package_takes(project):
    assert "--extra-index-url https://download.pytorch.org/whl/cpu" in (ROOT / "binder/requirements.txt").read_text()
    major, minor = (ROOT / "binder/runtime.txt").read_text().strip().removeprefix("python-").split(".")
    assert (int(major), int(minor)) >= tuple(map(int, project["requires-python"].removeprefix(">=").split(".")))


def test_binder_installs_the_package_itself_and_its_scripts_can_run():
    assert "pip install --no-cache-dir --no-deps ." in (ROOT / "binder/postBuild").read_text()
    if os.name == "posix":
        assert all(os.access(ROOT / "binder" / name, os.X_OK) for name in ("postBuild", "start"))
