"""Notebooks copied into a user's folder, where changed ones are never overwritten; labs without their solutions."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from .course import editions
from .course.notebook import read, text
from .errors import ExploreError, brief_value

_FOLDERS = ("labs", "figures")  # of the shipped notebooks, those that are copied: the documentation stays behind
_KERNELS = "@jupyterlab/apputils-extension:kernels-settings"
_RECORD = ".cnnexplore.json"  # digests of the copies, which show whether a notebook was changed since


def bundled_notebooks() -> Path:
    """The folder of the notebooks that come with the package, installed or in a checkout; labs with solutions."""
    here = Path(__file__).parent
    for folder in (here / "notebooks", here.parent / "notebooks"):
        if folder.is_dir():
            return folder
    raise ExploreError("the notebooks did not come with this installation; install cnnexplore again.")


def copy_notebooks(folder: Path) -> dict[str, str]:
    """Copy the notebooks into `folder`; returns the outcome by name: "new", "updated", "kept" or "same".

    Only an unchanged copy is updated: a notebook that was changed since, or that is not a copy, is kept.
    Raises ExploreError if the folder cannot be written.
    """
    source, report = bundled_notebooks(), {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        record = _read_record(folder)
        for file in sorted(file for name in _FOLDERS for file in (source / name).rglob("*")):
            if not file.is_file() or any(part.startswith(".") for part in file.relative_to(source).parts):
                continue
            name = file.relative_to(source).as_posix()
            target, content = folder / name, _for_students(file)
            if not target.exists():
                report[name] = "new"
            elif _digest(target.read_bytes()) == _digest(content):
                report[name] = "same"
            else:
                report[name] = "updated" if record.get(name) == _digest(target.read_bytes()) else "kept"
            if report[name] in ("new", "updated"):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
            if report[name] != "kept":
                record[name] = _digest(content)
        (folder / _RECORD).write_text(json.dumps(record, indent=1, sort_keys=True))
    except OSError as error:
        raise ExploreError(f"{brief_value(str(folder))} cannot be written ({error}); name another folder.") from error
    return report


def _for_students(file: Path) -> bytes:
    """What a user gets of a shipped file: a lab without its solutions, anything else as it is."""
    if file.suffix == ".ipynb" and file.parent.name == "labs":
        return text(editions.student(read(file))).encode()
    return file.read_bytes()


def _read_record(folder: Path) -> dict[str, str]:
    """Digests of the copies by name; none if the record is missing or damaged."""
    try:
        record = json.loads((folder / _RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def first_notebook(folder: Path) -> Path:
    """The notebook to open: lab 1; lab 0 is a reference about the world."""
    labs = sorted((folder / "labs").glob("*.ipynb"))
    return next((lab for lab in labs if lab.name.startswith("01_")), labs[0] if labs else folder)


def lab_settings(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which JupyterLab reads defaults of ours from the folder, before its own and after a user's.

    Messages of widgets go to subshells of the kernel: controls then act while a cell runs.
    """
    defaults = folder / "labconfig" / "default_setting_overrides.json"
    defaults.parent.mkdir(parents=True, exist_ok=True)
    defaults.write_text(json.dumps({_KERNELS: {"commsOverSubshells": "perCommTarget"}}))
    paths = [str(folder), environment.get("JUPYTER_CONFIG_PATH", "")]
    return {**environment, "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, paths))}


def open_jupyter(folder: Path, options: list[str]) -> int:
    """Run JupyterLab in the folder until it is stopped; returns its exit status."""
    # PyTorch's idle threads would compete with the browser for the cores, so they sleep; only after 50 us, because
    # waking them takes longer than the small operations of a step. It has to be set before torch is imported.
    env = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000", **os.environ}
    start = first_notebook(folder).relative_to(folder).as_posix()
    command = [sys.executable, "-m", "jupyterlab", f"--LabApp.default_url=/lab/tree/{start}", *options]
    with TemporaryDirectory(prefix="cnnexplore-") as settings:
        try:
            return subprocess.call(command, cwd=folder, env=lab_settings(Path(settings), env))
        except KeyboardInterrupt:
            return 0
