"""RunView: metric, step, scrub bar, energy chart, status line and message of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ...errors import ExploreError
from ...preimage import SteeredRun
from .messages import Message
from .view import View

_LETTERS = {"alpha": "α", "beta": "β", "gamma": "γ"}


class RunView(View):
    """The progress of a run; it is sent in messages, so that the loop never waits for the browser.

    Parameters
    ----------
    unit : str
        Unit of the run's metric, behind the number.
    meaning : str
        What the metric measures, in a few words; the tooltip of the number.
    quiet : bool
        Whether only the status line is shown, for a panel without a run.
    **traits
        Values of any other trait of a widget.

    Attributes
    ----------
    status : dict
        The status line, with its "state", "text" and "trace".
    message : str
        What was refused; it stays beside the status line, which a run writes, until something else succeeds.
    on_scrub : callable
        Called with the step that the scrub bar is moved to.
    """

    _files = "run_view"

    def __init__(self, unit: str = "", meaning: str = "", quiet: bool = False, **traits: Any):
        super().__init__(**traits)
        if quiet:
            self.add_class("cx-quiet")
            self.layout.width = "100%"
        self.unit, self.meaning = unit, meaning
        self.on_scrub: Callable[[int], object] = lambda step: None
        self._run: SteeredRun | None = None
        self._sent = 0  # steps that the browser has
        self.status: dict[str, Any] = {"kind": "status", "state": "idle", "text": "", "trace": "", "live": True}
        self.message = ""
        self._host: RunView | None = None
        self._guest: RunView | None = None

    def report_to(self, host: RunView | None) -> None:
        """Show the status line and the message in another view, such as the one at the foot of the explorer.

        Parameters
        ----------
        host : RunView or None
            None: here again.
        """
        if self._host is not None:
            self._host._guest = None
            self.remove_class("cx-reports-elsewhere")
        self._host = host
        if host is not None:
            host._guest = self
            self.add_class("cx-reports-elsewhere")
            host.set_status(**self._status_of_now)
            host.set_message(self.message)

    @property
    def _status_of_now(self) -> dict[str, Any]:
        return {name: value for name, value in self.status.items() if name != "kind"}

    def set_run(self, run: SteeredRun) -> None:
        """Show another run from its first step.

        Parameters
        ----------
        run : SteeredRun
        """
        self._run, self._sent = run, 0
        metric = {"metric": run.loss.metric_name, "unit": self.unit, "meaning": self.meaning}
        self.send({"kind": "trace", "reset": True, "total": run.total, "marks": [], **metric})

    def update(self, text: str = "") -> None:
        """Send the steps that were taken since the last time.

        Parameters
        ----------
        text : str
            Another status line; empty to leave it as it is.
        """
        run = self._run
        if run is None:
            return
        first, self._sent = self._sent, run.step
        if text:
            self.status["text"] = text
            if self._host is not None:
                self._host.set_status(**self._status_of_now)
        content = {"kind": "trace", "total": run.total, "marks": _marks(run), "text": text}
        self.send(content, buffers=[_rows(run, first)])

    def set_status(self, state: str, text: str, trace: str = "", live: bool = True, step: int | None = None) -> None:
        """Show a status line.

        Parameters
        ----------
        state : str
            "idle", "loading", "running", "paused", "stopped", "finished" or "failed".
        text : str
            One sentence.
        trace : str
            A traceback behind it, one click away.
        live : bool
            Whether the picture beside it is the newest; False while the user looks back at an earlier one.
        step : int, optional
            The step of the earlier picture; its number and error are shown.
        """
        self.status = {"kind": "status", "state": state, "text": text, "trace": trace, "live": live, "step": step}
        self.send(self.status)
        if self._host is not None:
            self._host.set_status(**self._status_of_now)

    def set_message(self, text: str) -> None:
        """Show a sentence beside the status line until another one, "", or a click on its cross takes its place.

        Parameters
        ----------
        text : str
            What was refused, and what would help.
        """
        if text or self.message:
            self.message = text
            self.send({"kind": "message", "text": text})
        if self._host is not None:
            self._host.set_message(text)

    @contextmanager
    def show_errors(self) -> Iterator[None]:
        """Show an ExploreError that is raised in this context as the message, and go on after the context.

        A context that ends without one takes the former message away.
        """
        try:
            yield
        except ExploreError as error:
            self.set_message(str(error))
        else:
            self.set_message("")

    def copy(self, text: str) -> None:
        """Put text on the clipboard of the browser.

        Parameters
        ----------
        text : str
        """
        self.send({"kind": "copy", "text": text})

    def download(self, name: str, png: bytes) -> None:
        """Let the browser download a PNG file.

        Parameters
        ----------
        name : str
            Name of the file.
        png : bytes
            Its content.
        """
        self.send({"kind": "download", "name": name}, buffers=[png])

    def _read(self, message: Message) -> Callable[[], object] | None:
        if message.kind == "scrub" and self._run is not None:
            return partial(self.on_scrub, message.integer("step", 0, self._run.total))
        if message.kind == "dismiss":
            return self._dismiss
        return self._send_all if message.kind == "ready" else None

    def _dismiss(self) -> None:
        if self._guest is not None:
            self._guest.set_message("")
        self.set_message("")

    def _send_all(self) -> None:
        if self._run is not None:
            self.set_run(self._run)
            self.update()
        self.send(self.status)
        self.send({"kind": "message", "text": self.message})


def _rows(run: SteeredRun, first: int) -> bytes:
    """Float32 rows of step, C x data term (or response), priors and metric, from a step on; means of a batch."""
    history = run.records(first)
    rows = np.empty((len(history), 4), np.float32)
    priors = sum((history[prior.name] for prior in run.priors), np.zeros_like(history["energy"]))
    sign = 1 if run.loss.metric_name == "error" else -1  # a response is the negative of its data term
    rows[:, 0] = history["step"].mean(1) + 1
    rows[:, 1] = sign * (history["energy"] - priors).mean(1)
    rows[:, 2] = priors.mean(1)
    rows[:, 3] = history[run.loss.metric_name].mean(1)
    return rows.tobytes()


def _marks(run: SteeredRun) -> list[tuple[int, str]]:
    """Return the steps at which a setting changed, each with its new value: (12, "C 20")."""
    return [
        (step, ", ".join(f"{_LETTERS.get(k, k)} {v:g}" for k, v in changes.items()))
        for step, changes in run.changes.items()
    ]
