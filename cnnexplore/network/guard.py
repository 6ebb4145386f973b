"""Guard: the passes of a copied module touch neither the user's module nor the weights that both share."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch
from torch import nn

from ..errors import NetworkError
from .dispatch_mode import DispatchMode
from .storage import storage_of

Result = TypeVar("Result")

_WRITING: weakref.WeakSet[nn.Module] = weakref.WeakSet()  # modules whose forward pass writes into their own weights


class WritesWeights(NetworkError):
    """The forward pass writes into weights that the copy shares; the next copy has weights of its own."""


def writes_weights(module: nn.Module) -> bool:
    """Whether a pass was seen that writes into the module's weights, so that a copy must not share them.

    Parameters
    ----------
    module : nn.Module
        The user's module.

    Returns
    -------
    bool
        False as long as nothing was seen.
    """
    return module in _WRITING


def again_with_own_weights(function: Callable[..., Result]) -> Callable[..., Result]:
    """A function that copies a module and runs the copy, called again where the module writes into its weights.

    Parameters
    ----------
    function : callable
        Calls `weight_sharing_copy` anew each time.

    Returns
    -------
    callable
        The same function otherwise.
    """

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Result:
        try:
            return function(*args, **kwargs)
        except WritesWeights:
            return function(*args, **kwargs)

    return call


def guard(copied: nn.Module, module: nn.Module, outside: Iterable[nn.Module], shares: bool) -> None:
    """Let the passes of a copy run under a guard, until one has come to its end or `unguard` is called.

    The guard looks at every tensor operation before it is computed, which makes a pass a little slower.

    Parameters
    ----------
    copied : nn.Module
        The copy; its forward is replaced for the time.
    module : nn.Module
        The user's module.
    outside : iterable of nn.Module
        Other modules of the user that the module's code names.
    shares : bool
        Whether the copy's weights are the module's.
    """
    run = copied.forward

    @functools.wraps(run)
    def forward(*args: Any, **kwargs: Any) -> Any:
        with _Guard(module, outside, shares):
            out = run(*args, **kwargs)
        unguard(copied)
        return out

    own = vars(copied).get("forward")
    vars(copied)["forward"] = forward
    vars(copied)["_cnnexplore_forward"] = own


def unguard(copied: nn.Module) -> None:
    """Run the next passes of a copy without the guard.

    Parameters
    ----------
    copied : nn.Module
        What `guard` was given; nothing happens if it is not guarded.
    """
    held = vars(copied)
    if "_cnnexplore_forward" in held:
        own = held.pop("_cnnexplore_forward")
        if own is None:
            del held["forward"]
        else:
            held["forward"] = own


class _Guard(DispatchMode):
    def __init__(self, module: nn.Module, outside: Iterable[nn.Module], shares: bool):
        super().__init__()
        self.module = module
        self.theirs: dict[int, tuple[torch.Tensor, nn.Module]] = {}
        self.shared: set[int] = set()
        for part in module.modules():
            for tensor in _tensors(part):
                self.theirs[id(tensor)] = tensor, part
                if shares and isinstance(tensor, nn.Parameter):
                    self.shared |= _storage(tensor)
        for part in (p for root in outside for p in root.modules()):
            for tensor in _tensors(part):
                self.theirs.setdefault(id(tensor), (tensor, part))

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        writes = func._schema.is_mutable
        for tensor in _given((*args, *kwargs.values())):
            if id(tensor) in self.theirs:
                part = self.theirs[id(tensor)][1]
                if part.training or writes:
                    raise NetworkError(
                        f"{type(self.module).__name__} runs a {type(part).__name__} of yours that is in training mode, "
                        "and not the copy that cnnexplore works on, so that it would be changed: make it an attribute "
                        "of the module (self.name = ...) and call it as that, or call its eval()."
                    )
        if writes and self.shared:
            names = [argument.name for argument in func._schema.arguments]
            written = [a.name for a in func._schema.arguments if a.alias_info is not None and a.alias_info.is_write]
            values = {**dict(zip(names, args, strict=False)), **kwargs}
            for tensor in _given(tuple(values[name] for name in written if name in values)):
                if _storage(tensor) & self.shared:
                    _WRITING.add(self.module)
                    raise WritesWeights(
                        f"{type(self.module).__name__} writes into its own weights when it is run; run it again, on a "
                        "copy with weights of its own."
                    )
        return func(*args, **kwargs)


def _tensors(part: nn.Module) -> list[torch.Tensor]:
    held = [*vars(part).get("_parameters", {}).values(), *vars(part).get("_buffers", {}).values()]
    return [tensor for tensor in held if tensor is not None]


def _storage(tensor: torch.Tensor) -> set[int]:
    """What tells whether two tensors share memory; nothing for a tensor without memory of its own."""
    found = storage_of(tensor)
    return set() if found is None else {found}


def _given(values: tuple) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from (one for one in value if isinstance(one, torch.Tensor))
