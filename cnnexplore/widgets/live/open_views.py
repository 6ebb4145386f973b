"""The views of a widget that are open in browsers; those that stop answering are dropped."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

PROBE = 1.0  # seconds between two messages that only ask for an answer
EXPIRY = 30.0  # seconds without an answer after which a view is dropped: a reloaded or closed page says nothing
REPEATED = 0.5  # seconds within which a view says "ready" again only because it waits for an answer
_REMEMBERED = 64  # dropped views that are taken back when they answer after all


class OpenViews:
    """Which views of a widget are open, and the last message that each has answered.

    A view is open from its "ready" to its "gone". One that owes an answer for `expiry` seconds is dropped; it is taken
    back when it answers later, as a hidden tab does when it is shown again.

    Parameters
    ----------
    on_change : callable
        Called with the number of open views when it has changed, from the thread that found out.
    clock : callable
        Seconds, for tests.
    """

    expiry = EXPIRY

    def __init__(
        self, on_change: Callable[[int], None] = lambda count: None, clock: Callable[[], float] = time.monotonic
    ):
        self.on_change, self._clock = on_change, clock
        self._lock = threading.RLock()
        self._answered: dict[str, int] = {}  # view -> the last message that it has answered
        self._owes_since: dict[str, float] = {}
        self._dropped: dict[str, None] = {}
        self._ready_at: dict[str, float] = {}
        self.sent = 0  # the number of the last message
        self._sent_at = -1e9

    def __len__(self) -> int:
        return len(self._answered)

    @property
    def answered(self) -> int:
        """The last message that any open view has answered; the last one sent where none is open."""
        return max(self._answered.values(), default=self.sent)

    def send(self) -> int:
        """Number another message, to which every open view owes an answer."""
        with self._lock:
            self.sent += 1
            self._sent_at = self._clock()
            for view in self._answered:
                self._owes_since.setdefault(view, self._clock())
            return self.sent

    def ready(self, view: str) -> bool:
        """Open a view; it owes no answer to what was sent before.

        Returns
        -------
        bool
            Whether it is to be sent what it shows. Views say "ready" until they are answered; where a running cell kept
            the messages waiting, several come at once, of which the first is answered.
        """
        with self._lock:
            before, now = len(self), self._clock()
            fresh = view not in self._answered or now - self._ready_at.get(view, -math.inf) >= REPEATED
            if fresh:
                self._ready_at[view] = now
            self._answered[view] = self.sent
            self._owes_since.pop(view, None)
            self._dropped.pop(view, None)
        self._tell(before)
        return fresh

    def answer(self, view: str, number: int | None = None) -> bool:
        """Take an answer of a view.

        Parameters
        ----------
        view : str
        number : int, optional
            The message that was answered, and with it all before; None for the last one sent.

        Returns
        -------
        bool
            Whether the view is open, or was dropped and is open again.
        """
        with self._lock:
            before = len(self)
            if view in self._dropped:
                del self._dropped[view]
                self._answered[view] = 0
            if view not in self._answered:
                return False
            number = self.sent if number is None else min(max(number, 0), self.sent)
            self._answered[view] = max(self._answered[view], number)
            self._owes_since.pop(view, None)
            if self._answered[view] < self.sent:
                self._owes_since[view] = self._clock()
        self._tell(before)
        return True

    def gone(self, view: str) -> None:
        """Close a view."""
        with self._lock:
            before = len(self)
            for known in (self._answered, self._owes_since, self._dropped, self._ready_at):
                known.pop(view, None)
        self._tell(before)

    def expire(self) -> None:
        """Drop the views that have owed an answer for too long."""
        with self._lock:
            before, now = len(self), self._clock()
            for view in [view for view, since in self._owes_since.items() if now - since > self.expiry]:
                del self._owes_since[view], self._answered[view]
                self._ready_at.pop(view, None)
                self._dropped[view] = None
            while len(self._dropped) > _REMEMBERED:
                del self._dropped[next(iter(self._dropped))]
        self._tell(before)

    def probe(self) -> int | None:
        """Number a message that only asks for an answer, where one is due: a pass can be silent for long.

        Views that have owed an answer for too long are dropped first.

        Returns
        -------
        int or None
            The number; None where all open views owe an answer already, or a message was sent within a second.
        """
        self.expire()
        with self._lock:
            if len(self._owes_since) == len(self._answered) or self._clock() - self._sent_at < PROBE:
                return None
            return self.send()

    def _tell(self, before: int) -> None:
        if len(self) != before:
            self.on_change(len(self))
