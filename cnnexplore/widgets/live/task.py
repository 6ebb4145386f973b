"""What a Runner drives: optimisations, and a generator as a Task, which pauses, stops and goes on where it was."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import Any, Protocol


class Drivable(Protocol):
    """What a Runner drives: a `Run` of `cnnexplore.preimage` or a `Task`."""

    @property
    def step(self) -> int: ...
    @property
    def total(self) -> int: ...
    def frames(self) -> Iterator[Any]: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...


class Pausable:
    """Pause, resume and stop for a loop in another thread."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()
        self._stopped = False

    def _goes_on(self) -> bool:
        """Wait while paused; return whether there is to be another step."""
        self._open.wait()
        return not self._stopped

    def pause(self) -> None:
        """Wait before the next step."""
        self._open.clear()

    def resume(self) -> None:
        """Go on."""
        self._open.set()

    def stop(self) -> None:
        """End the loop before its next step."""
        self._stopped = True
        self._open.set()

    def close(self) -> None:
        """Release what the loop holds; no thread drives it any more."""


class Task(Pausable):
    """The steps of a generator, one frame each.

    Parameters
    ----------
    stream : iterator
        Each item is a frame. A generator is closed with the task: it may hold threads or files.
    total : int
        About how many there are.

    Examples
    --------
    >>> from cnnexplore.widgets.live.task import Task
    >>> list(Task(iter("abc"), 3).frames())
    ['a', 'b', 'c']
    """

    def __init__(self, stream: Iterator[Any], total: int):
        super().__init__()
        self._stream, self.step, self.total = stream, 0, total

    def frames(self) -> Iterator[Any]:
        """The items of the generator, until its end or `stop`."""
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

    def close(self) -> None:
        """Close the generator; no thread drives it any more."""
        if isinstance(self._stream, Generator):
            self._stream.close()


def release(run: Any, turn: threading.Lock) -> None:
    """Close a run that holds something, unless a thread drives it now, which then does so.

    turn: held by the thread that drives the run.
    """
    if hasattr(run, "close") and turn.acquire(blocking=False):
        try:
            run.close()
        finally:
            turn.release()
