"""Tracing: the layers of a module, their sizes and receptive fields, from one forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..errors import ExploreError, NetworkError, brief
from .checkpointing import run_without_checkpoints
from .copying import weight_sharing_copy
from .geometry import Field, propagate
from .graph import Operation, Tape
from .layers import Layer
from .naming import Step, name_layers
from .probe import FUNCTIONS


@dataclass
class _Recorder:
    """What is known of the pass so far."""

    fields: dict[int, Field] = field(default_factory=dict)
    alive: list[torch.Tensor] = field(default_factory=list)  # ids stay unique while tensors live
    stack: list[str] = field(default_factory=list)
    library: list[bool] = field(default_factory=list)
    branching: set[str] = field(default_factory=set)
    steps: list[Step] = field(default_factory=list)
    calls: dict[tuple[str, str], int] = field(default_factory=dict)
    tape: Tape = field(default_factory=Tape)

    def track(self, tensor: torch.Tensor, seen: Field) -> None:
        self.fields[id(tensor)] = seen
        self.alive.append(tensor)

    def merge(self, name: str, args: tuple, out: Any) -> None:
        """Records what was computed in several steps as one operation."""
        if isinstance(out, torch.Tensor) and self.tape.of(out) is not None:
            self.tape.record(name, [out], args)

    def count(self, what: str, name: str) -> int:
        call = self.calls[what, name] = self.calls.get((what, name), -1) + 1
        return call

    def record(self, site: tuple[str, str, int], path: str, kind: str, out: Any, leaf: bool) -> None:
        if isinstance(out, torch.Tensor) and id(out) in self.fields and out.dim() >= 2:
            shape, seen, operation = tuple(out.shape), self.fields[id(out)], self.tape.of(out)
            assert operation is not None  # whatever has a field was recorded
            self.steps.append(Step(site, path, kind, shape, seen, "", id(out), leaf, operation))


class _Fields(TorchDispatchMode):
    """Propagates receptive fields through every ATen operation."""

    def __init__(self, recorder: _Recorder):
        super().__init__()
        self.r = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        r = self.r
        leaves = [t for t in tree_leaves((args, kwargs or {})) if isinstance(t, torch.Tensor)]
        tracked = [t for t in leaves if id(t) in r.fields]
        if tracked:
            if len({id(t) for t in tracked}) > 1 and r.stack:
                r.branching.add(r.stack[-1])
            outputs = [t for t in tree_leaves(out) if isinstance(t, torch.Tensor)]
            name = func._schema.name.split("::")[-1]
            name = name[:-1] if name.endswith("_") else name
            for t in outputs:
                seen = propagate(
                    name,
                    [r.fields[id(v)] for v in tracked],
                    args,
                    [tuple(v.shape) for v in tracked],
                    tuple(t.shape),
                )
                r.track(t, seen)
            r.tape.record(name, outputs, args, kwargs)
        return out


class _Calls(TorchFunctionMode):
    """Records the layer-like functions that the module's own code calls."""

    def __init__(self, recorder: _Recorder):
        super().__init__()
        self.r = recorder

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with torch.inference_mode(False), torch.no_grad():  # in a module's own inference mode functions are not ATen's
            out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name in FUNCTIONS:
            r = self.r
            call = r.count("function", name)
            if not (r.library and r.library[-1]) and _is_layer(name, args, kwargs or {}):
                where = f"{r.stack[-1]}." if r.stack and r.stack[-1] else ""
                again = r.count("path", where + name)
                path = f"{where}{name}()" + (f":{again + 1}" if again else "")
                if name == "local_response_norm":
                    r.merge(name, args or tuple((kwargs or {}).values()), out)
                r.record(("function", name, call), path, name.rstrip("_"), out, True)
        return out


def _is_layer(name: str, args: tuple, kwargs: dict) -> bool:
    if not name.startswith("clamp"):
        return True
    low = kwargs.get("min", args[1] if len(args) > 1 else None)
    return isinstance(low, (int, float)) and low == 0 and kwargs.get("max", args[2] if len(args) > 2 else None) is None


@torch.inference_mode(False)
def trace(
    module: nn.Module, shape: tuple[int, int, int, int], device: torch.device
) -> tuple[list[Layer], bool, dict[str, Operation]]:
    """The layers of a module, from one pass of a copy on zeros.

    Parameters
    ----------
    module : nn.Module
        The module; it is unchanged.
    shape : tuple of int
        (1, C, H, W) of the input.
    device : torch.device
        That of the module.

    Returns
    -------
    layers : list of Layer
        In the order of computation.
    in_place : bool
        Whether the module works in place on its input.
    operations : dict of str to Operation
        By layer name, the operation that computes it.

    Raises
    ------
    NetworkError
        If the module does not run on such an input, or has no layers.
    """
    model = weight_sharing_copy(module)
    r = _Recorder()
    for path, part in model.named_modules():
        part.register_forward_pre_hook(_enter(r, path, part))
        part.register_forward_hook(_leave(r, path, part))
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    x = torch.zeros(shape, device=device, dtype=dtype)
    r.track(x, Field((shape[2], shape[3])))
    r.tape.record("input", [x], ())
    try:
        with torch.no_grad(), run_without_checkpoints(), _Fields(r), _Calls(r):
            model(x)
    except ExploreError:
        raise
    except Exception as error:
        raise NetworkError(
            f"{type(module).__name__} does not run on an input of shape {shape}: {brief(error)} "
            "(give cx.Network the size=(rows, columns) and pixels= that the module expects)."
        ) from error
    if not r.steps:
        raise NetworkError(
            f"{type(module).__name__} has no layers that turn the input into a map or vector; expected an nn.Module "
            "that takes (N, C, H, W)."
        )
    for step in r.steps:
        step.block = next((b for b in _parents(step.path) if b in r.branching), "")
    own = getattr(module, "keeps_names", False)
    layers = name_layers(r.steps, type(module).__name__, r.branching, own)
    computed = {step.site: step.operation for step in r.steps}
    return layers, x._version > 0, {layer.name: computed[layer.site] for layer in layers}


def _parents(path: str) -> list[str]:
    """The modules around a path, outermost first, without the root."""
    parts = path.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


def _enter(r: _Recorder, path: str, part: nn.Module) -> Callable[[nn.Module, Any], None]:
    known = type(part).forward.__module__.startswith(("torch.nn.", "cnnexplore."))  # what it calls is no layer
    library = known and not any(True for _ in part.children())

    def hook(module: nn.Module, args: Any) -> None:
        r.stack.append(path)
        r.library.append(library)

    return hook


def _leave(r: _Recorder, path: str, part: nn.Module) -> Callable[[nn.Module, Any, Any], None]:
    leaf = not any(True for _ in part.children())

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        r.stack.pop()
        r.library.pop()
        if isinstance(module, nn.LocalResponseNorm):
            r.merge("local_response_norm", args, output)
        call = r.count("module", path)
        if path or leaf:  # the root is a layer only if it is all there is
            again = f":{call + 1}" if call else ""
            r.record(("module", path, call), path + again, type(part).__name__, output, leaf)

    return hook
