"""Passes in which torch's checkpointing does nothing, so that what is set for the pass holds for its gradient too."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import CheckpointFunction, checkpoint

_lock = threading.Lock()
_users = 0
_thread = threading.local()
# torch 2.6 cannot be asked for its hooks: there the callers are looked at, which finds checkpoints but no other hooks
_CHECKPOINT = inspect.unwrap(checkpoint).__code__
_top_hooks = getattr(torch._C._autograd, "_top_saved_tensors_default_hooks", None)


@contextmanager
def run_without_checkpoints() -> Iterator[None]:
    """A context in which reentrant checkpointing runs its function directly, in this thread.

    Reentrant checkpointing does not work with `torch.autograd.grad`, and gives the layers inside no gradient.
    """
    global _users
    with _lock:
        _users += 1
        if _users == 1:
            CheckpointFunction.apply = staticmethod(_apply)
    _thread.depth = getattr(_thread, "depth", 0) + 1
    try:
        yield
    finally:
        _thread.depth -= 1
        with _lock:
            _users -= 1
            if not _users:
                del CheckpointFunction.apply  # the inherited one again


def _apply(function: Any, preserve_rng_state: bool, *args: Any) -> Any:
    if getattr(_thread, "depth", 0):
        return function(*args)
    return super(CheckpointFunction, CheckpointFunction).apply(function, preserve_rng_state, *args)


def in_checkpoint() -> bool:
    """Whether what is computed now would be computed again in the backward pass (checkpointing that is not reentrant).

    Also true where a module hands its saved tensors to hooks of its own.
    """
    if _top_hooks is not None:
        return _top_hooks(True) is not None
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code is _CHECKPOINT:
            return True
        frame = frame.f_back
    return False


def keep_saved() -> saved_tensors_hooks:
    """A context in which what the backward pass needs is kept, and not computed again."""
    return saved_tensors_hooks(_same, _same)


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor
