"""A journal: a file of JSON records of one run, each with a checksum, from which an interrupted run is resumed."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from ..errors import SettingError


class Journal:
    """A file with a header that names the run, and a line for each record.

    A line is the JSON list [checksum, record]. A line that was torn when a process was killed, or was changed since, is
    left out when the file is read again.

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
        If the file is not a journal, or one of another run.
    """

    def __init__(self, path: str | os.PathLike[str], run: Mapping[str, object]):
        self.path = Path(path)
        self.records: list = []
        if not self.path.exists():
            self._write(dict(run))
            return
        data = self.path.read_bytes()
        header, *lines = map(_record, data.splitlines() or [b""])
        if header is None or header[0] != json.loads(json.dumps(run)):
            reason = "it is not a journal" if header is None else "it is of a run with other settings"
            raise SettingError(f"{str(self.path)!r} cannot be resumed: {reason}; give another file.")
        if not data.endswith(b"\n"):  # torn: the next record begins on a line of its own
            with open(self.path, "ab") as file:
                file.write(b"\n")
        self.records = [found[0] for found in lines if found is not None]

    def append(self, record: object) -> None:
        """Write a record to the end of the file.

        Parameters
        ----------
        record : object
            Numbers, strings, lists and dicts of these.
        """
        self._write(record)
        self.records.append(record)

    def _write(self, record: object) -> None:
        line = json.dumps([_checksum(record), record]) + "\n"
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(line)


def _checksum(record: object) -> int:
    return zlib.crc32(json.dumps(record).encode())


def _record(line: bytes) -> tuple[object] | None:
    """The record of a line, in a tuple; None if the line is not whole."""
    try:
        checksum, record = json.loads(line)
        return (record,) if checksum == _checksum(record) else None
    except (ValueError, TypeError):
        return None
