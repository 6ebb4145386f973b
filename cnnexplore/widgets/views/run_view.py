"""RunView: error, step, scrub bar, energy chart and status line of a run."""

from __future__ import annotations

from collections.abc import Callable

import anywidget
import numpy as np

from ...errors import ExploreError
from ...preimage import Run
from ..live.post import handles_messages
from .frame_view import STATIC

_LETTERS = {"alpha": "α", "beta": "β", "gamma": "γ"}


class RunView(anywidget.AnyWidget):
    """Shows what a run is doing; fed by messages only, so that its loop never waits.

    unit, means: what a run's error or response is measured in, and what it means, in a few words. quiet: one line of
    status only, for a panel without a run. status: what the line says, with its "state", "text" and "trace".
    on_scrub(step) is called when the scrub bar is moved.
    """

    _esm = STATIC / "run_view.js"
    _css = STATIC / "run_view.css"

    def __init__(self, unit: str = "", means: str = "", quiet: bool = False, **traits):
        super().__init__(**traits)
        if quiet:
            self.add_class("cx-quiet")
            self.layout.width = "100%"
        self.unit, self.means = unit, means
        self.on_scrub: Callable[[int], None] = lambda step: None
        self._run: Run | None = None
        self._sent = 0
        self.status = {"kind": "status", "state": "idle", "text": "", "trace": "", "live": True}
        self.on_msg(lambda _, content, buffers: self.receive(content))

    def set_run(self, run: Run) -> None:
        """Shows another run from its first step."""
        self._run, self._sent = run, 0
        judged = {"metric": run.loss.metric_name, "unit": self.unit, "means": self.means}
        self.send({"kind": "trace", "reset": True, "total": run.total, "marks": [], **judged})

    def update(self, text: str = "") -> None:
        """Sends the steps that were taken since the last time, and another line of status if there is one."""
        run = self._run
        if run is None:
            return
        first, self._sent = self._sent, run.step
        if text:
            self.status["text"] = text
        content = {"kind": "trace", "total": run.total, "marks": marks(run), "text": text}
        self.send(content, buffers=[points(run, first)])

    def set_status(self, state: str, text: str, trace: str = "", live: bool = True) -> None:
        """One line of status. live: the picture shown is the newest, not one looked back at."""
        self.status = {"kind": "status", "state": state, "text": text, "trace": trace, "live": live}
        self.send(self.status)

    def show_errors(self) -> ShownErrors:
        """A context in which an error on purpose becomes a line of status, and all else stays as it was."""
        return ShownErrors(self)

    def copy(self, text: str) -> None:
        """Puts text on the clipboard of whoever looks."""
        self.send({"kind": "copy", "text": text})

    def download(self, name: str, png: bytes) -> None:
        """Hands a PNG file to the browser."""
        self.send({"kind": "download", "name": name}, buffers=[png])

    def receive(self, content: dict) -> None:
        handles_messages()
        if content.get("kind") == "scrub":
            self.on_scrub(int(content["step"]))
        elif content.get("kind") == "ready":
            if self._run is not None:
                self.set_run(self._run)
                self.update()
            self.send(self.status)


def points(run: Run, first: int = 0) -> bytes:
    """step, C x data or response, priors, error or response of each step from `first` on, float32; means of a batch."""
    history = run.records(first)
    table = np.empty((len(history), 4), np.float32)
    priors = sum(history[prior.name] for prior in run.priors)
    sign = 1 if run.loss.metric_name == "error" else -1  # a response is the opposite of its data term
    table[:, 0] = history["step"].mean(1) + 1
    table[:, 1] = sign * (history["energy"] - priors).mean(1)
    table[:, 2] = priors.mean(1)
    table[:, 3] = history[run.loss.metric_name].mean(1)
    return table.tobytes()


def marks(run: Run) -> list[list]:
    """Where a setting changed: [step, "C 20"]."""
    return [
        [step, ", ".join(f"{_LETTERS.get(k, k)} {v:g}" for k, v in changes.items())]
        for step, changes in run.changes.items()
    ]


class ShownErrors:
    """An error that a person's choice caused appears in the panel as a sentence; what was there stays."""

    def __init__(self, run_view: RunView):
        self.run_view = run_view

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace) -> bool:
        if isinstance(error, ExploreError):
            self.run_view.set_status("failed", str(error))
            return True
        return False
