"""Chance that is the same on every machine and under every numpy: nothing but mixed 64-bit integers."""

from __future__ import annotations

import numpy as np

_ALL = 0xFFFFFFFFFFFFFFFF


def mix(*words):
    """A well-mixed 64-bit integer of the words (the finaliser of splitmix64); of arrays of uint64, an array."""
    state = 0x243F6A8885A308D3
    for word in words:
        state = (state ^ word) * 0x9E3779B97F4A7C15 & _ALL
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _ALL
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _ALL
        state = state ^ (state >> 31)
    return state


def folded(seed: int) -> int:
    """An integer of any length as 64 bits; each short one gets bits of its own."""
    seed = int(seed)
    if seed <= _ALL:
        return mix(seed)
    words = []
    while seed:
        words.append(seed & _ALL)
        seed >>= 64
    return mix(len(words), *words)


def below(bits, limit):
    """An integer in 0..limit-1 from the upper bits of `mix`."""
    return (bits >> 33) % limit


class Chance:
    """A stream of draws, independent of every other stream of the same scene."""

    def __init__(self, seed: int, stream: int):
        self._key, self._pool, self._next = mix(seed, stream), [], 0

    def unit(self) -> float:
        """A number in 0..1, 1 excluded."""
        if self._next == len(self._pool):  # mixing 64 at once costs as much as mixing a few
            more = mix(self._key, np.arange(self._next, self._next + 64, dtype=np.uint64))
            self._pool += ((more >> 11) / 2.0**53).tolist()
        self._next += 1
        return self._pool[self._next - 1]

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.unit()

    def pick(self, items):
        return items[int(self.unit() * len(items))]

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + int(self.unit() * (high - low + 1))

    def weighted(self, weights: dict):
        """A key, as often as its weight says."""
        left = self.unit() * sum(weights.values())
        for key, weight in weights.items():
            left -= weight
            if left < 0:
                return key
        return key

    def sign(self) -> int:
        return 1 if self.unit() < 0.5 else -1
