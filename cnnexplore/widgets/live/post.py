"""Functions of a loop's thread that run on the kernel's thread, where alone the traits of controls may change.

Controls are changed by messages of the browser, which one thread of the kernel handles: a subshell's in JupyterLab, the
main thread elsewhere. A loop that assigned the same traits from its own thread would lose notifications.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

_waiting: deque[Callable[[], None]] = deque()
_running = threading.RLock()  # held while posted functions run: one after the other, in the order of posting
_seen: tuple[asyncio.AbstractEventLoop, int] | None = None  # the loop of the thread that handles messages, its thread


def handles_messages() -> None:
    """Note that the calling thread handles the messages of the browser; views call it for each message."""
    global _seen
    if running_kernel() is None:
        return  # a loop of some other program, which may run only now and then
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    if _seen is None or _seen[0] is not loop:
        _seen = loop, threading.get_ident()
    if _waiting:  # left behind by a thread that ended
        loop.call_soon(_run_waiting)


def post(function: Callable[[], None]) -> None:
    """Run a function on the kernel's thread, soon; at once where there is no kernel.

    Parameters
    ----------
    function : callable
        Called without arguments. Functions run in the order in which they were posted.
    """
    target = _target()
    if target is None:
        function()
        return
    _waiting.append(function)
    try:
        target[0].call_soon_threadsafe(_run_waiting)
    except RuntimeError:  # that loop was closed in this moment: a reloaded page ends its subshell
        _forget(target[0])
        again = _target()
        if again is not None:
            again[0].call_soon_threadsafe(_run_waiting)


def wait_for(event: threading.Event, timeout: float | None = None) -> bool:
    """Wait for an event and for all functions posted before it; the kernel's thread runs them meanwhile.

    Parameters
    ----------
    event : threading.Event
    timeout : float, optional
        Seconds; None waits without limit.

    Returns
    -------
    bool
        Whether the event was set in time. An interrupt ends the waiting, too.
    """
    end = None if timeout is None else time.monotonic() + timeout
    try:
        while True:
            target = _target()
            if target is not None and target[1] == threading.get_ident():
                _run_waiting()
            if event.is_set() and not _waiting:
                with _running:  # the last one has ended, too
                    return True
            left = 0.05 if end is None else min(0.05, end - time.monotonic())
            if left <= 0:
                return event.is_set()
            if event.is_set():
                time.sleep(0.005)
            else:
                event.wait(left if target is not None or end is not None else 0.5)
    except KeyboardInterrupt:
        return False


def running_kernel() -> Any:
    """The Jupyter kernel that this process is, or None."""
    if "ipykernel" not in sys.modules:
        return None
    from IPython import get_ipython

    return getattr(get_ipython(), "kernel", None)


def _run_waiting() -> None:
    with _running:
        while _waiting:
            _waiting.popleft()()


def _target() -> tuple[asyncio.AbstractEventLoop, int] | None:
    """The loop of the kernel's thread and the thread's number; None where there is no kernel."""
    if _seen is not None and _seen[0].is_running():
        return _seen
    loop = getattr(getattr(running_kernel(), "io_loop", None), "asyncio_loop", None)
    if loop is None:
        return None
    return loop, threading.main_thread().ident or 0


def _forget(loop: asyncio.AbstractEventLoop) -> None:
    global _seen
    if _seen is not None and _seen[0] is loop:
        _seen = None
