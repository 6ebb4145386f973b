"""A block store: an array on disk that is filled a block at a time and resumed after an interruption."""

from __future__ import annotations

import os
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..data.journal import Journal
from ..errors import SettingError

CLASSES = np.dtype([("label", "<i4"), ("predicted", "<i4")])
_SPARE = 64_000_000  # bytes that are left free on a disk
_UNREADABLE = (OSError, ValueError, EOFError, TypeError, KeyError)
_FILES = ("activations.npy", "classes.npy")
_JOURNAL = "blocks.jsonl"


class Store:
    """Activations (N, D) and classes (N,) in a folder: two .npy files, memory-mapped, and a journal of the blocks.

    The journal holds a checksum of each block that was written. A block counts as done if the files agree with it; all
    others are missing. So a process that is killed loses only the block that it was writing, and a damaged file only
    the damaged blocks. Raises SettingError if the folder cannot be written or the disk is too small.

    folder: where; run: what the store is of, written to the journal; shape: (N, D); dtype: of the activations; block:
    rows in a block.
    """

    def __init__(self, folder: Path, run: Mapping[str, object], shape: tuple[int, int], dtype: str, block: int):
        self.folder, self.shape, self.dtype, self.block = folder, shape, np.dtype(dtype), block
        try:
            folder.mkdir(parents=True, exist_ok=True)
            arrays, self._journal = self._opened(run) or self._new(run)
            self._activations, self._classes = arrays
            self.done = {first for first, checksum in self._blocks() if self._checksum(first) == checksum}
        except OSError as error:
            sentence = f"{str(folder)!r} cannot be written ({error}); give another folder as cache=."
            raise SettingError(sentence) from error

    @property
    def missing(self) -> list[int]:
        """The first rows of the blocks that are not done, in order."""
        return [first for first in range(0, self.shape[0], self.block) if first not in self.done]

    def write(self, first: int, activations: np.ndarray, classes: np.ndarray) -> None:
        """Write the block that begins at row `first`."""
        rows = slice(first, first + len(activations))
        self._activations[rows], self._classes[rows] = activations, classes
        self._journal.append([first, self._checksum(first)])  # after the numbers: it vouches for them
        self.done.add(first)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Activations and classes, memory-mapped, read-only."""
        self._activations.flush()
        self._classes.flush()
        activations, classes = (np.load(self.folder / name, mmap_mode="r", allow_pickle=False) for name in _FILES)
        return activations, classes

    def _opened(self, run: Mapping[str, object]) -> tuple[list[np.memmap], Journal] | None:
        """The files that are there, or None if they are not what they should be."""
        try:
            arrays = [np.load(self.folder / name, mmap_mode="r+", allow_pickle=False) for name in _FILES]
            journal = Journal(self.folder / _JOURNAL, run)
        except (*_UNREADABLE, SettingError):
            return None
        fits = [(one.shape, one.dtype) for one in arrays] == [(self.shape, self.dtype), (self.shape[:1], CLASSES)]
        return (arrays, journal) if fits else None

    def _new(self, run: Mapping[str, object]) -> tuple[list[np.memmap], Journal]:
        needed, free = self.shape[0] * (self.shape[1] * self.dtype.itemsize + CLASSES.itemsize), _free(self.folder)
        if needed + _SPARE > free:
            raise SettingError(
                f"the activations take {needed / 1e9:.1f} GB and {str(self.folder)!r} has {free / 1e9:.1f} GB free; "
                "give a folder on a larger disk as cache=."
            )
        for stale in (_JOURNAL, *_FILES):
            (self.folder / stale).unlink(missing_ok=True)
        for name, shape, dtype in zip(_FILES, (self.shape, self.shape[:1]), (self.dtype, CLASSES), strict=True):
            part = self.folder / f"{name}.{os.getpid()}"
            np.lib.format.open_memmap(part, "w+", dtype, shape)
            os.replace(part, self.folder / name)
        arrays = [np.load(self.folder / name, mmap_mode="r+", allow_pickle=False) for name in _FILES]
        return arrays, Journal(self.folder / _JOURNAL, run)

    def _checksum(self, first: int) -> int:
        rows = slice(first, first + self.block)
        return zlib.crc32(self._classes[rows].tobytes(), zlib.crc32(self._activations[rows].tobytes()))

    def _blocks(self) -> list[tuple[int, int]]:
        """(first row, checksum) of each block in the journal, as it was written last."""
        known = {}
        for record in self._journal.records:
            first, checksum = record
            if 0 <= first < self.shape[0] and first % self.block == 0:
                known[first] = checksum
        return list(known.items())


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
