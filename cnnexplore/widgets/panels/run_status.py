"""RunStatus: a run's state and pace, in words."""

from __future__ import annotations

import time

from ..views.run_view import RunView

_EVERY = 0.4  # seconds: numbers are read slower than pictures


class RunStatus:
    """Says in a run's line of status how it goes. loading: what it does before the first step."""

    def __init__(self, run_view: RunView, loading: str):
        self.run_view, self.loading = run_view, loading
        self.begin()

    def begin(self, step: int = 0) -> None:
        """Counts the pace from this step on."""
        self._beat = (step, time.monotonic())

    def follow(self, step: int) -> None:
        """Says how fast steps are taken, if that is due."""
        now, (before, since) = time.monotonic(), self._beat
        if now - since > _EVERY:
            self._beat = (step, now)
            self.run_view.update(f"running, {(step - before) / (now - since):.0f} steps/s")

    def state(self, state: str, step: int) -> None:
        """Says what state the run is in after so many steps."""
        words = {
            "loading": self.loading,
            "running": "running",
            "paused": f"paused at step {step}; start goes on",
            "stopped": f"stopped at step {step}: another panel took over; start goes on",
            "finished": f"finished after {step} steps; move anything and it begins again",
        }
        if state == "running":
            self.begin(step)
        if state in words:
            self.run_view.set_status(state, words[state])
