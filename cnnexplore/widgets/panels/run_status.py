"""RunStatus: the state and the speed of a run, in the status line."""

from __future__ import annotations

import time

from ..views.run_view import RunView

_EVERY = 0.4  # seconds: numbers are read slower than pictures


class RunStatus:
    """Writes how a run goes into its status line.

    Parameters
    ----------
    run_view : RunView
        Has the status line.
    loading : str
        What is done before the first step.
    """

    def __init__(self, run_view: RunView, loading: str):
        self.run_view, self.loading = run_view, loading
        self.begin()

    def begin(self, step: int = 0) -> None:
        """Measure the speed from a step on."""
        self._last = (step, time.monotonic())

    def update(self, step: int) -> None:
        """Show how fast steps are taken, if that is due."""
        now, (before, since) = time.monotonic(), self._last
        if now - since > _EVERY:
            self._last = (step, now)
            self.run_view.update(f"running, {(step - before) / (now - since):.0f} steps/s")

    def set_state(self, state: str, step: int) -> None:
        """Show the state of the run after some steps."""
        texts = {
            "loading": self.loading,
            "running": "running",
            "paused": f"paused at step {step}; start goes on",
            "stopped": f"stopped at step {step}, because the cell was run again; start goes on",
            "finished": f"finished after {step} steps; move a setting, or start, to go on; reset begins again",
        }
        if state == "running":
            self.begin(step)
        if state in texts:
            self.run_view.set_status(state, texts[state])
