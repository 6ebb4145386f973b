"""WindowFalls: values on a grid of windows, some computed and the others interpolated, with the error that this makes.

Windows that lie side by side come first, then those between neighbours that differ most, then all others in random
order. The value of a window that is not computed is interpolated between those that lie side by side. How far this is
off is measured at the windows that are computed in random order: each other one is as likely to be off the most of all
of them, so it is farther off than every one of n measured windows with a probability of 1 / (n + 1) at most.
"""

from __future__ import annotations

import numpy as np

LEAST_MEASURED = 19  # windows: another one is farther off with a probability of 1 / 20
_FINER = 0.1  # share of the windows that are computed where neighbours differ most


class WindowFalls:
    """Values of a grid of windows, as far as they are computed.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of windows.
    steps : tuple of int
        After how many windows the next one lies beside the first without overlap, along rows and columns.
    seed : int
        Of the order in which windows are drawn.
    """

    def __init__(self, shape: tuple[int, int], steps: tuple[int, int], seed: int):
        self._axes = [
            np.unique(np.append(np.arange(0, n, max(2, step)), n - 1)) for n, step in zip(shape, steps, strict=True)
        ]
        self.values, self.computed = np.zeros(shape), np.zeros(shape, bool)
        self._random = np.random.default_rng(seed)
        self._between: np.ndarray | None = None
        self._drawn: list[tuple[int, int]] = []
        self._most, self.measured = 0.0, 0

    def first(self) -> list[tuple[int, int]]:
        """The windows side by side, and the last ones of rows and columns."""
        return [(int(row), int(column)) for row in self._axes[0] for column in self._axes[1]]

    def second(self) -> list[tuple[int, int]]:
        """Those between neighbours that differ most, and the first that are drawn; the first ones must be known."""
        self._between = self._interpolated()
        chosen = self._where_neighbours_differ()
        others = np.argwhere(~self.computed & ~chosen)
        self._drawn = [(int(r), int(c)) for r, c in others[self._random.permutation(len(others))]]
        return [(int(r), int(c)) for r, c in np.argwhere(chosen)] + self._drawn[:LEAST_MEASURED]

    def last(self) -> list[tuple[int, int]]:
        """All others, in the order in which they are drawn."""
        return self._drawn[LEAST_MEASURED:]

    def add(self, windows: list[tuple[int, int]], values: list[float]) -> None:
        """Values that were computed."""
        drawn = set(self._drawn)
        for (row, column), value in zip(windows, values, strict=True):
            if self._between is not None and (row, column) in drawn:
                self._most = max(self._most, abs(value - float(self._between[row, column])))
                self.measured += 1
            self.values[row, column], self.computed[row, column] = value, True

    @property
    def is_exact(self) -> bool:
        """Whether all windows are computed."""
        return bool(self.computed.all())

    @property
    def is_bounded(self) -> bool:
        """Whether enough windows are computed to say how far the others are off."""
        return self.is_exact or self.measured >= LEAST_MEASURED

    @property
    def bound(self) -> float | None:
        """The largest error that was measured; 0 if all windows are computed, None as long as it is not known."""
        return 0.0 if self.is_exact else self._most if self.is_bounded else None

    @property
    def shown(self) -> tuple[np.ndarray, np.ndarray]:
        """All values with those between interpolated, and which of them are known; none is between at first."""
        if self._between is None:
            return self.values, self.computed
        return np.where(self.computed, self.values, self._between), np.ones_like(self.computed)

    @property
    def accuracy(self) -> str:
        """How exact the values are, in words."""
        many, done = self.computed.size, int(self.computed.sum())
        if self.is_exact:
            return "exact"
        if not self.is_bounded:
            return f"unfinished: {done:,} of {many:,} windows are computed, the error is not known"
        return (
            f"approximate: {done:,} of {many:,} windows are computed; at {self.measured:,} of them, drawn at random, "
            f"interpolation is at most {self._most:.2g} off, and farther off at another window with a probability of "
            f"at most {1 / (self.measured + 1):.2g}"
        )

    def _interpolated(self) -> np.ndarray:
        """The values of all windows, linear between those side by side."""
        rows, columns = self._axes
        known = self.values[np.ix_(rows, columns)]
        across = np.stack([np.interp(np.arange(self.values.shape[1]), columns, one) for one in known])
        return np.stack([np.interp(np.arange(self.values.shape[0]), rows, one) for one in across.T], 1)

    def _where_neighbours_differ(self) -> np.ndarray:
        """The windows that are computed next, bool: those inside the cells whose corners differ most."""
        rows, columns = self._axes
        chosen = np.zeros_like(self.computed)
        if min(len(rows), len(columns)) < 2:
            return chosen
        known = self.values[np.ix_(rows, columns)]
        corners = np.stack([known[:-1, :-1], known[1:, :-1], known[:-1, 1:], known[1:, 1:]])
        for cell in np.argsort(-np.ptp(corners, axis=0), axis=None, kind="stable"):
            i, j = divmod(int(cell), len(columns) - 1)
            here = np.zeros_like(chosen)
            here[rows[i] : rows[i + 1] + 1, columns[j] : columns[j + 1] + 1] = True
            if (chosen | here & ~self.computed).sum() > _FINER * chosen.size:
                break
            chosen |= here & ~self.computed
        return chosen


def mean_over_windows(
    values: np.ndarray, known: np.ndarray, size: tuple[int, int], window: tuple[int, int], stride: tuple[int, int]
) -> np.ndarray:
    """At each pixel the mean of the values of the windows that cover it.

    Parameters
    ----------
    values : np.ndarray
        (rows, columns), by window.
    known : np.ndarray
        (rows, columns) bool, the windows that take part.
    size : tuple of int
        (H, W) of the image.
    window : tuple of int
        Rows and columns of a window in pixels.
    stride : tuple of int
        Rows and columns from window to window.

    Returns
    -------
    np.ndarray
        (H, W) float64; 0 where no window covers the pixel.
    """
    covers = []
    for a in (0, 1):
        begin, pixel = stride[a] * np.arange(values.shape[a])[:, None], np.arange(size[a])
        covers.append(((pixel >= begin) & (pixel < begin + window[a])).astype(np.float64))
    total, count = (covers[0].T @ each @ covers[1] for each in (np.where(known, values, 0), known.astype(np.float64)))
    return total / np.maximum(count, 1)
