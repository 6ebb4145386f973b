"""Task: what a Runner drives beside optimisations; it waits, stops, and goes on where it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any


class Pausable:
    """What lets a stream of steps wait and stop, from any thread."""

    def __init__(self):
        self._open = threading.Event()
        self._open.set()
        self._stopped = False

    def _goes_on(self) -> bool:
        """Waits while paused; whether there is to be another step."""
        self._open.wait()
        return not self._stopped

    def pause(self) -> None:
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def stop(self) -> None:
        self._stopped = True
        self._open.set()


class Task(Pausable):
    """A generator's steps, one frame each. total: about how many."""

    def __init__(self, stream: Iterator[Any], total: int):
        super().__init__()
        self._stream, self.step, self.total = stream, 0, total

    def frames(self) -> Iterator[Any]:
        """What the generator yields, until its end or `stop`."""
        self._stopped = False
        while self.step < self.total:
            if not self._goes_on():
                return
            try:
                frame = next(self._stream)
            except StopIteration:
                self.step = self.total
                return
            self.step = min(self.step + 1, self.total - 1)
            yield frame
