"""An array on disk that is filled a block at a time, and that knows after any accident which blocks are right."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..errors import SettingError

FACTS = np.dtype([("label", "<i4"), ("predicted", "<i4")])
_SPARE = 64_000_000  # bytes that are left free on a disk
_UNREADABLE = (OSError, ValueError, EOFError, TypeError, KeyError)


class Store:
    """Codes (N, D) and facts (N,) in a folder: two .npy files, memory-mapped, and a log with a checksum per block.

    A block counts as done if its line in the log says what the files hold; all else is made again, so that a process
    that is killed loses no more than the block it was at, and a damaged file no more than what was damaged.
    about: what the folder is for, written beside the numbers. Raises SettingError if the folder cannot be written.
    """

    def __init__(self, folder: Path, shape: tuple[int, int], dtype: str, block: int, about: dict):
        self.folder, self.shape, self.dtype, self.block = folder, shape, np.dtype(dtype), block
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._codes, self._facts = self._opened() or self._new(about)
            self.done = {k for k, checksum in self._log() if self._checksum(k) == checksum}
        except OSError as error:
            sentence = f"{str(folder)!r} cannot be written ({error}); give another folder as cache=."
            raise SettingError(sentence) from error

    @property
    def missing(self) -> list[int]:
        """Where the blocks begin that are not there yet, in order."""
        return [first for first in range(0, self.shape[0], self.block) if first not in self.done]

    def write(self, first: int, codes: np.ndarray, facts: np.ndarray) -> None:
        """Puts a block in its place."""
        rows = slice(first, first + len(codes))
        self._codes[rows], self._facts[rows] = codes, facts
        with open(self.folder / "done.jsonl", "a", encoding="utf-8") as log:  # the numbers first, then that they are
            log.write(json.dumps([first, self._checksum(first)]) + "\n")
        self.done.add(first)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Codes and facts, memory-mapped, to be read only."""
        self._codes.flush()
        self._facts.flush()
        return tuple(np.load(self.folder / name, mmap_mode="r", allow_pickle=False) for name in _FILES)

    def _opened(self) -> tuple[np.ndarray, np.ndarray] | None:
        """What is there, or None if it is not what it should be."""
        try:
            found = tuple(np.load(self.folder / name, mmap_mode="r+", allow_pickle=False) for name in _FILES)
        except _UNREADABLE:
            return None
        fits = [(found[0].shape, found[0].dtype), (found[1].shape, found[1].dtype)]
        return found if fits == [(self.shape, self.dtype), (self.shape[:1], FACTS)] else None

    def _new(self, about: dict) -> tuple[np.ndarray, np.ndarray]:
        needed, free = self.shape[0] * (self.shape[1] * self.dtype.itemsize + FACTS.itemsize), _free(self.folder)
        if needed + _SPARE > free:
            raise SettingError(
                f"the codes take {needed / 1e9:.1f} GB and {str(self.folder)!r} has {free / 1e9:.1f} GB free; "
                "give a folder on a larger disk as cache=."
            )
        for stale in ("done.jsonl", *_FILES):
            (self.folder / stale).unlink(missing_ok=True)
        for name, shape, dtype in zip(_FILES, (self.shape, self.shape[:1]), (self.dtype, FACTS), strict=True):
            part = self.folder / f"{name}.{os.getpid()}"
            np.lib.format.open_memmap(part, "w+", dtype, shape)
            os.replace(part, self.folder / name)
        (self.folder / "about.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
        return self._opened()

    def _checksum(self, first: int) -> int:
        rows = slice(first, first + self.block)
        return zlib.crc32(np.asarray(self._facts[rows]).tobytes(), zlib.crc32(np.asarray(self._codes[rows]).tobytes()))

    def _log(self) -> Iterator[tuple[int, int]]:
        """(where a block begins, its checksum) of those that were done."""
        path, known = self.folder / "done.jsonl", {}
        text = path.read_bytes() if path.exists() else b""
        if text and not text.endswith(b"\n"):  # torn when the process was killed: what follows begins a line of its own
            with open(path, "ab") as log:
                log.write(b"\n")
        for line in text.splitlines():
            try:
                first, checksum = json.loads(line)
                known[int(first)] = int(checksum)
            except (ValueError, TypeError):
                continue
        yield from ((k, v) for k, v in known.items() if 0 <= k < self.shape[0] and k % self.block == 0)


_FILES = ("codes.npy", "facts.npy")


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
