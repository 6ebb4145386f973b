"""A journal: a file of JSON records of one run, each with a checksum, from which an interrupted run is resumed."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from ..errors import SettingError, brief, brief_value


class Journal:
    """A file with a header that names the run, and a line for each record.

    A line is the JSON list [checksum, record]. A line that was torn when a process was killed, or was changed since, is
    left out when the file is read again. A file that is empty, or holds only a part of this run's header, is begun
    anew. A file from which records are only read need not be writable.

    Parameters
    ----------
    path : str or os.PathLike
        The file; it is made if it is not there.
    run : mapping of str to object
        What identifies the run, such as its settings; numbers, strings, lists and dicts of these.

    Attributes
    ----------
    records : list
        The complete records, in the order in which they were appended.

    Raises
    ------
    SettingError
        If the file is not a journal, is one of another run, or cannot be read or made.
    """

    def __init__(self, path: str | os.PathLike[str], run: Mapping[str, object]):
        self.path = Path(path)
        try:
            if self.path.exists() and not self.path.is_file():
                raise OSError("it is no file")  # a pipe would be waited for
            data = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise SettingError(
                f"{brief_value(str(self.path))} cannot be read ({brief(error)}); give another file."
            ) from error
        self._torn = False  # whether the file ends within a line
        header = _line(dict(run))
        if header.startswith(data):  # nothing, or a header that may be torn
            self.records: list = []
            self._write(header[len(data) :])
        else:
            self.records = records_in(data, run, self.path)
            self._torn = not data.endswith(b"\n")

    def append(self, record: object) -> None:
        """Write a record to the end of the file.

        Parameters
        ----------
        record : object
            Numbers, strings, lists and dicts of these.

        Raises
        ------
        SettingError
            If the file cannot be written, such as on a full disk.
        """
        self._write(b"\n" * self._torn + _line(record))
        self.records.append(record)

    def _write(self, line: bytes) -> None:
        if not line:
            return
        try:
            with open(self.path, "ab", buffering=0) as file:
                while line:
                    line = line[file.write(line) :]
        except OSError as error:
            self._torn = True
            raise SettingError(
                f"{brief_value(str(self.path))} cannot be written ({brief(error)}); free some of its disk, or give "
                "another file."
            ) from error
        self._torn = False


def records_in(data: bytes, run: Mapping[str, object], path: Path) -> list:
    """The complete records in a journal's bytes. Raises SettingError if it is not a journal of this run.

    path: the file, for the message.
    """
    header, *lines = map(_record, data.splitlines() or [b""])
    expected = json.loads(json.dumps(dict(run)))
    if header is None or header[0] != expected:
        reason = "it is not a journal" if header is None else "it is of a run with other settings"
        raise SettingError(f"{brief_value(str(path))} cannot be resumed: {reason}; give another file.")
    found = [record[0] for record in lines if record is not None]
    return [record for record in found if record != expected]  # two processes that began it wrote two headers


def _line(record: object) -> bytes:
    return (json.dumps([_checksum(record), record]) + "\n").encode()


def _checksum(record: object) -> int:
    return zlib.crc32(json.dumps(record).encode())


def _record(line: bytes) -> tuple[object] | None:
    """The record of a line, in a tuple; None if the line is not whole."""
    try:
        checksum, record = json.loads(line)
        return (record,) if checksum == _checksum(record) else None
    except (ValueError, TypeError, RecursionError):
        return None
