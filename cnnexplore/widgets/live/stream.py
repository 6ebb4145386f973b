"""Flow control between a loop and the views that show it: frames are dropped at the source, never queued."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from .open_views import OpenViews

Message = tuple[dict[str, Any], list[Any]]  # content and binary buffers


class Stream:
    """Sends the newest of many frames as fast as the views draw them, and none while no view is open.

    A frame is offered as a function that makes its message; it is called only if the frame is sent. After a second
    without an acknowledgement one frame a second is sent; a view that acknowledges none for 30 s is dropped.

    Parameters
    ----------
    send : callable
        Called with a content and its buffers, from the loop's thread or from that of a browser's message.
    clock : callable
        Seconds, for tests.

    Attributes
    ----------
    open_views : OpenViews
        The views; its `on_change` is called when one opens, closes or is dropped.
    newest : int
        The number of the last frame that was sent; 0 before the first.
    """

    window = 8  # frames on their way, at most
    pace = 1 / 20  # seconds between frames on average, at least
    patience = 1.0  # seconds without an acknowledgement after which one frame a second probes

    def __init__(self, send: Callable[[dict[str, Any], list[Any]], None], clock: Callable[[], float] = time.monotonic):
        self._send, self._clock = send, clock
        self._lock = threading.RLock()
        self.open_views = OpenViews(clock=clock)
        self._latest: Callable[[], Message] | None = None
        self._pending, self.newest = False, 0
        self._next = self._sent_at = self._waiting_since = -1e9

    @property
    def views(self) -> int:
        """How many views are open, as far as is known."""
        return len(self.open_views)

    @property
    def latest(self) -> Message | None:
        """The newest frame, made again; None before the first."""
        return None if self._latest is None else self._latest()

    def offer(self, make: Callable[[], Message], soon: bool = False) -> bool:
        """Keep a frame as the newest and send it if that is due; return whether it was.

        soon: the frame answers to a person, who waits for it, and may come earlier than the pace has it.
        """
        self.open_views.expire()
        with self._lock:
            self._latest, self._pending = make, True
            return self._due(self._clock(), soon) and self._deliver()

    def show(self, make: Callable[[], Message]) -> None:
        """Send a frame at once if a view is open: the last of a run, or one that was asked for."""
        self.open_views.expire()
        with self._lock:
            self._latest, self._pending = make, True
            if self.views:
                self._deliver()

    def probe(self) -> None:
        """Ask the views for an answer, where nothing was drawn for a second: a page may be gone without a word."""
        with self._lock:
            number = self.open_views.probe()
            if number is not None:
                self._waiting_since = self._clock()
                self._send({"kind": "probe", "seq": number}, [])

    def received(self, content: dict[str, Any]) -> str:
        """Take a message of a view and return its kind; a view that gets ready is sent the newest frame."""
        kind, view = content.get("kind", ""), str(content.get("view", ""))
        if kind == "ready":
            fresh = self.open_views.ready(view)
            with self._lock:
                if fresh and self._latest is not None:
                    self._deliver()
        elif kind == "ack":
            number = content.get("seq", 0)
            if isinstance(number, int) and self.open_views.answer(view, number):
                with self._lock:
                    self._waiting_since = self._clock()
                    if self._pending and self._due(self._waiting_since):
                        self._deliver()
        elif kind == "gone":
            self.open_views.gone(view)
        return kind if isinstance(kind, str) else ""

    def _due(self, now: float, soon: bool = False) -> bool:
        if not self.views or now < (self._sent_at + self.pace / 3 if soon else self._next):
            return False
        under_way = self._under_way()
        if under_way and now - self._waiting_since > self.patience:  # the tab is hidden, closed or reloaded
            return now - self._sent_at >= self.patience
        return under_way < self.window

    def _under_way(self) -> int:
        return self.open_views.sent - self.open_views.answered

    def _deliver(self) -> bool:
        assert self._latest is not None
        content, buffers = self._latest()
        self._sent_at = self._clock()
        # a step that takes nearly as long as the pace must not halve the rate: what was late is made up once
        self._next = min(max(self._next, self._sent_at - self.pace), self._sent_at) + self.pace
        if not self._under_way():
            self._waiting_since = self._sent_at
        self._pending = False
        self.newest = self.open_views.send()
        self._send({"kind": "frame", "seq": self.newest, **content}, buffers)
        return True
