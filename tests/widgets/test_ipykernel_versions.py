"""Controls while a cell runs, in real kernels: several versions of ipykernel, with and without subshells."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

pytestmark = pytest.mark.long

BUSY = 4.0  # seconds that a cell runs
VERSIONS = ("6.31.0", "7.1.0", "7.3.0", "7.4.0")


class Kernel:
    """A kernel of this Python with another ipykernel in front of the installed one."""

    def __init__(self, folder: Path | None):
        here = Path(__file__).parents[2]
        paths = [str(one) for one in (folder, here) if one is not None]
        if os.environ.get("PYTHONPATH"):
            paths.append(os.environ["PYTHONPATH"])
        self.manager = KernelManager(kernel_name="tried")
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        self.manager._kernel_spec = KernelSpec(argv=argv, display_name="tried", language="python")
        self.manager.start_kernel(env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(60)

    def begin(self, code: str) -> str:
        return self.client.execute(code)

    def end(self, number: str) -> object:
        """The last line that a cell printed, as JSON."""
        printed = ""
        while True:
            message = self.client.get_iopub_msg(timeout=90)
            if message["parent_header"].get("msg_id") != number:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream" and content["name"] == "stdout":
                printed += content["text"]
            elif kind == "error":
                raise AssertionError("\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                return json.loads(printed.splitlines()[-1]) if printed.strip() else None

    def run(self, code: str) -> object:
        return self.end(self.begin(code))

    def new_subshell(self) -> str | None:
        """The number of a new subshell, as JupyterLab asks for it; None where the kernel has none."""
        self.client.control_channel.send(self.client.session.msg("create_subshell_request"))
        try:
            return self.client.get_control_msg(timeout=10)["content"].get("subshell_id")
        except Exception:  # 6.31 does not answer
            return None

    def tell(self, comm: str, data: dict, subshell: str | None) -> None:
        """A message of the browser to a widget."""
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module", params=["installed", *VERSIONS])
def kernel(request, tmp_path_factory):
    folder = None
    if request.param != "installed":
        folder = tmp_path_factory.mktemp(request.param)
        wanted = [f"ipykernel=={request.param}", "nest-asyncio", "nest-asyncio2"]
        command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder), *wanted]
        if subprocess.run(command, capture_output=True, timeout=120).returncode:
            pytest.skip(f"ipykernel {request.param} cannot be had here.")
    made = Kernel(folder)
    yield made
    made.close()


def test_controls_while_a_cell_runs(kernel):
    found = kernel.run(
        """
import json, threading, time, ipykernel
import ipywidgets as w
import cnnexplore as cx
panel = cx.InversionPanel("lenet", layer="conv2", steps=3)
slider = w.FloatSlider(0.1)
moves = []
def moved(change):
    moves.append((time.monotonic(), threading.current_thread() is threading.main_thread()))
slider.observe(moved, "value")
print(json.dumps([ipykernel.__version__, slider.comm.comm_id, panel.run_view.comm.comm_id, panel.waiting.value]))
"""
    )
    version, slider, view, at_first = found
    has_subshells = int(version.split(".")[0]) >= 7
    assert ("ipykernel 7.1" in at_first) == (not has_subshells)

    def moved_while_busy(subshell, value) -> bool:
        """Whether a slider's move in the middle of a cell arrives before the cell has ended."""
        number = kernel.begin(
            f"moves.clear(); slider.value = {value}; moves.clear(); print('null', flush=True); time.sleep({BUSY}); "
            "end = time.monotonic()"
        )
        time.sleep(BUSY / 3)
        kernel.tell(slider, {"method": "update", "state": {"value": value + 1}}, subshell)
        kernel.end(number)
        time.sleep(0.3)
        moves, end = kernel.run("print(json.dumps([moves, end]))")
        assert len(moves) == 1
        assert (moves[0][0] < end) == (not moves[0][1])  # in the main thread only after the cell
        return moves[0][0] < end

    def say(subshell) -> str:
        """What the panel says after messages to its view."""
        for kind in ("ready", "ack", "ack"):
            kernel.tell(view, {"method": "custom", "content": {"kind": kind, "view": "one", "seq": 0}}, subshell)
        time.sleep(0.5)
        return kernel.run("print(json.dumps(panel.waiting.value))")

    assert not moved_while_busy(None, 1.0)
    text = say(None)
    assert ("uses no subshells" in text) == has_subshells
    assert ("ipykernel 7.1" in text) != has_subshells

    subshell = kernel.new_subshell()
    assert (subshell is not None) == has_subshells
    if has_subshells:
        assert say(subshell) == ""
        for value in (3.0, 5.0):
            assert moved_while_busy(subshell, value)
        assert say(subshell) == ""


def test_a_run_shows_its_pictures(kernel):
    """A loop's thread sends through the kernel while another cell runs; its state is reached in the main thread."""
    done = kernel.run(
        """
other = cx.InversionPanel("lenet", layer="conv1", steps=3)
other.run_view.receive({"kind": "ready", "view": "two"})
print(json.dumps([other.wait(60), other.picture.shape]))
"""
    )
    assert done[0]
    assert done[1] == [28, 28, 3]
