"""The activation functions that the gradient of a pass goes through: which of them a backward rule changes."""

from __future__ import annotations

import warnings
import weakref
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch

from ..errors import ExploreWarning, LayerError
from .fast_strided import StridedConvolution
from .network import Network

# Nodes of autograd's graph, without "Backward" and what follows, by the name of the function that made them.
_NAMES = {
    "Silu": "SiLU", "Gelu": "GELU", "LeakyRelu": "LeakyReLU", "PreluKernel": "PReLU", "RreluWithNoise": "RReLU",
    "Elu": "ELU", "Celu": "CELU", "Hardswish": "Hardswish", "Mish": "Mish", "Softplus": "Softplus",
    "Sigmoid": "Sigmoid", "Tanh": "Tanh", "Hardsigmoid": "Hardsigmoid", "LogSigmoid": "LogSigmoid",
    "Hardtanh": "Hardtanh", "Hardshrink": "Hardshrink", "Softshrink": "Softshrink", "Glu": "GLU", "Erf": "erf",
    "Maximum": "maximum", "Threshold": "Threshold", "Sin": "sin",
}  # fmt: skip
# What a function of each number by itself may be written with.
_NUMBER_BY_NUMBER = {
    *_NAMES, "_Rectified", "Relu", "Clamp", "ClampMin", "ClampMax", "Add", "Sub", "Rsub", "Mul", "Div", "Neg", "Exp",
    "Log1P", "Log", "Pow", "Reciprocal", "Sqrt", "Abs", "ToCopy", "Clone", "Where",
}  # fmt: skip
_GATE = 64  # nodes at most


@dataclass
class _Seen:
    """The activation functions on the way back from a layer."""

    rectifiers: int = 0
    in_gates: int = 0
    others: Counter[str] = field(default_factory=Counter)
    functions: Counter[str] = field(default_factory=Counter)  # with a backward pass of the user's, of whatever kind


_WARNED: weakref.WeakKeyDictionary[Network, set[tuple[str, str]]] = weakref.WeakKeyDictionary()


def bend_rectifiers(net: Network, layer: str, rule: str, activations: torch.Tensor) -> None:
    """Check that a backward rule has rectifiers to act on, and apply it to those that a function mode does not reach.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer whose activations the gradient comes from.
    rule : {"deconvnet", "guided_backprop"}
        The rule in which the pass was made.
    activations : torch.Tensor
        The layer's activations, with a gradient.

    Raises
    ------
    LayerError
        If there are activation functions on the way, and none of them is a rectifier outside of gates.
    """
    order = _nodes(activations.grad_fn)
    for node in order:
        if _kind(node) != "_Rectified" and _is_rectifier(node):
            if rule == "guided_backprop":
                node.register_prehook(_positive)
            else:
                node.register_hook(_positive_instead)
    seen = _activation_functions(order)
    if not seen.rectifiers and (seen.others or seen.functions or seen.in_gates):
        only = f" but for {seen.in_gates} in gates" if seen.in_gates else ""
        names = ", ".join([*seen.others, *seen.functions]) or "those of the gates"
        raise LayerError(
            f"{rule} changes what rectifiers (ReLU) pass back, and {net.name} has none on the way to {layer}{only}: "
            f"its activation functions are {names}; take the gradient itself, or smoothgrad."
        )
    key = (layer, rule)
    if seen.rectifiers and (seen.others or seen.in_gates) and key not in _WARNED.setdefault(net, set()):
        _WARNED[net].add(key)
        rest = [f"{count} {name}" for name, count in seen.others.items()]
        rest += [f"{seen.in_gates} rectifiers in gates"] if seen.in_gates else []
        warnings.warn(
            f"{rule} is meant for networks of rectifiers alone: on the way to {layer} of {net.name} it changes what "
            f"{seen.rectifiers} of them pass back, beside {' and '.join(rest)}.",
            ExploreWarning,
            stacklevel=3,
        )


