"""The course folder: copies never overwrite a changed notebook, and hold no solutions."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import pytest
from jupyterlab.commands import get_app_dir
from jupyterlab_server.settings_utils import get_settings

import cnnexplore as cx
from cnnexplore import cli, figures, lab
from cnnexplore.course import editions, notebook

README = Path(__file__).parents[1] / "README.md"
LAB1 = "labs/01_what_a_layer_keeps.ipynb"


def for_students(path):
    return notebook.text(editions.student(notebook.read(path))).encode()


def test_notebooks_are_copied_once_and_then_the_same(tmp_path):
    assert lab.copy_notebooks(tmp_path)[LAB1] == "new"
    assert (tmp_path / LAB1).read_bytes() == for_students(lab.bundled_notebooks() / LAB1)
    assert lab.copy_notebooks(tmp_path)[LAB1] == "same"
    shown_in_labs = {"lecture2017"}
    assert {path.stem for path in (tmp_path / "figures").glob("*.ipynb")} == set(figures.PAPERS) - shown_in_labs
    assert {path.name for path in tmp_path.iterdir() if path.is_dir()} == {"labs", "figures"}  # no documentation
    assert lab.first_notebook(tmp_path) == tmp_path / LAB1


def test_the_readme_lists_the_labs_and_their_panels():
    rows = re.findall(r"^\| `(\d\d_\w+)` \|.*\|(.*)\|$", README.read_text(encoding="utf-8"), re.M)
    labs = {
        path.stem: path.read_text(encoding="utf-8")
        for path in sorted((lab.bundled_notebooks() / "labs").glob("*.ipynb"))
    }
    assert [name for name, _ in rows] == list(labs)
    assert [name[:2] for name in labs] == [f"{k:02}" for k in range(len(labs))]
    for name, panels in rows:
        assert all(f"cx.{panel}(" in labs[name] for panel in re.findall(r"`(\w+)`", panels)), name


def test_what_a_person_wrote_is_kept(tmp_path):
    lab.copy_notebooks(tmp_path)
    (tmp_path / LAB1).write_text("my answers")
    assert lab.copy_notebooks(tmp_path)[LAB1] == "kept"
    assert (tmp_path / LAB1).read_text() == "my answers"


def test_a_file_that_did_not_come_from_here_is_kept(tmp_path):
    (tmp_path / "labs").mkdir()
    (tmp_path / LAB1).write_text("something of mine")
    assert lab.copy_notebooks(tmp_path)[LAB1] == "kept"
    assert lab.copy_notebooks(tmp_path)[LAB1] == "kept"
    assert (tmp_path / LAB1).read_text() == "something of mine"


def test_an_unchanged_copy_is_updated(tmp_path, monkeypatch):
    old = tmp_path / "old" / "labs"
    old.mkdir(parents=True)
    (old / "01_what_a_layer_keeps.ipynb").write_text('{"cells": []}')
    monkeypatch.setattr(lab, "bundled_notebooks", lambda: tmp_path / "old")
    lab.copy_notebooks(tmp_path / "mine")
    monkeypatch.undo()
    assert lab.copy_notebooks(tmp_path / "mine")[LAB1] == "updated"
    assert (tmp_path / "mine" / LAB1).read_bytes() == for_students(lab.bundled_notebooks() / LAB1)


def test_a_damaged_record_loses_nothing(tmp_path):
    lab.copy_notebooks(tmp_path)
    (tmp_path / LAB1).write_text("my answers")
    (tmp_path / ".cnnexplore.json").write_text("{ not json")
    lab.copy_notebooks(tmp_path)
    assert (tmp_path / LAB1).read_text() == "my answers"


def test_a_folder_that_cannot_be_made_gets_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(cx.ExploreError, match="cannot be written"):
        lab.copy_notebooks(tmp_path / "file" / "deeper")


def test_the_command_copies_and_opens_jupyterlab_there(tmp_path, monkeypatch, capsys):
    calls = []

    def call(command, cwd, env):
        calls.append((command, cwd, env))
        return 0

    monkeypatch.setattr(lab.subprocess, "call", call)
    monkeypatch.setattr(sys, "argv", ["cnnexplore", "lab", "--folder", str(tmp_path / "mine"), "--no-browser"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    (command, cwd, env) = calls[0]
    assert command[1:3] == ["-m", "jupyterlab"]
    assert command[-1] == "--no-browser"
    assert f"/lab/tree/{LAB1}" in command[3]
    assert cwd == (tmp_path / "mine").resolve()
    assert env["OMP_WAIT_POLICY"] == "passive"
    assert int(env["GOMP_SPINCOUNT"]) == 1000
    assert "copied" in capsys.readouterr().out


def test_jupyterlab_sends_messages_of_widgets_to_subshells(tmp_path, monkeypatch):
    """Also where JupyterLab's own default is another one; the rest of its settings, and other folders', are kept."""
    plugin = "@jupyterlab/apputils-extension:kernels-settings"
    file = Path("@jupyterlab/apputils-extension/kernels-settings.json")
    schema = json.loads((Path(get_app_dir()) / "schemas" / file).read_text())
    assert "perCommTarget" in {one["const"] for one in schema["properties"]["commsOverSubshells"]["oneOf"]}
    schema["properties"]["commsOverSubshells"]["default"] = "disabled"
    (tmp_path / "schemas" / file).parent.mkdir(parents=True)
    (tmp_path / "schemas" / file).write_text(json.dumps(schema))

    environment = lab.lab_settings(tmp_path / "ours", {"JUPYTER_CONFIG_PATH": str(tmp_path / "theirs"), "HOME": "h"})
    assert environment["HOME"] == "h"
    assert environment["JUPYTER_CONFIG_PATH"].split(os.pathsep) == [str(tmp_path / "ours"), str(tmp_path / "theirs")]
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", environment["JUPYTER_CONFIG_PATH"])
    folders = (str(tmp_path / name) for name in ("settings", "schemas", "user"))
    found, _ = get_settings(*folders, schema_name=plugin)
    assert found["schema"]["properties"]["commsOverSubshells"]["default"] == "perCommTarget"
    assert found["schema"]["properties"]["showStatusBarItem"] == schema["properties"]["showStatusBarItem"]


def test_jupyterlab_is_started_with_these_settings(tmp_path, monkeypatch):
    seen = {}

    def call(command, cwd, env):
        folder = Path(env["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0])
        seen["settings"] = json.loads((folder / "labconfig" / "default_setting_overrides.json").read_text())
        seen["folder"] = folder
        return 3

    monkeypatch.setattr(lab.subprocess, "call", call)
    assert lab.open_jupyter(tmp_path, []) == 3
    assert list(seen["settings"].values()) == [{"commsOverSubshells": "perCommTarget"}]
    assert not seen["folder"].exists()
