"""binder/ is the same environment as pyproject.toml."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from traitlets.config import Config

from cnnexplore import lab

ROOT = Path(__file__).parents[1]
HUB = ROOT / "binder" / "hub"
PAGE = ROOT / "notebooks" / "docs" / "guide" / "teaching.md"


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


# binder/hub: the image and the hub of a class


def instructions(text: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile, each with its arguments; a line that ends in a backslash goes on."""
    lines = re.sub(r"\\\n", " ", text).splitlines()
    return [tuple(line.split(None, 1)) for line in lines if line.strip() and not line.startswith("#")]


def test_the_image_of_a_seat_is_built_from_what_is_there(project):
    steps = instructions((HUB / "Dockerfile").read_text())
    assert steps[0] == ("FROM", "python:3.12-slim")
    assert {name for name, _ in steps} <= {"FROM", "RUN", "COPY", "USER", "WORKDIR", "CMD"}
    for name, words in steps:
        if name == "COPY":
            *sources, target = [word for word in words.split() if not word.startswith("--")]
            assert target.startswith("/")
            assert all((ROOT / source).exists() for source in sources), words
    installs = [words for name, words in steps if name == "RUN" and "pip install" in words]
    assert "-r /tmp/requirements.txt" in installs[0]  # which the tests above compare with the package
    assert "--no-deps /tmp/cnnexplore" in installs[1]
    wanted = [name for name in project["optional-dependencies"]["test"] if name.startswith("nbgrader")]
    assert f'"{wanted[0]}"' in installs[0]
    assert steps[-1] == ("CMD", '["start-seat"]')
    users = [words for name, words in steps if name == "USER"]
    assert users == ["student"], "nothing of a student's runs as root"


@pytest.mark.skipif(os.name != "posix", reason="the image is Linux")
def test_a_seat_starts_with_students_copies_and_quiet_threads(tmp_path):
    """The script itself, with a server that only writes down how it was started."""
    bin_, home = tmp_path / "bin", tmp_path / "home"
    bin_.mkdir()
    home.mkdir()
    (bin_ / "cnnexplore").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m cnnexplore "$@"\n')
    (bin_ / "jupyterhub-singleuser").write_text('#!/bin/sh\nenv > "$HOME/environment"\necho "$@" > "$HOME/words"\n')
    for file in bin_.iterdir():
        file.chmod(0o755)
    environment = {"PATH": f"{bin_}:/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(ROOT)}
    subprocess.run([HUB / "start-seat", "--debug"], env=environment, check=True, capture_output=True, timeout=120)
    seen = dict(line.split("=", 1) for line in (home / "environment").read_text().splitlines() if "=" in line)
    assert (seen["OMP_NUM_THREADS"], seen["OMP_WAIT_POLICY"]) == ("1", "passive")
    words = (home / "words").read_text().split()
    assert words[-1] == "--debug"
    first = re.search(r"default_url=/lab/tree/(\S+)", " ".join(words))[1]
    folder = home / "cnnexplore-labs"
    assert f"--ServerApp.root_dir={folder}" in words
    assert (folder / first).is_file()
    assert "BEGIN SOLUTION" not in (folder / first).read_text(encoding="utf-8")


def test_jupyterlab_in_the_image_has_the_settings_of_cnnexplore_lab(tmp_path):
    lab.lab_settings(tmp_path, {})
    ours = json.loads((tmp_path / "labconfig" / "default_setting_overrides.json").read_text())
    assert json.loads((HUB / "overrides.json").read_text()) == ours


def test_the_hub_starts_that_image_with_room_for_a_lab():
    config = Config()
    exec((HUB / "jupyterhub_config.py").read_text(), {"get_config": lambda: config})
    spawner = config.DockerSpawner
    assert f"docker build -t {spawner.image} " in (HUB / "Dockerfile").read_text()
    assert spawner.cmd == ["start-seat"]
    assert spawner.environment["OMP_NUM_THREADS"] == "1"
    most = max(float(row) for row in re.findall(r"^\| `\d\d_\w+` \|[^|]*\|[^|]*\| (\d+) MB", PAGE.read_text(), re.M))
    assert float(spawner.mem_limit.removesuffix("G")) * 1000 > 1.2 * most, "the server itself needs memory, too"
    assert "/home/student" in spawner.volumes.values()
