"""Work: the steps of any generator as a run that a Runner can drive."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any


class Work:
    """A generator's steps, one frame each; it waits, stops, and goes on where it was. total: about how many."""

    def __init__(self, stream: Iterator[Any], total: int):
        self._stream, self.step, self.total = stream, 0, total
        self._open = threading.Event()
        self._open.set()
        self._stopped = False

    def frames(self) -> Iterator[Any]:
        """What the generator yields, until its end or `stop`."""
        self._stopped = False
        while self.step < self.total:
            self._open.wait()
            if self._stopped:
                return
            try:
                frame = next(self._stream)
            except StopIteration:
                self.step = self.total
                return
            self.step = min(self.step + 1, self.total - 1)
            yield frame

    def pause(self) -> None:
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    def stop(self) -> None:
        self._stopped = True
        self._open.set()
