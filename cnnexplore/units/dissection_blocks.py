"""Blocks of a pass of network dissection on disk: the activations near the threshold, and the concepts' maps.

A block is a file that is renamed to its name when it is whole, and that holds checksums: a process that is killed loses
the block that it was computing.
"""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..data.concepts import LabelMaps
from ..errors import SettingError, brief, brief_value

_RESULT = "result.npz"
_PART = ".part-"  # how the names of files begin that are being written


class Blocks:
    """The blocks of a pass in a folder, by the number of their first image."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._make()

    def _make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self.unwritable(error) from error

    def unwritable(self, error: OSError) -> SettingError:
        """What is raised where the folder cannot be written."""
        return SettingError(
            f"{brief_value(str(self.folder))} cannot be written ({brief(error)}); give another folder as cache=, or "
            "free some of the disk."
        )

    def _path(self, first: int) -> Path:
        return self.folder / f"{first:09d}.npz"

    def has(self, first: int) -> bool:
        """Whether a block is there and intact."""
        return _intact(self._path(first))

    def write(self, first: int, arrays: Mapping[str, np.ndarray], labels: LabelMaps) -> None:
        """Write a block. Raises SettingError, such as on a full disk."""
        flat = labels.maps.reshape(-1)
        starts = np.append(np.zeros(min(len(flat), 1), np.intp), np.flatnonzero(flat[1:] != flat[:-1]) + 1)
        more = {
            "names": _text(labels.names),
            "runs": flat[starts],  # of equal numbers
            "lengths": np.diff(np.append(starts, len(flat))).astype(np.uint32),
            "shape": np.array(labels.maps.shape),
            "first": labels.first,
            "whole": labels.whole,
            "counts": labels.counts,
        }
        self._save(self._path(first), {**arrays, **more})

    def read(self, first: int, *names: str) -> dict[str, np.ndarray]:
        """Some of the arrays of a block."""
        with np.load(self._path(first), allow_pickle=False) as file:
            return {name: file[name] for name in names}

    def labels(self, first: int) -> LabelMaps:
        """The concepts' maps of a block."""
        found = self.read(first, "names", "runs", "lengths", "shape", "first", "whole", "counts")
        maps = np.repeat(found["runs"], found["lengths"]).reshape(found["shape"])
        return LabelMaps(_names(found["names"]), maps, found["first"], found["whole"], found["counts"])

    def write_result(self, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> None:
        """Write what the pass came to, and delete the blocks."""
        self._save(self.folder / _RESULT, {**arrays, "settings": _text(dict(settings))})
        for path in self.folder.glob("[0-9]*.npz"):
            path.unlink(missing_ok=True)

    def result(self) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
        """What the pass came to, if it is whole."""
        path = self.folder / _RESULT
        if not _intact(path):
            return None
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != "settings"}
            return arrays, _names(file["settings"])

    def _save(self, path: Path, arrays: Mapping[str, np.ndarray]) -> None:
        try:
            handle, part = tempfile.mkstemp(dir=self.folder, prefix=_PART)
        except OSError as error:
            raise self.unwritable(error) from error
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **dict(arrays))  # type: ignore[arg-type]  # no name is allow_pickle
            os.chmod(part, 0o644)  # a temporary file is readable for its owner only
            os.replace(part, path)
        except OSError as error:
            raise self.unwritable(error) from error
        finally:
            Path(part).unlink(missing_ok=True)

    def clean(self) -> None:
        """Delete what killed processes left half written."""
        for path in self.folder.glob(f"{_PART}*"):
            path.unlink(missing_ok=True)

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(int(path.stem) for path in self.folder.glob("[0-9]*.npz")))


def _intact(path: Path) -> bool:
    """Whether a file is there whose parts have their checksums."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return False
        with open(path, "rb") as file:
            if file.read(4) != b"PK\x03\x04":  # numpy reads no archive with something before it, unlike zipfile
                return False
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error):
        return False


def _text(value: Any) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def _names(text: np.ndarray) -> Any:
    return json.loads(text.tobytes().decode())
