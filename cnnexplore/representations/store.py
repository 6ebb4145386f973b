"""A block store: an array on disk that is filled a block at a time and resumed after an interruption."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.journal import Journal, records_in
from ..errors import SettingError, brief, brief_value
from .folder_lock import FolderInUse, NoLocks, lock_folder

CLASSES = np.dtype([("label", "<i4"), ("predicted", "<i4")])
_SPARE = 64_000_000  # bytes that are left free on a disk
_FILES = ("activations.npy", "classes.npy")
_JOURNAL = "blocks.jsonl"


class Store:
    """Activations (N, D) and classes (N,) in a folder: two .npy files and a journal of the blocks.

    The journal holds a checksum of each block that was written. A block counts as done if the files agree with it; all
    others are missing. So a process that is killed loses only the block that it was writing, and a damaged file only
    the damaged blocks. A store that is whole is only read, so that the folder need not be writable; else one process
    at a time may write.

    folder: where; run: what the store is of, written to the journal; shape: (N, D); dtype: of the activations; block:
    rows in a block; private: whether no other process knows the folder, which then needs no lock; columns: the numbers
    of a row beside the activations.

    Raises SettingError if the folder cannot be written or the disk is too small; FolderInUse or NoLocks if the right to
    write cannot be had.
    """

    def __init__(
        self,
        folder: Path,
        run: Mapping[str, object],
        shape: tuple[int, int],
        dtype: str,
        block: int,
        private: bool = False,
        columns: np.dtype = CLASSES,
    ):
        self.folder, self.shape, self.dtype, self.block = folder, shape, np.dtype(dtype), block
        self.columns = columns
        self._lock: io.FileIO | None = None
        self._rows: list[_Rows] = []
        self.done: set[int] = set()
        try:
            if self._is_whole(run):
                return
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = None if private else lock_folder(folder)
            self._journal = self._opened(run) or self._new(run)
        except OSError as error:
            self.close()
            raise self._unwritable(error) from error
        except BaseException:
            self.close()
            raise

    @property
    def missing(self) -> list[int]:
        """The first rows of the blocks that are not done, in order."""
        return [first for first in range(0, self.shape[0], self.block) if first not in self.done]

    def write(self, first: int, activations: np.ndarray, classes: np.ndarray) -> None:
        """Write the block that begins at row `first`. Raises SettingError, such as on a full disk."""
        try:
            for rows, values in zip(self._rows, (activations, classes), strict=True):
                rows.write(first, values)
        except OSError as error:
            raise self._unwritable(error) from error
        self._journal.append([first, self._checksum(first)])  # after the numbers: it vouches for them
        self.done.add(first)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Activations and classes, memory-mapped, read-only: of the files that are open, whatever happens to names."""
        activations, classes = (rows.mapped() for rows in self._rows)
        return activations, classes

    def close(self) -> None:
        """Give up the right to write; arrays stay."""
        self._close_rows()
        if self._lock is not None:
            self._lock.close()

    def _close_rows(self) -> None:
        for rows in self._rows:
            rows.file.close()

    def _unwritable(self, error: OSError) -> SettingError:
        return SettingError(
            f"{brief_value(str(self.folder))} cannot be written ({brief(error)}); give another folder as cache=, or "
            "free some of the disk."
        )

    def _is_whole(self, run: Mapping[str, object]) -> bool:
        """Whether all blocks are there, without a write; the files are then open."""
        journal = self.folder / _JOURNAL
        try:
            records = records_in(journal.read_bytes(), run, journal)
            self._open_rows("rb")
        except (OSError, ValueError):  # SettingError is a ValueError
            records = []
        self.done = self._intact(records)
        if not self.missing:
            return True
        self._close_rows()
        return False

    def _opened(self, run: Mapping[str, object]) -> Journal | None:
        """The journal of the files that are there, open for writing; None if they are not this store's.

        Raises OSError if they are not ours to write: they stay as they are.
        """
        journal = self.folder / _JOURNAL
        try:
            records_in(journal.read_bytes(), run, journal)
            self._open_rows("r+b")
        except (FileNotFoundError, ValueError):
            self._close_rows()
            return None
        with open(journal, "ab"):  # refused now rather than after the first block
            found = Journal(journal, run)
        self.done = self._intact(found.records)
        return found

    def _open_rows(self, mode: str) -> None:
        sides = zip(_FILES, (self.shape, self.shape[:1]), (self.dtype, self.columns), strict=True)
        self._rows = []
        for name, shape, dtype in sides:
            self._rows.append(_Rows(self.folder / name, mode, shape, dtype))

    def _new(self, run: Mapping[str, object]) -> Journal:
        needed, free = self.shape[0] * (self.shape[1] * self.dtype.itemsize + self.columns.itemsize), _free(self.folder)
        if needed + _SPARE > free:
            raise SettingError(
                f"the activations take {needed / 1e9:.1f} GB and {brief_value(str(self.folder))} has "
                f"{free / 1e9:.1f} GB free; give a folder on a larger disk as cache=."
            )
        for stale in (_JOURNAL, *_FILES):  # the journal first: it vouches for the files
            (self.folder / stale).unlink(missing_ok=True)
        self._open_rows("x+b")
        return Journal(self.folder / _JOURNAL, run)

    def _checksum(self, first: int) -> int:
        activations, classes = (rows.read(first, self.block) for rows in self._rows)
        return zlib.crc32(classes, zlib.crc32(activations))

    def _intact(self, records: list) -> set[int]:
        """The first rows of the blocks whose numbers have the checksum that was written last."""
        known = {}
        for record in records:
            if isinstance(record, list) and len(record) == 2 and all(type(value) is int for value in record):
                known[record[0]] = record[1]
        firsts = [first for first in range(0, self.shape[0], self.block) if first in known]
        return {first for first in firsts if self._checksum(first) == known[first]}


