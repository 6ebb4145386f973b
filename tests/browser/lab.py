"""A real JupyterLab in headless Chromium: started, driven and photographed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from playwright.sync_api import TimeoutError

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TOKEN = "cnnexplore-test"


def find_chromium() -> str | None:
    """The system's Chromium or Chrome; Playwright's own browser is not needed."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    return next((path for path in map(shutil.which, names) if path), None)


class Server:
    """JupyterLab or Notebook 7 on a free port, with settings and workspaces of its own under `home`."""

    def __init__(self, folder: Path, home: Path, application: str = "jupyterlab"):
        self.place = {"jupyterlab": "lab/tree", "notebook": "notebooks"}[application]
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        env = dict(os.environ)
        for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
            env[f"JUPYTER_{name}"] = str(home / name)
        for name in ("SETTINGS_DIR", "WORKSPACES_DIR"):
            env[f"JUPYTERLAB_{name}"] = str(home / name)
        env["IPYTHONDIR"] = str(home / "ipython")
        env.pop("JUPYTER_PLATFORM_DIRS", None)
        notices = home / "SETTINGS_DIR" / "@jupyterlab" / "apputils-extension"
        notices.mkdir(parents=True)
        (notices / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
        self.log = open(home / "server.log", "w")  # noqa: SIM115
        options = [f"--port={self.port}", "--no-browser", "--ip=127.0.0.1", f"--IdentityProvider.token={TOKEN}"]
        exposed = {"jupyterlab": "LabApp", "notebook": "JupyterNotebookApp"}[application]
        options += [f"--{exposed}.expose_app_in_browser=True", "--ServerApp.port_retries=0", "--allow-root"]
        command = [sys.executable, "-m", application, *options, f"--ServerApp.root_dir={folder}"]
        self.process = subprocess.Popen(command, env=env, stdout=self.log, stderr=subprocess.STDOUT)
        self.url = f"http://127.0.0.1:{self.port}"
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{self.url}/api?token={TOKEN}", timeout=2).read()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(f"JupyterLab did not start: {home / 'server.log'}") from None
                time.sleep(0.25)
        raise RuntimeError("JupyterLab did not answer within a minute.")

    def end_kernels(self) -> None:
        """Ends every session through the server itself, and returns once they are gone: no page can be too late."""
        for session in json.loads(self._ask("GET", "/api/sessions")):
            with contextlib.suppress(urllib.error.HTTPError):  # it went by itself
                self._ask("DELETE", f"/api/sessions/{session['id']}")

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}?token={TOKEN}", method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()


