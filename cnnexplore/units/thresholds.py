"""Exact thresholds of units' activations in one pass and in constant memory.

The threshold is an order statistic: the smallest activation that at most a share of all activations exceed. While the
activations go by, a histogram gives a number that the threshold cannot be below. Only activations above it are kept, on
disk. At the end the threshold is found among them, one part of its binary digits after another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

_BITS = 12  # of a float32 in a bin: sign, exponent and three digits of the mantissa
_BINS = 1 << _BITS

Values = tuple[np.ndarray, np.ndarray]
"""Units (n,) int and their activations (n,) float32."""


def rank_of(quantile: float, count: int) -> int:
    """The rank of the threshold among `count` activations, the largest being the first.

    Parameters
    ----------
    quantile : float
        The share of activations that may exceed the threshold.
    count : int
        How many activations there are.
    """
    return min(math.floor(quantile * count + 1e-6), count - 1) + 1


def _ordered(values: np.ndarray) -> np.ndarray:
    """float32 as int64 in the same order; -0.0 is 0.0."""
    bits = (np.asarray(values, np.float32) + np.float32(0)).view(np.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).astype(np.int64) + 2**31


def _value(ordered: np.ndarray) -> np.ndarray:
    """The inverse of `_ordered`."""
    bits = (ordered - 2**31).astype(np.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(np.float32)


class LowerBound:
    """Of each unit a number that the threshold is not below; it rises while activations are seen.

    Parameters
    ----------
    units : int
        How many units.
    rank : int
        The rank of the threshold among all activations of a unit, those that are still to come included.

    Attributes
    ----------
    bound : np.ndarray
        (units,) float32; -inf as long as too few activations were seen.
    """

    def __init__(self, units: int, rank: int):
        self.rank = rank
        self.counts = np.zeros((units, _BINS), np.int64)
        self.bound = np.full(units, -np.inf, np.float32)
        self._new = 0  # activations that were counted since the bound was raised

    def count(self, units: np.ndarray, values: np.ndarray) -> None:
        """Count activations. Those that are not above `bound` may be left out."""
        bins = _ordered(values) >> (32 - _BITS)
        place = units * _BINS + bins
        if len(place) > self.counts.size // 8:
            self.counts += np.bincount(place, minlength=self.counts.size).reshape(self.counts.shape)
        else:
            np.add.at(self.counts.reshape(-1), place, 1)
        self._new += len(values)
        if self._new >= self.rank * len(self.bound) // 16:
            self._raise()

    def _raise(self) -> None:
        """Raise the bound."""
        self._new = 0
        above = self.counts[:, ::-1].cumsum(1)
        reached = above[:, -1] >= self.rank
        place = _BINS - 1 - (above >= self.rank).argmax(1)
        edge = _value(place << (32 - _BITS))
        self.bound = np.where(reached, np.maximum(edge, self.bound), self.bound).astype(np.float32)


def exact_thresholds(bound: np.ndarray, rank: int, read: Callable[[], Iterable[Values]]) -> np.ndarray:
    """The thresholds, from a lower bound and the activations above it.

    Parameters
    ----------
    bound : np.ndarray
        (units,) float32, what a `LowerBound` ends with: at least `rank` activations of a unit are not below it.
    rank : int
        The rank of the threshold, the largest activation being the first.
    read : callable
        Gives the units and activations, some at a time; those that are not above the bound do not count. It is called
        once for each part of the digits, so that memory does not grow with the number of activations.

    Returns
    -------
    np.ndarray
        (units,) float32: the activation of that rank.
    """
    units = len(bound)
    prefix = np.zeros(units, np.int64)  # the digits that are known
    left = np.full(units, rank, np.int64)  # the rank among activations with these digits
    few = np.zeros(units, bool)
    known = 0
    for bits in (_BITS, _BITS, 32 - 2 * _BITS):
        counts = np.zeros((units, 1 << bits), np.int64)
        for which, values in read():
            keep = values > bound[which]
            which, digits = which[keep], _ordered(values[keep])
            same = (digits >> (32 - known)) == prefix[which] if known else np.full(len(which), True)
            part = (digits[same] >> (32 - known - bits)) & ((1 << bits) - 1)
            counts += np.bincount(which[same] * (1 << bits) + part, minlength=counts.size).reshape(counts.shape)
        above = counts[:, ::-1].cumsum(1)
        if not known:
            few = above[:, -1] < rank  # then the bound itself has the rank
        place = (above >= left[:, None]).argmax(1)
        before = np.take_along_axis(above, np.maximum(place - 1, 0)[:, None], 1)[:, 0]
        left -= np.where(place > 0, before, 0)
        prefix = (prefix << bits) | ((1 << bits) - 1 - place)
        known += bits
    return np.where(few, bound, _value(prefix)).astype(np.float32)
