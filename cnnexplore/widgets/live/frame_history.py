"""The frames of a run, kept for looking back."""

from __future__ import annotations

import numpy as np


class FrameHistory:
    """Pictures by step within a budget of bytes, evenly spaced: when it is full, the spacing doubles."""

    def __init__(self, budget: int = 64_000_000):
        self.budget = budget
        self.clear()

    def clear(self) -> None:
        """Forgets all pictures."""
        self._pictures: dict[int, np.ndarray] = {}
        self._spacing = 1

    def add(self, step: int, picture: np.ndarray) -> None:
        """Keeps the picture of a step, later than all before; the first and the newest are always kept."""
        self._pictures[step] = picture
        if self._bytes() > self.budget or self._spacing > 1:
            self._thin(step)
        while self._bytes() > self.budget and len(self._pictures) > 2:
            self._spacing *= 2
            self._thin(step)

    @property
    def newest(self) -> np.ndarray | None:
        """The picture of the last step that was added; None if there is none."""
        return next(reversed(self._pictures.values()), None)

    def _bytes(self) -> int:
        return sum(p.nbytes for p in self._pictures.values())

    def _thin(self, newest: int) -> None:
        last = None
        for step in list(self._pictures):
            if last is not None and step - last < self._spacing and step != newest:
                del self._pictures[step]
            else:
                last = step

    def nearest(self, step: int) -> tuple[int, np.ndarray] | None:
        """(step, picture) of the kept frame nearest to a step; None if there is none."""
        if not self._pictures:
            return None
        best = min(self._pictures, key=lambda k: abs(k - step))
        return best, self._pictures[best]
