"""Flow control between a loop and the views that show it: frames are dropped at the source, never queued."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

Message = tuple[dict, list]  # content and binary buffers


class Stream:
    """Sends the newest of many frames, as fast as the views say they can draw, and not at all when none looks.

    send: called with a content and its buffers, from the loop's thread or from a browser message's. clock: seconds.
    A frame is offered as a function that makes its message, which is called only if the frame is sent.
    """

    window = 8  # frames on their way, at most
    pace = 1 / 16  # seconds between frames on average, at least
    patience = 1.0  # seconds without an acknowledgement after which one frame a second probes

    def __init__(self, send: Callable[[dict, list], None], clock: Callable[[], float] = time.monotonic):
        self._send, self._clock = send, clock
        self._lock = threading.RLock()
        self._views: dict[str, int] = {}  # view -> last frame it has drawn
        self._latest: Callable[[], Message] | None = None
        self._pending = False
        self._seq = 0
        self._next = self._sent_at = self._waiting_since = -1e9

    @property
    def views(self) -> int:
        """How many views are open, as far as is known."""
        return len(self._views)

    def offer(self, make: Callable[[], Message]) -> bool:
        """Keeps a frame as the newest and sends it if that is due; says whether it was."""
        with self._lock:
            self._latest, self._pending = make, True
            return self._due(self._clock()) and self._deliver()

    def show(self, make: Callable[[], Message]) -> None:
        """Sends a frame at once, if anybody looks: the last of a run, or one that was asked for."""
        with self._lock:
            self._latest, self._pending = make, True
            if self._views:
                self._deliver()

    def received(self, content: dict) -> str:
        """Takes a message of a view and returns its kind; a view that gets ready is sent the newest frame."""
        kind, view = content.get("kind", ""), str(content.get("view", ""))
        with self._lock:
            if kind == "ready":
                self._views[view] = self._seq
                if self._latest is not None:
                    self._deliver()
            elif kind == "ack" and view in self._views:
                self._views[view] = min(max(self._views[view], int(content.get("seq", 0))), self._seq)
                self._waiting_since = self._clock()
                if self._pending and self._due(self._waiting_since):
                    self._deliver()
            elif kind == "gone":
                self._views.pop(view, None)
        return kind

    def _due(self, now: float) -> bool:
        if not self._views or now < self._next:
            return False
        under_way = self._under_way()
        if under_way and now - self._waiting_since > self.patience:  # the tab is hidden, closed or reloaded
            return now - self._sent_at >= self.patience
        return under_way < self.window

    def _under_way(self) -> int:
        return self._seq - max(self._views.values(), default=self._seq)

    def _deliver(self) -> bool:
        content, buffers = self._latest()
        self._sent_at = self._clock()
        # a step that takes nearly as long as the pace must not halve the rate: what was late is made up once
        self._next = max(self._next, self._sent_at - self.pace) + self.pace
        if not self._under_way():
            self._waiting_since = self._sent_at
        self._seq += 1
        self._pending = False
        self._send({"kind": "frame", "seq": self._seq, **content}, buffers)
        return True
