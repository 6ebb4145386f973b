"""Other hosts than JupyterLab, in a real browser: Notebook 7, and the explorer as an application of Voila."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from lab import Notebook, Server, write_notebook

for name in ("notebook", "voila"):
    pytest.importorskip(name, reason=f'this test needs {name}: pip install -e ".[test]"')

STATE = {
    "cnnexplore": 1, "network": {"name": "photonet"}, "image": {"python": "cx.photograph('cat')"}, "layer": "conv3",
    "question": "inversion", "settings": {"steps": 50_000},
}  # fmt: skip


def drag(page, label: str, distance: float) -> None:
    """Moves a slider's handle with the mouse, in pixels."""
    named = page.locator(".widget-label", has_text=re.compile(f"^{label}$"))
    slider = page.locator(".widget-slider:visible", has=named).first
    handle = slider.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    at = handle.bounding_box()
    x, y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + distance / 2, y, steps=3)
    page.mouse.move(x + distance, y, steps=3)
    page.mouse.up()


# Notebook 7


@pytest.fixture
def classic(page, tmp_path):
    """A notebook with a panel, open and run in Notebook 7."""
    folder = tmp_path / "course"
    folder.mkdir()
    server = Server(folder, tmp_path / "jupyter", "notebook")
    code = 'import cnnexplore as cx\npanel = cx.InversionPanel("photonet", layer="conv3", steps=50_000)\npanel'
    write_notebook(folder / "a.ipynb", code)
    opened = Notebook(page, server, "a.ipynb")
    opened.open()
    opened.run_all()
    yield opened
    server.end_kernels()
    server.close()


def test_a_slider_moves_a_running_optimisation_in_notebook_7(classic, page, photograph):
    page.locator(".cx-panel").scroll_into_view_if_needed()
    before = classic.wait_state("d.step > 3 && d.state === 'running'")
    drag(page, "C", -60)
    marked = classic.wait_state("d.marks.some((m) => m[1].startsWith('C '))")
    assert marked["step"] >= before["step"], "the run went on"
    C = float(classic.execute("print(panel.settings.C)"))
    assert C < 300
    classic.wait_state(f"d.marks.at(-1)[1] === 'C {C:g}'")
    assert float(classic.execute("print(panel.runner.run.changes[max(panel.runner.run.changes)]['C'])")) == C
    picture = np.array(classic.pixels())
    classic.wait_state(f"d.step > {marked['step'] + 20}")
    page.wait_for_function("() => Number(document.querySelectorAll('.cx-frame canvas')[1].dataset.frames) > 5")
    assert np.abs(np.array(classic.pixels()) - picture).max() > 0
    photograph("notebook7-panel")
    classic.execute("panel.pause()")
    classic.save()
    assert [o for o in classic.outputs("display_data") if "image/png" in o["data"]], "the saved notebook has a picture"


def test_a_slider_acts_while_a_cell_runs_in_notebook_7(classic, page):
    page.locator(".cx-panel").scroll_into_view_if_needed()
    step = classic.wait_state("d.step > 3 && d.state === 'running'")["step"]
    classic.execute("import time\nwhile not globals().get('enough'): time.sleep(0.1)", wait=False)
    page.wait_for_function(
        "() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'busy' && window.cxBusy"
    )
    drag(page, "β", -40)
    classic.wait_state("d.marks.some((m) => m[1].startsWith('β '))")
    classic.wait_state(f"d.step > {step + 5}")
    assert page.evaluate("() => window.cxBusy"), "the cell must still be running, or this shows nothing"
    assert page.locator(".cx-panel", has_text="the controls wait").count() == 0
    page.evaluate("() => jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")


# the application


def children_of(process: int) -> set[int]:
    """The processes that a process has started, and those that they have started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = dict(map(int, line.split()) for line in listed.splitlines())
    found: set[int] = set()
    while new := {one for one, parent in parents.items() if parent in found | {process}} - found:
        found |= new
    return found


def kernels_of(process: int) -> set[int]:
    """Those of them that are kernels."""
    listed = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout
    kernels = {int(line.split()[0]) for line in listed.splitlines() if "ipykernel_launcher" in line}
    return kernels & children_of(process)


def wait_for(condition, seconds: float = 60):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)
    return found


@pytest.fixture
def app(tmp_path):
    """The command "cnnexplore app" and its address."""
    (tmp_path / "state.json").write_text(json.dumps(STATE))
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    command = [sys.executable, "-m", "cnnexplore", "app", "--state", "state.json", "--no-browser", f"--port={port}"]
    paths = os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH", "")]))
    env = {**os.environ, "PYTHONPATH": paths, "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    with open(tmp_path / "app.log", "w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://localhost:{port}/"

    def answers():
        assert process.poll() is None, (tmp_path / "app.log").read_text()
        try:
            urllib.request.urlopen(f"{address}voila/static/voila.js", timeout=2)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    wait_for(answers)
    yield process, address
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) is not None


def test_the_explorer_is_an_application_without_code(app, page, photograph):
    process, address = app
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(request.url.split("/")[2] if "//" in request.url else ""))
    page.goto(address, timeout=120_000)
    page.wait_for_function(
        "() => { const d = JSON.parse(document.querySelector('.cx-run')?.dataset.state ?? 'null');"
        " return d && d.state === 'running' && d.step > 3; }",
        timeout=120_000,
    )
    assert page.locator(".jp-InputArea, .jp-Cell-inputWrapper").count() == 0
    assert "cx.explore" not in page.content()
    assert asked - {""} == {address.split("/")[2]}, "nothing comes from elsewhere"
    opened = Notebook(page, None, "")
    step = opened.state()["step"]
    drag(page, "C", -60)
    marked = opened.wait_state("d.marks.some((m) => m[1].startsWith('C '))")
    assert marked["step"] >= step, "the run went on"
    opened.wait_state(f"d.step > {marked['step'] + 10}")
    stills = page.locator("img[src^='data:image/png']")
    assert not any(stills.nth(k).is_visible() for k in range(stills.count())), (
        "beside the live explorer the still hides"
    )
    photograph("voila-explorer")
    kernels = kernels_of(process.pid)
    assert len(kernels) == 1
    page.goto("about:blank")
    wait_for(lambda: not kernels & kernels_of(process.pid))


def test_kernels_end_with_the_application(app, page):
    process, address = app
    page.goto(address, timeout=120_000)
    page.wait_for_selector(".cx-explorer", timeout=120_000)
    children = children_of(process.pid)
    assert kernels_of(process.pid)
    process.send_signal(signal.SIGTERM)
    process.wait(30)

    def gone():
        listed = subprocess.run(["ps", "-eo", "pid=,stat="], capture_output=True, text=True, check=True).stdout
        alive = {int(line.split()[0]) for line in listed.splitlines() if not line.split()[1].startswith("Z")}
        return not children & alive

    wait_for(gone)