class _Rows:
    """The rows of an array in an .npy file, read and written as bytes of the file.

    A write to a full disk is an error then; through a writable memory map it would end the process.

    mode: "rb", "r+b", or "x+b" for a file that is made. Raises ValueError if the file is not of such an array.
    """

    def __init__(self, path: Path, mode: str, shape: tuple[int, ...], dtype: np.dtype):
        self.file = io.FileIO(path, mode.replace("b", ""))
        self.shape, self.dtype = shape, dtype
        self._width = dtype.itemsize * int(np.prod(shape[1:]))
        try:
            if mode.startswith("x"):
                self._write(_header(shape, dtype), 0)
            elif not self._is_known():
                raise ValueError(f"{path} holds another array.")
            self._start = self.file.tell()
            if mode != "rb":
                self.file.truncate(self._start + shape[0] * self._width)
        except BaseException:
            self.file.close()
            raise

    def _is_known(self) -> bool:
        """Whether the header is that of the array; the file is then read up to the numbers."""
        try:
            version = np.lib.format.read_magic(self.file)
            found = np.lib.format.read_array_header_1_0(self.file)
        except OSError:
            raise
        except Exception:  # numpy raises many kinds for bytes that are no header
            return False
        return version == (1, 0) and found == (self.shape, False, self.dtype)

    def read(self, first: int, count: int) -> bytes:
        """The bytes of `count` rows, or of those that are left."""
        self.file.seek(self._start + first * self._width)
        wanted, parts = min(count, self.shape[0] - first) * self._width, []
        while wanted and (part := self.file.read(wanted)):
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def write(self, first: int, values: np.ndarray) -> None:
        self._write(np.ascontiguousarray(values, self.dtype).tobytes(), self._start + first * self._width)

    def _write(self, data: bytes, place: int) -> None:
        self.file.seek(place)
        left = memoryview(data)
        while left:
            left = left[self.file.write(left) :]

    def mapped(self) -> np.memmap:
        if self.file.writable():
            os.fsync(self.file.fileno())  # a network folder may report only now that it is full
        return np.memmap(self.file, self.dtype, "r", self._start, self.shape)


def _header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    buffer = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(buffer, {"shape": shape, "fortran_order": False, "descr": descr})
    return buffer.getvalue()


@dataclass(frozen=True)
class OpenStore:
    """A store that is open for writing, with what is to be done at its end.

    Attributes
    ----------
    store : Store
        The store.
    temporary : object
        A folder that is deleted with this object, where the store is not kept; else None.
    """

    store: Store
    temporary: object
    _folder: Path | None  # where a temporary store is copied to, in the end

    @classmethod
    def at(
        cls, folder: Path | None, run: Mapping[str, object], shape: tuple[int, int], dtype: str, block: int,
        columns: np.dtype = CLASSES,
    ) -> OpenStore:  # fmt: skip
        """The store in a folder; a temporary one for None, or while another process writes in the folder."""
        publishes = None
        try:
            if folder is not None:
                return cls(Store(folder, run, shape, dtype, block, columns=columns), None, None)
        except FolderInUse:  # works apart
            pass
        except NoLocks:  # the result is kept at the end
            publishes = folder
        temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        made = Store(Path(temporary.name), run, shape, dtype, block, private=True, columns=columns)
        return cls(made, temporary, publishes)

    def end(self) -> None:
        """Keep a store that is whole."""
        self.store.close()
        if self._folder is not None:
            publish(self.store.folder, self._folder)


def publish(made: Path, folder: Path) -> None:
    """Copy a whole store to a folder at once, unless one is there; where no lock can be had.

    An error does no harm: the store is then not kept.
    """
    try:
        hidden = tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-", ignore_cleanup_errors=True)
        with hidden as parent:
            copy = Path(parent) / folder.name
            copy.mkdir()
            for name in (*_FILES, _JOURNAL):
                shutil.copyfile(made / name, copy / name)
            with suppress(OSError):
                folder.rmdir()  # refused if it holds something, as the next step is
            os.rename(copy, folder)
    except OSError:
        return


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free
