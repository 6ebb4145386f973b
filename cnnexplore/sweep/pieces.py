"""A sweep in pieces: computed by the workers of an executor, a few at a time, and returned in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from ..errors import SettingError, WorkerError, brief
from .executors import Sender, sender_for
from .worker import NotLoaded, NotThere, Work


@contextmanager
def in_pieces(
    work: Work, pieces: Iterable[Any], executor: Any = None, *, kept: bool = True
) -> Iterator[Iterator[tuple[Any, Any]]]:
    """A context that gives (piece, result) of each piece, in the order of the pieces.

    Pieces are taken from the iterable when they are sent, at most two for each worker before the results are taken, so
    that memory does not grow with their number. A result is given once, also where dask computes a piece again because
    a worker has died. At the end of the context, also after an error, pieces that wait are cancelled.

    Parameters
    ----------
    work : Work
        What all pieces share.
    pieces : iterable
        What the function of the work takes.
    executor : Executor or Client, optional
        Who computes them; None for this thread.
    kept : bool
        Whether results are written to a file from which the sweep goes on; the message of an error says so.

    Raises
    ------
    WorkerError
        If the executor has lost its workers; results that were there are given before.
    SettingError
        If the work or a piece cannot be sent to other processes.
    """
    if executor is None:
        function = work.prepare()
        yield ((piece, function(piece)) for piece in pieces)
        return
    sender = sender_for(executor, work)
    try:
        with closing(_computed(sender, iter(pieces), kept)) as found:
            yield found
    finally:
        sender.close()


def _computed(sender: Sender, pieces: Iterator[Any], kept: bool) -> Generator[tuple[Any, Any], None, None]:
    waiting: deque[tuple[Any, Any]] = deque()
    more = True
    try:
        while True:
            while more and len(waiting) < sender.most():
                try:
                    piece = next(pieces)
                except StopIteration:
                    more = False
                else:
                    waiting.append((piece, _sent(sender, piece, kept)))
            if not waiting:
                return
            piece, future = waiting.popleft()
            yield piece, _checked(sender, piece, future.result())
    except sender.lost as error:
        yield from _finished(sender, waiting)
        reason = (brief(error) or type(error).__name__).rstrip(".")
        raise WorkerError(f"the executor has lost its workers ({reason}); {_go_on(kept)}") from error
    finally:
        for _, future in waiting:
            future.cancel()


def _sent(sender: Sender, piece: Any, kept: bool) -> Any:
    try:
        return sender.submit(piece)
    except sender.lost:
        raise
    except RuntimeError as error:  # what executors and clients raise after their end
        raise WorkerError(f"the executor takes no work ({brief(error).rstrip('.')}); {_go_on(kept)}") from error


def _checked(sender: Sender, piece: Any, result: Any) -> Any:
    if isinstance(result, NotThere):
        result = sender.submit(piece, whole=True).result()
    if isinstance(result, NotLoaded):
        raise SettingError(
            f"the workers cannot load what they were sent ({brief(Exception(result.reason))}); define the network's "
            "classes and functions in a module that the workers can import, or give a ThreadPoolExecutor."
        )
    return result


def _finished(sender: Sender, waiting: deque[tuple[Any, Any]]) -> Iterator[tuple[Any, Any]]:
    """The results that were there when the workers were lost."""
    for piece, future in list(waiting):
        try:
            result = _checked(sender, piece, future.result()) if future.done() else NotThere()
        except BaseException as error:  # cancellations are no Exception
            if not isinstance(error, (Exception, *sender.lost)):
                raise
            continue
        if not isinstance(result, NotThere):
            yield piece, result


def _go_on(kept: bool) -> str:
    if kept:
        return "what is finished is kept: make a new executor and call again to go on."
    return "make a new executor and call again, with a cache or a log where it can be given, to keep what is finished."