class Notebook:
    """One notebook open in a page."""

    def __init__(self, page, server: Server, name: str):
        self.page, self.server, self.name = page, server, name
        page.set_default_timeout(60_000)

    def open(self) -> None:
        """Loads the page, with a fresh kernel, and waits until it answers; a page that stays stuck is loaded again."""
        for _ in range(3):
            self.server.end_kernels()
            with contextlib.suppress(TimeoutError):
                self.page.goto(f"{self.server.url}/{self.server.place}/{self.name}?token={TOKEN}&reset")
                return self._ready()
        raise RuntimeError(f"JupyterLab did not open {self.name} with a kernel; its session: {self._session()}")

    def reload(self) -> None:
        """Reloads the page as a person would and waits until the kernel answers."""
        self.page.reload()
        self._ready()

    def _ready(self) -> None:
        self.page.wait_for_function(
            """() => {
              const session = window.jupyterapp?.shell?.currentWidget?.sessionContext;
              const kernel = session?.session?.kernel;
              return session?.isReady && kernel?.connectionStatus === "connected" && kernel?.status === "idle";
            }""",
            timeout=90_000,
        )
        answered = self.page.evaluate(
            """async () => {
              const late = new Promise((go) => setTimeout(() => go(false), 30000));
              const info = jupyterapp.shell.currentWidget.sessionContext.session.kernel.info.then(() => true);
              return await Promise.race([info, late]);
            }"""
        )
        if not answered:  # whatever is sent to it waits for that answer, for ever
            raise TimeoutError("the kernel did not say what it is within 30 s.")

    def _session(self) -> dict:
        return self.page.evaluate(
            """() => {
              const widget = window.jupyterapp?.shell?.currentWidget, session = widget?.sessionContext;
              const kernel = session?.session?.kernel;
              return { widget: widget?.title.label, ready: session?.isReady, status: kernel?.status,
                connection: kernel?.connectionStatus, dialogs: document.querySelectorAll(".jp-Dialog").length };
            }"""
        )

    def run_all(self, timeout: float = 480) -> None:
        """Runs all cells and waits for the last; raises if one fails."""
        cells = "[...jupyterapp.shell.currentWidget.content.model.cells]"
        for last in (False, False, True):
            self.page.evaluate("() => { jupyterapp.commands.execute('notebook:run-all-cells'); }")
            try:
                self.page.wait_for_function(f"() => {cells}.some((c) => c.executionCount !== null)", timeout=20_000)
                break
            except TimeoutError:  # the command came before the notebook was ready for it, or the kernel hears nothing
                if last:
                    raise
                self.open()
        self.page.wait_for_function(
            """() => {
              const cells = jupyterapp.shell.currentWidget.content.model.cells;
              return [...cells].every((c) => c.type !== "code" || !c.sharedModel.getSource().trim()
                || c.executionCount !== null
                || [...Array(c.outputs.length).keys()].some((k) => c.outputs.get(k).type === "error"));
            }""",
            timeout=timeout * 1000,
        )
        errors = self.outputs("error")
        if errors:
            raise RuntimeError(f"a cell failed: {errors[0]}")

    def outputs(self, kind: str) -> list[dict]:
        """The outputs of a type in the notebook's model."""
        return self.page.evaluate(
            """(kind) => [...jupyterapp.shell.currentWidget.content.model.cells].flatMap((c) =>
              c.type === "code" ? c.outputs.toJSON().filter((o) => o.output_type === kind) : [])""",
            kind,
        )

    def save(self) -> None:
        self.page.evaluate("async () => { await jupyterapp.shell.currentWidget.context.save(); }")

    def execute(self, code: str, wait: bool = True, seconds: float = 60) -> str:
        """Runs code in the notebook's kernel, outside its cells; returns what it printed."""
        text = self.page.evaluate(
            """async ([code, wait, seconds]) => {
              const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
              const future = kernel.requestExecute({ code, store_history: false });
              let text = "";
              future.onIOPub = (m) => {
                if (m.header.msg_type === "stream") text += m.content.text;
                if (m.header.msg_type === "error") text += `${m.content.ename}: ${m.content.evalue}`;
              };
              window.cxBusy = true;
              const done = future.done.then(() => { window.cxBusy = false; return true; });
              if (!wait) return text;
              const late = new Promise((go) => setTimeout(() => go(false), 1000 * seconds));
              return (await Promise.race([done, late])) ? text : null;
            }""",
            [code, wait, seconds],
        )
        if text is None:
            raise RuntimeError(f"the kernel did not answer within {seconds:g} s to: {code[:200]}")
        return text

    def show(self, which: int = 0) -> None:
        """Scrolls to a panel and waits until it stands still and has drawn its pictures: fit to be photographed."""
        self.page.locator(".cx-panel").nth(which).scroll_into_view_if_needed()
        self.page.wait_for_function(
            """(which) => {
              const panel = document.querySelectorAll(".cx-panel")[which], at = panel?.getBoundingClientRect();
              if (!at?.height) return false;
              const place = `${at.top} ${at.height}`, home = panel.closest(".jp-WindowedPanel-outer, .jp-Notebook");
              const seen = home.getBoundingClientRect(), last = (window.cxLastPlace ??= {});
              if (at.top > seen.bottom - 200 || at.bottom < seen.top + 200) {
                panel.scrollIntoView({ block: "start" });
                last.still = 0;
                return false;
              }
              last.still = place === last.place ? (last.still ?? 0) + 1 : 0;
              last.place = place;
              return last.still > 20 && [...panel.querySelectorAll(".cx-frame canvas")].every((c) =>
                c.dataset.frames || !c.offsetParent);
            }""",
            arg=which,
            polling="raf",
        )

    def copied(self) -> str:
        """Presses "Python" and returns what is on the clipboard once the panel shows it."""
        page = self.page
        page.locator(".cx-panel button", has_text=re.compile(r"^\W*Python\W*$")).click()
        page.wait_for_function("() => document.querySelector('.cx-panel textarea')?.value.startsWith('cx.')")
        shown = page.locator(".cx-panel textarea").input_value()
        for _ in range(100):
            if page.evaluate("() => navigator.clipboard.readText()") == shown:
                return shown
            page.wait_for_timeout(100)
        raise RuntimeError(f"the clipboard did not get {shown!r}")

    def state(self) -> dict:
        """What the first panel says: step, error, state."""
        return self.page.evaluate("() => JSON.parse(document.querySelector('.cx-run').dataset.state)")

    def wait_state(self, test: str, timeout: float = 60) -> dict:
        """Waits until a JavaScript condition on the panel's `d` (step, error, state) holds."""
        self.page.wait_for_function(
            f"() => {{ const d = JSON.parse(document.querySelector('.cx-run')?.dataset.state ?? 'null'); "
            f"return d && ({test}); }}",
            timeout=timeout * 1000,
        )
        return self.state()

    def paused_step(self) -> int:
        """Presses "pause" and returns the step at which the run rests: at most the one under way is still taken."""
        self.page.locator(".cx-panel button", has_text="pause").first.click()
        asked = step = self.wait_state("d.state === 'paused'")["step"]
        while True:
            self.page.wait_for_timeout(1500)
            before, step = step, self.state()["step"]
            assert step <= asked + 1, f"it was asked to wait at step {asked} and is at {step}"
            if step == before:
                return step

    def grid(self, test: str = "true", which: int = 0, timeout: float = 60) -> dict:
        """Waits until a JavaScript condition on a unit grid's `g` (count, done, selected, columns, top) holds."""
        state = f"JSON.parse(document.querySelectorAll('.cx-units')[{which}]?.dataset.state ?? 'null')"
        self.page.wait_for_function(f"() => {{ const g = {state}; return g && ({test}); }}", timeout=timeout * 1000)
        return self.page.evaluate(f"() => {state}")

    def pixels(self, which: int = 1) -> list[int]:
        """The RGBA values of a frame view (0 original, 1 estimate)."""
        return self.page.evaluate(
            """(k) => {
              const c = document.querySelectorAll(".cx-frame canvas")[k];
              return [...c.getContext("2d").getImageData(0, 0, c.width, c.height).data];
            }""",
            which,
        )

    def drawn(self) -> int:
        """How many frames the estimate's view has drawn since it was made."""
        return int(self.page.evaluate("() => document.querySelectorAll('.cx-frame canvas')[1].dataset.frames ?? 0"))

    def drag(self, canvas, start: tuple[float, float], end: tuple[float, float], steps: int = 6) -> None:
        """Drags the mouse on a canvas, from one place (x, y) to another, in parts of its size."""
        box, mouse = canvas.bounding_box(), self.page.mouse
        (x, y), to = ((box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in (start, end))
        mouse.move(x, y)
        mouse.down()
        mouse.move(*to, steps=steps)
        mouse.up()

    def theme(self, name: str) -> None:
        """Another theme, "Light" or "Dark", on the screen."""
        self.page.evaluate(
            f"() => jupyterapp.commands.execute('apputils:change-theme', {{ theme: 'JupyterLab {name}' }})"
        )
        light = str(name == "Light").lower()
        self.page.wait_for_function(f"() => document.body.dataset.jpThemeLight === '{light}'")


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook with the given code cells."""
    body = [
        {"cell_type": "code", "id": f"c{k}", "metadata": {}, "execution_count": None, "outputs": [], "source": source}
        for k, source in enumerate(cells)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(json.dumps({"cells": body, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}))


def inaccessible(page, selector: str) -> list[str]:
    """What axe-core finds wrong for screen readers and keyboards inside an element of the page."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, selector).response["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]
