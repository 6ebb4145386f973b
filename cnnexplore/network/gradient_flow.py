"""Passes that keep a gradient, also through no_grad and checkpoints, and the reason where it stops all the same."""

from __future__ import annotations

import sys
import warnings
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ..errors import ExploreWarning, LayerError, brief
from .backward import called_name
from .checkpointing import in_checkpoint, keep_saved
from .network import Network
from .precision import without_autocast
from .probe import Probe, Replacement


@dataclass(frozen=True)
class _Known:
    """What the first pass of a network to a layer found out."""

    follow: bool  # whether passes must go on through no_grad and checkpoints
    flows: bool  # whether a gradient comes back
    stop: _Stop | None  # where it, or a part of it, stops


@dataclass(frozen=True)
class _Stop:
    """Where a gradient stops: kind is "no_grad", "detach", "whole" (numbers) or "missing" (no derivative)."""

    kind: str
    function: str
    place: str

    def __str__(self) -> str:
        if self.kind == "detach":
            return f"{self.place} cuts it off with {self.function}"
        if self.kind == "missing":
            return f"torch has no derivative of {self.function}, which {self.place} calls"
        if self.kind == "whole":
            return f"{self.place} turns what it computes into whole numbers or truth values with {self.function}"
        return f"{self.place} computes {self.function} without one"


_KNOWN: weakref.WeakKeyDictionary[Network, dict[tuple[str, ...], _Known]] = weakref.WeakKeyDictionary()


def pass_with_gradient(
    net: Network,
    probe: Probe,
    fed: torch.Tensor,
    layer: str,
    replace: Mapping[str, Replacement] | None = None,
    context: Callable[[], AbstractContextManager] = nullcontext,
    what: str = "the image",
) -> dict[str, torch.Tensor]:
    """The activations of a pass whose gradient can be taken.

    What a module computes under `torch.no_grad` has a gradient here, and checkpointing does nothing. What a module
    detaches has none; where a part of the activations depends on such values, a warning says so once for each layer.

    Parameters
    ----------
    net : Network
        The network.
    probe : Probe
        A probe of `layer`, and perhaps of others.
    fed : torch.Tensor
        The module's input.
    layer : str
        The layer whose activations must have a gradient.
    replace : mapping, optional
        What `Probe` takes.
    context : callable
        Makes a context for the pass, such as a backward rule's.
    what : str
        What the gradient is to flow to, for messages.

    Returns
    -------
    dict of str to torch.Tensor
        By layer name.

    Raises
    ------
    LayerError
        If no gradient flows from the layer.
    """

    def run(mode: AbstractContextManager) -> torch.Tensor:
        try:
            with torch.inference_mode(False), torch.enable_grad(), context(), mode:
                found.update(probe(fed, replace))
        except LayerError:
            raise
        except Exception as error:
            if isinstance(error.__cause__ or error, torch.OutOfMemoryError) or not _runs_without_gradient(
                probe, fed, replace
            ):
                raise
            why = f"the module raises where it is asked for one: {brief(error.__cause__ or error)}"
            raise LayerError(_sentence(net, layer, what, why)) from error
        return found[layer]

    found: dict[str, torch.Tensor] = {}
    all_known, key = _KNOWN.setdefault(net, {}), (layer, *sorted(replace or ()))
    known = all_known.get(key)
    if known is not None:
        activations = run(_Follower(probe, True) if known.follow else nullcontext())
    else:
        follower = _Follower(probe, False)
        activations = run(follower)
        stop = follower.stop(activations)
        follow = stop is not None and stop.kind == "no_grad"
        if follow:
            follower = _Follower(probe, True)
            activations = run(follower)
            stop = follower.stop(activations)
        known = all_known[key] = _Known(follow or follower.checkpoints, follower.flows(activations), stop)
        if stop is not None and follower.flows(activations):
            sentence = f"the gradient of {layer} of {net.name} leaves out what does not pass it back: {stop}."
            warnings.warn(sentence, ExploreWarning, stacklevel=3)
    if not activations.requires_grad or (known.stop is not None and not known.flows):
        why = "it goes through values that torch does not follow, such as numpy's, or quantised or scripted ones"
        raise LayerError(_sentence(net, layer, what, why if known.stop is None else str(known.stop)))
    return found


def derivative(
    net: Network,
    layer: str,
    value: torch.Tensor,
    wrt: torch.Tensor,
    slope: torch.Tensor | None = None,
    *,
    what: str = "the image",
) -> torch.Tensor:
    """The derivative of what was computed from the activations of `pass_with_gradient`.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer whose activations the value was computed from.
    value : torch.Tensor
        What is derived: a number, or with `slope` any tensor.
    wrt : torch.Tensor
        With respect to what.
    slope : torch.Tensor, optional
        The derivative of some number with respect to the value.
    what : str
        What `wrt` is, for messages.

    Returns
    -------
    torch.Tensor
        Of the shape of `wrt`. Zeros are a true answer, such as that of a unit whose rectifier is closed.

    Raises
    ------
    LayerError
        If the value does not depend on `wrt`, or torch cannot derive it.
    """
    if not value.requires_grad:
        raise LayerError(_sentence(net, layer, what, "the number that is derived does not depend on it"))
    try:
        with without_autocast():
            (found,) = torch.autograd.grad(value, wrt, slope, allow_unused=True)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise LayerError(_sentence(net, layer, what, f"torch says: {brief(error)}")) from error
    if found is None:
        stops = (known.stop for key, known in _KNOWN.get(net, {}).items() if key[0] == layer)
        stop = next((one for one in stops if one is not None), None)
        why = f"what is derived does not depend on {what}" if stop is None else str(stop)
        raise LayerError(_sentence(net, layer, what, why))
    return found


