"""TaskPanel: a panel that computes what is selected step by step and shows each result."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from ..live.runner import Runner
from ..live.selection import Selection, SharedSelection
from ..live.task import Task
from .base import NetworkLike, Panel


class TaskPanel(Panel):
    """A panel that computes what is selected; another selection begins the work anew.

    A kind of panel says what it looks at (`_looked_at`), computes it as a generator (`_stream`) and shows each result
    (`_show_result`).

    Parameters
    ----------
    net, image, layer, selection
        As for `Panel`.
    """

    def __init__(self, net: NetworkLike, image: Any, layer: str | None, selection: SharedSelection | None):
        self._begun: tuple | None = None
        super().__init__(net, image, layer, selection)
        self._begin()

    @abstractmethod
    def _looked_at(self) -> tuple:
        """All that the results depend on."""

    @abstractmethod
    def _stream(self, looked_at: tuple) -> tuple[Iterator, int]:
        """The results, and about how many there are; they are computed in the runner's thread."""

    @abstractmethod
    def _show_result(self, result: Any) -> None:
        """Show one result; on the kernel's thread."""

    @abstractmethod
    def _finished(self) -> str:
        """The status line when everything is computed."""

    def _add_runner(self, purpose: str = "", awaited: bool = True) -> Runner:
        runner = super()._add_runner(purpose, awaited)
        runner.on_result, runner.on_state, runner.on_error = self._show_result, self._state, self._error
        return runner

    def _selected(self, old: Selection, new: Selection) -> None:
        if self._begun != self._looked_at():
            self._begin()

    def _begin(self) -> None:
        self._begun = looked_at = self._looked_at()
        self.runner.begin(lambda: Task(*self._stream(looked_at)))

    def _state(self, state: str) -> None:
        texts = {
            "loading": "computing …",
            "paused": "paused while the panel is hidden",
            "stopped": "stopped, because the cell was run again; a change of a control starts it again",
        }
        if state in ("loading", "running"):
            self.hide_python()
        if state in texts or state == "finished":
            self.run_view.set_status(state, self._finished() if state == "finished" else texts[state])
        if state in ("finished", "paused", "stopped"):
            self._update_poster()

    def _error(self, sentence: str, trace: str) -> None:
        self.run_view.set_status("failed", sentence, trace)
