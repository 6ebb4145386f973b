"""What the tests of sweeps share: a small network, images, and the bytes of a folder."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

import cnnexplore as cx

SIDE = 12
IMAGES = [np.random.default_rng(k).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for k in range(62)]
PIXELS = cx.Pixels("BGR", (100.0, 110.0, 120.0), (40.0, 50.0, 60.0))


def network() -> cx.Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(100, 7), nn.ReLU(), nn.Linear(7, 3)
        )
    return cx.Network(module, size=SIDE, pixels=PIXELS, labels=["a", "b", "c"], name="tiny")


_unpickled: Counter[bytes] = Counter()  # in this process


class Counting:
    """A work whose pieces give their square, the process, and how often this work was unpickled in it."""

    def __init__(self) -> None:
        self.token = os.urandom(8)

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        _unpickled[self.token] += 1

    def prepare(self) -> Callable[[int], tuple[int, int, int]]:
        return lambda piece: (piece * piece, os.getpid(), _unpickled[self.token])


class Failing:
    """A work that fails for one piece."""

    def __init__(self, fails: int):
        self.fails = fails

    def prepare(self) -> Callable[[int], float]:
        return lambda piece: 1 / (piece - self.fails)


class Deadly:
    """The images as a data set that kills the process which reads one of them, once: a marker says that it did."""

    def __init__(self, marker: Path, deadly: int):
        self.marker, self.deadly = marker, deadly

    def __len__(self) -> int:
        return len(IMAGES)

    def __getitem__(self, index: int) -> np.ndarray:
        if index == self.deadly and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return IMAGES[index]


def files_in(folder: Path) -> dict[str, bytes]:
    """The bytes of all files of a folder but for the locks, which are empty."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != "lock"
    }