def _sentence(net: Network, layer: str, what: str, why: str) -> str:
    advice = "methods that need no gradient, such as the attribution method 'occlusion', still apply"
    return f"no gradient flows from {layer} of {net.name} back to {what}: {why.rstrip('. ')}; {advice}."


def _runs_without_gradient(probe: Probe, fed: torch.Tensor, replace: Mapping[str, Replacement] | None) -> bool:
    try:
        with torch.no_grad():
            probe(fed.detach(), replace)
    except Exception:
        return False
    return True


# Functions that take the shape or number type of the arguments after the first, not their values.
_SHAPES = {"type_as", "expand_as", "view_as", "reshape_as", "to"}
_DETACH = {"detach", "detach_", "data"}


class _Follower(TorchFunctionMode):
    """Notes what depends on the image without a gradient; in a pass `through` no_grad, that is computed with one.

    What follows from numbers that need no gradient, such as weights, is not noted.
    """

    def __init__(self, probe: Probe, through: bool):
        super().__init__()
        self.through = through
        self.checkpoints = False
        self._declared = True  # the module's own grad mode
        self._own = probe.tensors()
        self._cut: dict[int, tuple[torch.Tensor, _Stop]] = {}  # they have no gradient; ids are unique while they live
        self._partly: dict[int, tuple[torch.Tensor, _Stop]] = {}  # they have one that leaves something out

    def stop(self, tensor: torch.Tensor) -> _Stop | None:
        """Where the gradient of a tensor, or a part of it, stops."""
        found = (self._partly if self.flows(tensor) else self._cut).get(id(tensor))
        return None if found is None else found[1]

    def flows(self, tensor: torch.Tensor) -> bool:
        """Whether a gradient flows back from a tensor."""
        cut = self._cut.get(id(tensor))
        return tensor.requires_grad and (cut is None or cut[1].kind != "missing")

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if self.through and func is torch._C._set_grad_enabled:
            self._declared = bool(args[0])
            return None
        inference = torch.is_inference_mode_enabled()
        function = (
            not inference and not torch._C._is_fwd_grad_enabled()
        )  # in a Function's forward, which has a backward
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        name = called_name(func)
        with ExitStack() as stack:
            if in_checkpoint():
                self.checkpoints = True
                stack.enter_context(keep_saved())
            if self.through and not function and (inference or not self._declared):
                stack.enter_context(torch.inference_mode(False))
                stack.enter_context(torch.set_grad_enabled(not self._writes_into_module(name, args, kwargs)))
            out = func(*args, **kwargs)
        self._note(func, name, given, out)
        return out

    def _writes_into_module(self, name: str, args: tuple, kwargs: dict[str, Any]) -> bool:
        """Whether a function works in place on a weight or buffer, which must not keep the graph of this pass."""
        target = kwargs.get("out", args[0] if args else None)
        if not isinstance(target, torch.Tensor) or not (name.endswith("_") or "out" in kwargs):
            return False
        base = target if target._base is None else target._base
        return id(base) in self._own

    def _note(self, func: Callable[..., Any], name: str, given: list[torch.Tensor], out: Any) -> None:
        if name.endswith("_like") or name.startswith("new_"):
            return
        given = given[:1] if name in _SHAPES else given
        alive = any(self.flows(one) for one in given)
        stops = [stop for one in given if (stop := self.stop(one)) is not None]
        if not alive and not stops:
            return
        known = next((one for one in stops if one.kind != "whole"), None)
        for made in [given[0]] if name == "setitem_" else tree_leaves(out):
            if not isinstance(made, torch.Tensor):
                continue
            if made.requires_grad:
                if made.grad_fn is not None and "NotImplemented" in made.grad_fn.name():
                    shown = name if "<" in str(func) else str(func)  # with the namespace, where it has one
                    self._cut.setdefault(id(made), (made, _Stop("missing", shown, _caller())))
                elif known is not None:
                    (self._partly if alive else self._cut)[id(made)] = made, known
            else:
                if not made.is_floating_point():  # its derivative is zero wherever there is one
                    stop = stops[0] if stops and known is None else _Stop("whole", name, _caller())
                elif stops:
                    stop = known or stops[0]
                elif name in _DETACH:
                    stop = _Stop("detach", ".data" if name == "data" else f"{name}()", _caller())
                elif not torch.is_grad_enabled():
                    stop = _Stop("no_grad", name, _caller())
                else:
                    continue  # torch knows that its values do not depend on what it was given
                self._cut[id(made)] = made, stop


def _caller() -> str:
    """Which module's code calls a function, such as "Frozen.forward"."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, nn.Module) and not type(owner).__module__.startswith("torch."):
            return f"{type(owner).__name__}.{frame.f_code.co_name}"
        frame = frame.f_back
    return "the module"
