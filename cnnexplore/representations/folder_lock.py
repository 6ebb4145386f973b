"""The right to write in a folder: held by one process or thread at a time, and never by a process that has ended."""

from __future__ import annotations

import errno
import io
import os
import sys
from pathlib import Path

_NAME = "lock"  # the file is never deleted: two processes could hold a lock on files of one name
_HELD = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK, errno.EDEADLK)


class FolderInUse(Exception):
    """Another process or thread writes in the folder."""


class NoLocks(Exception):
    """The file system has no locks, as some network file systems."""


def lock_folder(folder: Path) -> io.FileIO:
    """Take the right to write in a folder, until the file that is returned is closed or the process ends.

    The operating system holds the lock, so that a process that was killed leaves none behind.

    Parameters
    ----------
    folder : Path
        A folder that exists.

    Raises
    ------
    FolderInUse
        If another process or thread holds it.
    NoLocks
        If the file system has no locks.
    OSError
        If the folder cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    file = io.FileIO(os.open(folder / _NAME, flags, 0o666), "r+")
    try:
        _lock(file.fileno())
    except OSError as error:
        file.close()
        if error.errno in _HELD:
            raise FolderInUse(str(folder)) from error
        (folder / _NAME).unlink(missing_ok=True)  # it locks nothing
        raise NoLocks(str(folder)) from error
    return file


def _lock(file: int) -> None:
    """Lock an open file without waiting. Raises OSError."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # of the open file: also between two threads
