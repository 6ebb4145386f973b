"""Numbers of a GPU that can be compared with those of a CPU: full float32, and the same ones each time."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import torch

_lock = threading.Lock()


class _Flag:
    """A flag of the process that is set while at least one thread is inside; its value before comes back.

    Parameters
    ----------
    change : callable
        Sets the flag; returns what sets it back.
    """

    def __init__(self, change: Callable[[], Callable[[], None]]):
        self._change, self._inside = change, 0
        self._back: Callable[[], None] = lambda: None

    @contextmanager
    def held(self) -> Iterator[None]:
        with _lock:
            if not self._inside:
                self._back = self._change()
            self._inside += 1
        try:
            yield
        finally:
            with _lock:
                self._inside -= 1
                if not self._inside:
                    self._back()


def _no_tf32() -> Callable[[], None]:
    """Convolutions and products of float32 round to 24 bits.

    torch has two ways to set this. Where both were used it refuses to read the older one, and modules may read either;
    so each is changed by itself, and each comes back. That the older way will end is no news for a user.
    """
    cudnn, parts = torch.backends.cudnn, _parts()
    newer = [part.fp32_precision for part in parts]
    older: list[Callable[[], None]] = []
    with suppress(RuntimeError), _silence():
        allowed = cudnn.allow_tf32
        older.append(lambda: setattr(cudnn, "allow_tf32", allowed))
        cudnn.allow_tf32 = False
    with suppress(RuntimeError), _silence():
        precision = torch.get_float32_matmul_precision()
        older.append(lambda: torch.set_float32_matmul_precision(precision))
        torch.set_float32_matmul_precision("highest")
    for part in parts:
        if part.fp32_precision == "tf32" or (part.fp32_precision == "none" and _usual() == "tf32"):
            part.fp32_precision = "ieee"

    def back() -> None:
        with _silence():
            for restore in older:
                restore()
        for part, value in zip(parts, newer, strict=True):
            if part.fp32_precision != value:
                part.fp32_precision = value

    return back


@contextmanager
def _silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _parts() -> list:
    """What has a precision of its own, where torch has the newer way; torch 2.6 to 2.8 do not."""
    found = [getattr(torch.backends.cudnn, name, None) for name in ("conv", "rnn")] + [torch.backends.cuda.matmul]
    return [part for part in found if hasattr(part, "fp32_precision")]


def _usual() -> str:
    return getattr(torch.backends, "fp32_precision", "none")


def _same_each_time() -> Callable[[], None]:
    """cuDNN takes no algorithm that adds in the order in which threads happen to finish, and measures none."""
    cudnn = torch.backends.cudnn
    deterministic, benchmark = cudnn.deterministic, cudnn.benchmark
    cudnn.deterministic, cudnn.benchmark = True, False

    def back() -> None:
        cudnn.deterministic, cudnn.benchmark = deterministic, benchmark

    return back


def _no_cudnn() -> Callable[[], None]:
    """Convolutions are torch's own; the other flags stay, which `torch.backends.cudnn.flags` would set too."""
    cudnn = torch.backends.cudnn
    enabled = cudnn.enabled
    cudnn.enabled = False
    return lambda: setattr(cudnn, "enabled", enabled)


def _float32_by_default() -> Callable[[], None]:
    """Modules are made of float32."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    return lambda: torch.set_default_dtype(before)


_NO_TF32, _SAME_EACH_TIME = _Flag(_no_tf32), _Flag(_same_each_time)
_NO_CUDNN, _FLOAT32 = _Flag(_no_cudnn), _Flag(_float32_by_default)


@contextmanager
def repeatable() -> Iterator[None]:
    """Inside, a GPU computes the same numbers each time; also a decorator of functions.

    The flags are those of the process: they are set while any thread is inside, and then as they were before.
    """
    with _SAME_EACH_TIME.held():
        yield


@contextmanager
def full_precision() -> Iterator[None]:
    """Inside, a GPU computes float32 in full, without TF32, and the same numbers each time; also a decorator.

    The flags are those of the process: they are set while any thread is inside, and then as they were before. Autocast
    is off, for this thread.

    Examples
    --------
    >>> with full_precision():
    ...     torch.backends.cudnn.allow_tf32
    False
    """
    with _NO_TF32.held(), _SAME_EACH_TIME.held(), without_autocast():
        yield


@contextmanager
def without_cudnn() -> Iterator[None]:
    """Inside, cuDNN computes nothing; the flag is that of the process: it is set while any thread is inside."""
    with _NO_CUDNN.held():
        yield


@contextmanager
def float32_by_default() -> Iterator[None]:
    """Inside, modules are made of float32, whatever the default number type is; also a decorator of functions.

    The default is that of the process: it is set while any thread is inside, and then as it was before.
    """
    with _FLOAT32.held():
        yield


@contextmanager
def without_autocast() -> Iterator[None]:
    """Inside, networks compute in the number type of their weights, whatever autocast is set around a call."""
    with ExitStack() as stack:
        for device in ("cpu", "cuda", "mps", "xpu"):
            if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
