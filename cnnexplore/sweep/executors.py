"""Executors: how pieces and what they share reach the threads, processes or dask workers that compute them."""

from __future__ import annotations

import asyncio
import hashlib
import pickle
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from os import cpu_count, environ
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from ..errors import SettingError, brief, brief_value
from .worker import Parcel, Work, compute

if TYPE_CHECKING:
    from distributed import Client
else:
    Client: TypeAlias = Any  # distributed is imported where a client is given, and only then

_AHEAD = 2  # pieces in flight for each worker: one is computed while the next one waits
_ASKED = 1.0  # seconds after which a cluster is asked again how many workers it has
_EXPECTED = (
    "expected a concurrent.futures.Executor, such as ThreadPoolExecutor(4) or ProcessPoolExecutor(4, "
    "mp_context=multiprocessing.get_context('spawn')), or a dask.distributed.Client."
)


def executor(name: str, value: Any) -> Any:
    """The check of an argument `executor`."""
    if (client := _dask_client(value)) is not None:
        if client.asynchronous:
            raise SettingError(f"{name} is an asynchronous dask client; give one made without asynchronous=True.")
        if client.status in ("closing", "closed"):
            raise SettingError(f"{name} is a dask client that is closed; make a new one.")
        return value
    if not isinstance(value, Executor):
        raise SettingError(f"{name} is {brief_value(value)}; {_EXPECTED}")
    if isinstance(value, ProcessPoolExecutor):
        context = getattr(value, "_mp_context", None)
        if context is not None and context.get_start_method() == "fork":
            raise SettingError(
                f"{name} starts its processes by fork, in which torch can hang; give "
                "ProcessPoolExecutor(4, mp_context=multiprocessing.get_context('spawn'))."
            )
    return value


def workers_of(executor: Any) -> int:
    """How many pieces an executor computes at once, as far as that is known; 1 for None."""
    if executor is None:
        return 1
    if (client := _dask_client(executor)) is not None:
        return max(1, sum(client.nthreads().values()))
    return max(1, getattr(executor, "_max_workers", None) or cpu_count() or 1)


class Sender(ABC):
    """Sends the pieces of one sweep to an executor.

    Attributes
    ----------
    lost : tuple of type
        What a future raises whose piece no worker will compute any more.
    """

    lost: tuple[type[BaseException], ...] = (BrokenExecutor, CancelledError)

    @abstractmethod
    def submit(self, piece: Any, *, whole: bool = False) -> Any:
        """Send a piece, with all that it needs if `whole`; returns its future."""

    @abstractmethod
    def most(self) -> int:
        """How many pieces may be in flight."""

    @abstractmethod
    def close(self) -> None:
        """Give back what the sweep holds."""


def sender_for(executor: Any, work: Work) -> Sender:
    """The sender of a sweep's pieces to an executor."""
    client = _dask_client(executor)
    if client is not None:
        return _ToDask(client, work)
    shares_memory = isinstance(executor, ThreadPoolExecutor) and type(executor).__name__ != "InterpreterPoolExecutor"
    return _ToThreads(executor, work) if shares_memory else _ToProcesses(executor, work)


class _ToThreads(Sender):
    """Threads of this process: nothing is pickled."""

    def __init__(self, executor: Executor, work: Work):
        self._executor, self._work = executor, work
        self._local = threading.local()
        self._most = _AHEAD * workers_of(executor)

    def submit(self, piece: Any, *, whole: bool = False) -> Future:
        return self._executor.submit(self._compute, piece)

    def _compute(self, piece: Any) -> Any:
        if not hasattr(self._local, "function"):
            self._local.function = self._work.prepare()
        return self._local.function(piece)

    def most(self) -> int:
        return self._most

    def close(self) -> None:
        pass


class _ToProcesses(Sender):
    """Other processes: the work is pickled to a file, which each worker reads once.

    A worker that does not see the file, as on another machine, is sent the bytes.
    """

    def __init__(self, executor: Any, work: Work, threads: int | None = None):
        self._executor, data = executor, pickled(work, "what the workers share")
        workers = workers_of(executor)
        self._most = _AHEAD * workers
        if threads is None:
            threads = 0 if "OMP_NUM_THREADS" in environ else max(1, torch.get_num_threads() // workers)
        self._folder = tempfile.TemporaryDirectory(prefix="cnnexplore-", ignore_cleanup_errors=True)
        self._path = Path(self._folder.name) / "work.pickle"
        try:
            self._path.write_bytes(data)
        except OSError as error:
            self._folder.cleanup()
            raise SettingError(
                f"{brief_value(self._folder.name)} cannot be written ({brief(error)}); free some of its disk, or set "
                "TMPDIR to another folder."
            ) from error
        self._parcel = Parcel(_digest(data), str(self._path), threads)

    def submit(self, piece: Any, *, whole: bool = False) -> Any:
        data = self._path.read_bytes() if whole else None
        return self._executor.submit(compute, self._parcel, data, pickled(piece, "a piece of the work"))

    def most(self) -> int:
        return self._most

    def close(self) -> None:
        self._folder.cleanup()


class _ToDask(_ToProcesses):
    """Workers of a dask cluster, which may be on other machines and may come and go.

    A worker on this machine reads the file. For others the pickled work is the result of a task, so that dask sends it
    to each worker once, and makes it again when the worker that held it has died; what is scattered would be lost.
    """

    def __init__(self, client: Any, work: Work):
        import distributed

        super().__init__(client, work, threads=0)  # dask gives its workers as many as they are to use
        self.lost = (distributed.KilledWorker, CancelledError, asyncio.CancelledError)
        self._client = client
        self._held: Any = None
        self._asked = time.monotonic()

    def submit(self, piece: Any, *, whole: bool = False) -> Any:
        if whole and self._held is None:  # from now on all pieces name the task: those that do not would fail again
            self._held = self._sent(bytes, self._path.read_bytes())
        return self._sent(compute, self._parcel, self._held, pickled(piece, "a piece of the work"))

    def _sent(self, function: Callable[..., Any], *arguments: Any) -> Any:
        import dask

        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1000 TB"}):  # each is sent once
            return self._client.submit(function, *arguments, pure=False)

    def most(self) -> int:
        if time.monotonic() - self._asked >= _ASKED:
            with suppress(Exception):  # a client that was closed meanwhile: its futures say so
                self._most = _AHEAD * workers_of(self._client)
            self._asked = time.monotonic()
        return self._most

    def close(self) -> None:
        super().close()
        if self._held is not None:
            self._held.release()


def _dask_client(value: Any) -> Any:
    """The dask client that a value is, or that an executor of dask belongs to; None for anything else."""
    loaded = sys.modules.get("distributed")  # without it, nothing is a client
    client = getattr(loaded, "Client", None)
    if client is None:
        return None
    try:
        inner = value if isinstance(value, client) else getattr(value, "_client", None)
    except Exception:  # the user's own type
        return None
    return inner if isinstance(inner, client) else None


def pickled(value: Any, what: str) -> bytes:
    """A value as bytes, by cloudpickle where it is installed: it takes classes that a notebook defines.

    Raises SettingError for what cannot be pickled.
    """
    try:
        import cloudpickle as pickler
    except ImportError:
        pickler = pickle
    try:
        return pickler.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # a lambda, a lock, an open file; or the user's own type, which may raise anything
        more = " install cloudpickle, which takes functions without a name," if pickler is pickle else ""
        raise SettingError(
            f"{what} cannot be sent to other processes ({brief(error)}); define functions and classes by name in a "
            f"module, keep open files and locks out of them,{more} or give a ThreadPoolExecutor."
        ) from error


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
