"""The threads that drive the runs of a kernel: a fixed number at most, however often runs begin."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable
from typing import NamedTuple

MOST = 8  # threads in one kernel
_OF_ONE = 2  # threads of one owner: one begins a run while another finishes the last step of the run before


class Job(NamedTuple):
    """A function to call in a thread, and what it is done for."""

    owner: Hashable
    act: Callable[[], None]


class Workers:
    """Daemon threads that call functions, one after the other; a thread ends when nothing is left to do.

    An owner has one function that waits at most: a later one takes its place.

    Parameters
    ----------
    most : int
        The number of threads, at most.
    name : str
        The beginning of the threads' names.

    Examples
    --------
    >>> import threading
    >>> from cnnexplore.widgets.live.workers import Workers
    >>> workers, done = Workers(2, "example"), threading.Event()
    >>> workers.submit("a", done.set)
    >>> done.wait(5)
    True
    """

    def __init__(self, most: int = MOST, name: str = "cnnexplore"):
        self.most, self.name = most, name
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._at_work: list[Hashable] = []  # the owners whose functions are being called
        self._threads: set[threading.Thread] = set()

    def submit(self, owner: Hashable, act: Callable[[], None]) -> None:
        """Call a function in a thread as soon as one is free.

        Parameters
        ----------
        owner : hashable
            What it is done for, compared by equality; an earlier function of this owner that still waits is dropped.
        act : callable
            Must not raise.
        """
        with self._lock:
            self._drop(owner)
            self._waiting.append(Job(owner, act))
            if len(self._threads) < self.most and self._at_work.count(owner) < _OF_ONE:
                thread = threading.Thread(target=self._work, daemon=True, name=f"{self.name} worker")
                self._threads.add(thread)
                thread.start()

    def drop(self, owner: Hashable) -> None:
        """Forget the function of an owner that still waits, if there is one."""
        with self._lock:
            self._drop(owner)

    def join(self, timeout: float) -> None:
        """Wait until all threads have ended, at most so many seconds for each."""
        for thread in list(self._threads):
            thread.join(timeout)

    def _drop(self, owner: Hashable) -> None:
        for job in [job for job in self._waiting if job.owner == owner]:
            self._waiting.remove(job)

    def _work(self) -> None:
        try:
            while (job := self._next()) is not None:
                try:
                    job.act()
                finally:
                    with self._lock:
                        self._at_work.remove(job.owner)
                del job
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _next(self) -> Job | None:
        """The oldest function that may be called now; None ends the thread."""
        with self._lock:
            for job in self._waiting:
                if self._at_work.count(job.owner) < _OF_ONE:
                    self._waiting.remove(job)
                    self._at_work.append(job.owner)
                    return job
            self._threads.discard(threading.current_thread())
            return None
