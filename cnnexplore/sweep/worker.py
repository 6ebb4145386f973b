"""What runs in a worker: it unpickles the work of a sweep once, and computes one piece after another."""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

_KEPT = 2  # works that a worker keeps: a network can take much of its memory


class Work(Protocol):
    """What all pieces of a sweep share, such as a network and settings. It is pickled for workers in other processes.

    A class whose objects are sent must be defined in a module that the workers can import.
    """

    def prepare(self) -> Callable[[Any], Any]:
        """The function that computes a piece; called once in each thread of a worker."""
        ...


@dataclass(frozen=True)
class Parcel:
    """Where a worker finds the work.

    Attributes
    ----------
    digest : str
        Of the pickled work: what is known is not read again.
    path : str
        A file with the pickled work; empty where there is none.
    threads : int
        How many threads torch may use in the worker's process; 0 to leave that as it is.
    """

    digest: str
    path: str = ""
    threads: int = 0


class NotThere:
    """Returned by a worker that can read no file of the parcel: it needs the bytes themselves."""


@dataclass(frozen=True)
class NotLoaded:
    """Returned by a worker that cannot unpickle what it was sent.

    Attributes
    ----------
    reason : str
        Why.
    """

    reason: str


_lock = threading.Lock()
_known: OrderedDict[str, Work] = OrderedDict()
_local = threading.local()


def compute(parcel: Parcel, data: bytes | None, piece: bytes) -> Any:
    """The result of a pickled piece; `NotThere` or `NotLoaded` where the work or the piece cannot be had.

    data: the pickled work, where it is sent with the piece.
    """
    try:
        function = _prepared(parcel, data)
        if function is None:
            return NotThere()
        given = pickle.loads(piece)
    except _Unloadable as error:
        return NotLoaded(str(error))
    except Exception as error:  # unpickling runs code of the piece's classes, which may raise anything
        return NotLoaded(f"{type(error).__name__}: {error}")
    return function(given)


class _Unloadable(Exception):
    """The work cannot be unpickled."""


def _prepared(parcel: Parcel, data: bytes | None) -> Callable[[Any], Any] | None:
    """The function of the work, prepared once in each thread; None if the worker has no bytes of it."""
    ready: OrderedDict[str, Callable[[Any], Any]] = _local.__dict__.setdefault("ready", OrderedDict())
    if parcel.digest not in ready:
        work = _work(parcel, data)
        if work is None:
            return None
        _keep(ready, parcel.digest, work.prepare())
    return ready[parcel.digest]


def _work(parcel: Parcel, data: bytes | None) -> Work | None:
    with _lock:
        if parcel.digest not in _known:
            if data is None:
                try:
                    data = Path(parcel.path).read_bytes()
                except OSError:  # another machine, or the sweep has ended
                    return None
            if parcel.threads and torch.get_num_threads() != parcel.threads:
                torch.set_num_threads(parcel.threads)
            try:
                _keep(_known, parcel.digest, pickle.loads(data))
            except Exception as error:  # classes that this process does not find, or that refuse
                raise _Unloadable(f"{type(error).__name__}: {error}") from error
        return _known[parcel.digest]


def _keep(places: OrderedDict[str, Any], digest: str, value: Any) -> None:
    places[digest] = value
    while len(places) > _KEPT:
        places.popitem(last=False)
