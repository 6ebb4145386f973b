"""What works here: versions, live drawing, sliders while a cell runs, the GPU, each found out by trying it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGES = (
    "cnnexplore", "torch", "torchvision", "numpy", "ipykernel", "ipywidgets", "jupyterlab_widgets", "anywidget",
    "jupyterlab", "notebook", "voila",
)  # fmt: skip
_EXTENSIONS = {"@jupyter-widgets/jupyterlab-manager": "jupyterlab_widgets", "anywidget": "anywidget"}
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_BUSY = 3.0  # seconds that a cell of the tried kernel runs
_WIDGET = """
import json, time
from cnnexplore.widgets.views.unit_grid import UnitGrid
grid = UnitGrid(3)
moments = []
grid.observe(lambda change: moments.append(time.time()), "selected")
print(json.dumps({"comm": getattr(grid.comm, "comm_id", None), "module": str(grid._model_module)}))
"""


@dataclass(frozen=True)
class Finding:
    """One thing that was tried.

    Attributes
    ----------
    name : str
        What it is.
    works : bool or None
        None where nothing depends on it.
    text : str
        One sentence, with the command that helps where it does not work.
    """

    name: str
    works: bool | None
    text: str


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that matter, by name; "" for one that is not installed."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ""
    if not found["cnnexplore"]:  # run from its folder
        from . import __version__

        found["cnnexplore"] = __version__
    return found


def examine() -> Iterator[Finding]:
    """Try what the panels need, one thing after another; a kernel is started for it."""
    known = versions()
    answer = try_kernel()
    yield drawing(known, answer)
    yield sliders(known, answer)
    yield gpu()
    yield browser()
    yield application(known)


def missing_extensions() -> list[str]:
    """The packages whose part of JupyterLab is missing in this environment."""
    from jupyter_core.paths import jupyter_path

    folders = [Path(one) for one in jupyter_path("labextensions")]
    return [
        package
        for name, package in _EXTENSIONS.items()
        if not any((folder / name / "package.json").is_file() for folder in folders)
    ]


def drawing(known: dict[str, str], answer: dict[str, Any]) -> Finding:
    """Whether panels are drawn: the widget manager, and a kernel that opens a widget.

    Parameters
    ----------
    known : dict
        Versions by name.
    answer : dict
        What `try_kernel` found.
    """
    name = "live drawing"
    if not known["ipykernel"]:
        return Finding(name, False, "not here: the kernel is missing; run: pip install ipykernel")
    if "error" in answer:
        return Finding(name, False, f"not here: a kernel does not start or opens no widget ({answer['error']}).")
    missing = missing_extensions()
    if missing and not (known["jupyterlab"] or known["notebook"]):
        return Finding(
            name, None, f"the kernel is ready; where JupyterLab is installed, run: pip install {' '.join(missing)}"
        )
    if missing:
        help = f"pip install --force-reinstall --no-deps {' '.join(missing)}"
        return Finding(
            name, False, f"not in JupyterLab of this environment: its widget manager is missing ({help}), then reload "
            "the page."
        )  # fmt: skip
    if known["ipywidgets"].split(".")[0] == "7":
        return Finding(
            name, False, f'not with ipywidgets {known["ipywidgets"]}: run: pip install -U "ipywidgets>=8.1.5"'
        )
    return Finding(
        name, True, f"works: a kernel opened a widget in {answer['opened']:.1f} s, and JupyterLab can draw it."
    )


def sliders(known: dict[str, str], answer: dict[str, Any]) -> Finding:
    """Whether a control acts while a cell runs.

    Parameters
    ----------
    known : dict
        Versions by name.
    answer : dict
        What `try_kernel` found.
    """
    name, version = "sliders while a cell runs", known["ipykernel"]
    if "error" in answer:
        return Finding(name, False, "not tried, because no kernel answered.")
    if answer["acted"] is None:
        return Finding(
            name, False, f"they wait for the cell, because ipykernel {version} has no subshells; all else works. "
            'pip install -U "ipykernel>=7.1" mends it.'
        )  # fmt: skip
    if answer["acted"] >= _BUSY:
        return Finding(name, False, f"they waited for the cell, although ipykernel {version} has subshells.")
    return Finding(
        name, True, f"they act at once ({max(answer['acted'], 0):.2f} s) with ipykernel {version}; the page must use "
        "subshells, as JupyterLab 4.4 and Notebook 7.4 do."
    )  # fmt: skip


def gpu() -> Finding:
    """The device that `cx.load` takes."""
    import torch

    if torch.cuda.is_available():
        return Finding("GPU", True, f"{torch.cuda.get_device_name(0)}; cx.load takes it.")
    if torch.backends.mps.is_available():
        return Finding("GPU", True, "Apple's MPS; cx.load takes it.")
    threads = torch.get_num_threads()
    return Finding("GPU", None, f"none; everything runs on the CPU, in {threads} thread{'s' if threads > 1 else ''}.")


def browser() -> Finding:
    """A Chromium, for PDF files and the browser tests."""
    path = next((found for found in map(shutil.which, _BROWSERS) if found), None)
    if path is None:
        return Finding(
            "Chromium", None, "none was found; only PDF files of notebooks and the browser tests need it: "
            "apt-get install chromium"
        )  # fmt: skip
    return Finding("Chromium", True, f"{path}; notebooks can be made into PDF files.")


def application(known: dict[str, str]) -> Finding:
    """Whether `cnnexplore app` can start.

    Parameters
    ----------
    known : dict
        Versions by name.
    """
    if not known["voila"]:
        return Finding("cnnexplore app", None, 'needs Voila; run: pip install "cnnexplore[app]"')
    return Finding("cnnexplore app", True, f"works with Voila {known['voila']}.")


def try_kernel() -> dict[str, Any]:
    """Start a kernel of this Python, open a widget, and move its selection while a cell runs.

    Returns
    -------
    dict
        "opened", seconds until the widget was there; "acted", seconds until the selection moved, None without
        subshells; or "error", a few words.
    """
    try:
        from jupyter_client.kernelspec import KernelSpec
        from jupyter_client.manager import KernelManager
    except ImportError:
        return {"error": "jupyter_client is missing; pip install ipykernel"}
    manager = KernelManager(kernel_name="tried")
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=argv, display_name="tried", language="python")
    paths = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]))
    client = None
    try:
        began = time.monotonic()
        manager.start_kernel(env={**os.environ, "PYTHONPATH": paths}, stderr=subprocess.DEVNULL)
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(60)
        opened = _run(client, _WIDGET)
        if not opened.get("comm"):
            return {"error": "the widget has no connection to a page"}
        seconds = time.monotonic() - began
        return {"opened": seconds, "acted": _acted(client, opened["comm"])}
    except Exception as error:  # whatever a broken installation raises
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"}
    finally:
        if client is not None:
            client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)


def _acted(client: Any, comm: str) -> float | None:
    """Seconds from a message of a page in a subshell until it was handled, with a cell running."""
    client.control_channel.send(client.session.msg("create_subshell_request"))
    try:
        subshell = client.get_control_msg(timeout=5)["content"].get("subshell_id")
    except Exception:  # a kernel without subshells does not answer, or with an error
        subshell = None
    if subshell is None:
        return None
    number = client.execute(f"time.sleep({_BUSY})")
    _until(client, number, "busy")
    message = client.session.msg(
        "comm_msg", {"comm_id": comm, "data": {"method": "update", "state": {"selected": 1}, "buffer_paths": []}}
    )
    message["header"]["subshell_id"] = subshell
    sent = time.time()
    client.shell_channel.send(message)
    _until(client, number, "idle")
    moments = _run(client, "print(json.dumps(moments))")
    return float(moments[0]) - sent if moments else _BUSY


def _run(client: Any, code: str) -> Any:
    """The last line that some code printed, as JSON."""
    return json.loads(_until(client, client.execute(code), "idle").splitlines()[-1])


def _until(client: Any, number: str, state: str) -> str:
    """Wait until a request is busy or idle; returns what was printed meanwhile. Raises RuntimeError for an error."""
    printed = ""
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != number:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "stream" and content["name"] == "stdout":
            printed += content["text"]
        elif kind == "error":
            raise RuntimeError(f"{content['ename']}: {content['evalue']}")
        elif kind == "status" and content["execution_state"] == state:
            return printed


def report(findings: list[Finding], known: dict[str, str]) -> str:
    """What was found as lines for a terminal.

    Parameters
    ----------
    findings : list of Finding
    known : dict
        Versions by name.
    """
    words = {True: "yes", False: "NO", None: "-"}
    there = ", ".join(f"{name} {version}" for name, version in known.items() if version)
    absent = [name for name, version in known.items() if not version]
    lines = [there, *([f"not installed: {', '.join(absent)}"] if absent else []), ""]
    width = max(len(one.name) for one in findings)
    return "\n".join([*lines, *(f"{words[one.works]:>3}  {one.name:<{width}}  {one.text}" for one in findings)])
