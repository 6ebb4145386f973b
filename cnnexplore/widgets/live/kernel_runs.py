"""The runs of a kernel: each found by its key, a bounded number at once, all ended with Python."""

from __future__ import annotations

import atexit
import threading
import weakref
from typing import Protocol

from .workers import MOST, Workers

MAX_RUNS = MOST  # that go on at once in one kernel; one more stops the oldest
WORKERS = Workers()
"""The threads that drive all runs of this kernel."""


class Driver(Protocol):
    """What drives runs: a `Runner`."""

    key: str

    @property
    def drives(self) -> bool: ...
    def stop(self) -> None: ...
    def give_way(self) -> None: ...


_drivers: weakref.WeakValueDictionary[str, Driver] = weakref.WeakValueDictionary()
_lock = threading.RLock()  # a panel that is collected while it is held forgets its runners in the same thread


def register(driver: Driver) -> None:
    """Make a driver known by its key; an earlier one of that key stops."""
    with _lock:
        earlier = _drivers.pop(driver.key, None)
        _drivers[driver.key] = driver
    if earlier is not None:
        earlier.stop()


def forget(driver: Driver) -> None:
    """Make a driver unknown, unless another one has its key by now."""
    with _lock:
        if _drivers.get(driver.key) is driver:
            del _drivers[driver.key]


def make_room(newcomer: Driver) -> None:
    """Make a driver the youngest, and have the oldest stop of those that drive a run beside it, if they are too many.

    newcomer: one that is about to drive a run.
    """
    with _lock:
        _drivers.pop(newcomer.key, None)
        _drivers[newcomer.key] = newcomer  # the youngest last
        busy = [one for one in _drivers.values() if one is not newcomer and one.drives]
    for one in busy[: max(0, len(busy) - MAX_RUNS + 1)]:
        one.give_way()


@atexit.register
def _end_all() -> None:
    """A thread that is inside PyTorch while Python ends would take the whole process down."""
    for driver in list(_drivers.values()):
        driver.stop()
    WORKERS.join(5)
