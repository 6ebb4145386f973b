"""Random numbers that are the same on every machine and under every numpy: hashes of 64-bit integers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

_ALL = 0xFFFFFFFFFFFFFFFF


def mix(*words: Any) -> Any:
    """A 64-bit hash of integers (the finaliser of splitmix64); an array where a word is an array of uint64."""
    state: Any = 0x243F6A8885A308D3
    for word in words:
        state = (state ^ word) * 0x9E3779B97F4A7C15 & _ALL
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & _ALL
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _ALL
        state = state ^ (state >> 31)
    return state


def fold_seed(seed: int) -> int:
    """An integer of any length as 64 bits; those of up to 64 bits do not collide."""
    seed = int(seed)
    if seed <= _ALL:
        return mix(seed)
    words = []
    while seed:
        words.append(seed & _ALL)
        seed >>= 64
    return mix(len(words), *words)


def below(bits: Any, limit: Any) -> Any:
    """An integer in 0..limit-1 from the upper bits of `mix`; elementwise for arrays."""
    return (bits >> 33) % limit


class RandomStream:
    """Random numbers of one purpose, independent of every other stream of the same scene."""

    def __init__(self, seed: int, stream: int):
        self._key = mix(seed, stream)
        self._pool: list[float] = []
        self._next = 0

    def uniform(self) -> float:
        """A number in [0, 1)."""
        if self._next == len(self._pool):  # mixing 64 at once costs as much as mixing a few
            more = mix(self._key, np.arange(self._next, self._next + 64, dtype=np.uint64))
            self._pool += ((more >> 11) / 2.0**53).tolist()
        self._next += 1
        return self._pool[self._next - 1]

    def between(self, low: float, high: float) -> float:
        """A number in [low, high)."""
        return low + (high - low) * self.uniform()

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[int(self.uniform() * len(items))]

    def integer(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def weighted_choice(self, weights: Mapping[str, float]) -> str:
        """A key, with a probability in proportion to its weight."""
        left = self.uniform() * sum(weights.values())
        for key, weight in weights.items():
            left -= weight
            if left < 0:
                return key
        return key

    def sign(self) -> int:
        """1 or -1."""
        return 1 if self.uniform() < 0.5 else -1