def pass_silent_rectifiers(activations: torch.Tensor, silent: torch.Tensor) -> None:
    """Let a gradient through rectifiers that block all of it, in the images in which a unit does not respond.

    A rectifier that passes nothing of an image's gradient back passes that part which raises its input. So the
    gradient of a silent unit is that of what goes into its rectifier. All other gradients stay as they are.

    Parameters
    ----------
    activations : torch.Tensor
        (N, ...) a layer's activations, with a gradient that was not taken yet.
    silent : torch.Tensor
        (N,) bool, the images.
    """

    def let_through(node: Any) -> None:
        clipped = getattr(node, "_saved_self", None) if _kind(node) in ("Hardtanh", "Clamp") else None
        below = None if clipped is None else clipped <= 0

        def hook(
            back: tuple[torch.Tensor | None, ...], slopes: tuple[torch.Tensor | None, ...]
        ) -> tuple[torch.Tensor | None, ...]:
            passed, slope = back[0], slopes[0]
            if passed is None or slope is None or len(passed) % len(silent):
                return back
            raising = slope.clamp(max=0) if below is None else slope.clamp(max=0) * below
            blocked = silent & ~passed.reshape(len(silent), -1).any(1)
            chosen = blocked[:, None].expand(-1, len(passed) // len(silent)).reshape(-1, *[1] * (passed.dim() - 1))
            return (torch.where(chosen, raising, passed), *back[1:])

        node.register_hook(hook)

    for node in _nodes(activations.grad_fn):
        if _is_rectifier(node):
            let_through(node)


def _positive(slopes: tuple[torch.Tensor | None, ...]) -> tuple[torch.Tensor | None, ...]:
    return tuple(None if one is None else one.clamp(min=0) for one in slopes)


def _positive_instead(
    back: tuple[torch.Tensor | None, ...], slopes: tuple[torch.Tensor | None, ...]
) -> tuple[torch.Tensor | None, ...]:
    (slope,) = _positive(slopes)
    return (slope, *back[1:])


def _nodes(end: Any) -> list[Any]:
    """The nodes of autograd's graph that lead to one; the same graph gives the same order."""
    found, waiting = {end: None}, [end]
    while waiting:
        for one, _ in waiting.pop().next_functions:
            if one is not None and one not in found:
                found[one] = None
                waiting.append(one)
    return list(found)


def _kind(node: Any) -> str:
    return node.name().split("::")[-1].split("Backward")[0]


def _is_rectifier(node: Any) -> bool:
    kind = _kind(node)
    low = {
        "Threshold": "_saved_threshold", "Hardtanh": "_saved_min_val", "Clamp": "_saved_min", "ClampMin": "_saved_min",
        "LeakyRelu": "_saved_negative_slope",
    }.get(kind)  # fmt: skip
    if low is None:
        return kind in ("_Rectified", "Relu")
    value = getattr(node, low, None)
    return value is not None and not isinstance(value, torch.Tensor) and value == 0


def _activation_functions(nodes: list[Any]) -> _Seen:
    gates: set[Any] = set()
    seen = _Seen()
    for node in nodes:
        if _kind(node) == "Mul" and len(sides := [one for one, _ in node.next_functions if one is not None]) == 2:
            for kept, factor in (sides, sides[::-1]):
                inside = _between(factor, kept)
                if inside and not gates.issuperset(inside):
                    gates |= inside
                    kinds = {_kind(one) for one in inside}
                    if kinds <= _NUMBER_BY_NUMBER and (kinds & {*_NAMES, "_Rectified", "Relu", "Clamp", "Exp"}):
                        shown = next((_NAMES[k] for k in sorted(kinds) if k in _NAMES), "rectifier")
                        seen.others[f"x * {shown}(x)"] += 1
                    else:
                        seen.in_gates += sum(map(_is_rectifier, inside))
    for node in nodes:
        if node in gates:
            continue
        kind = _kind(node)
        alive = sum(one is not None for one, _ in node.next_functions)
        if _is_rectifier(node):
            seen.rectifiers += 1
        elif kind in _NAMES:
            seen.others[_NAMES[kind]] += 1
        elif kind == "Where" and alive == 2:
            seen.others["where"] += 1
        elif alive == 1 and getattr(type(node), "_forward_cls", StridedConvolution) is not StridedConvolution:
            seen.functions[kind] += 1
    return seen


def _between(factor: Any, kept: Any) -> set[Any] | None:
    """The nodes by which one factor of a product is computed from the other; None if it is not from that alone."""
    if factor is kept:
        return None
    found, waiting, reached = {factor}, [factor], False
    while waiting:
        for one, _ in waiting.pop().next_functions:
            if one is kept:
                reached = True
            elif one is not None and one not in found:
                found.add(one)
                waiting.append(one)
        if len(found) > _GATE:
            return None
    ends = any(not any(one is not None for one, _ in node.next_functions) for node in found)
    return found if reached and not ends else None
