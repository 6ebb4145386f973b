"""What a module returns: its tensors by name, and how it turns scores into probabilities."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from .graph import Operation

# Operations that hand on the values that they are given, some of them perhaps in another shape.
_CARRY = frozenset({
    "view", "_unsafe_view", "reshape", "_reshape_alias", "squeeze", "unsqueeze", "flatten", "permute", "transpose", "t",
    "expand", "clone", "_to_copy", "contiguous", "alias", "detach", "slice", "select", "unflatten", "native_dropout",
    "dropout", "lift_fresh",
})  # fmt: skip
_ENDINGS = {
    "_softmax": "softmax", "softmax": "softmax", "_safe_softmax": "softmax", "_log_softmax": "log_softmax",
    "log_softmax": "log_softmax", "sigmoid": "sigmoid", "hardsigmoid": "sigmoid", "log_sigmoid_forward": "log_sigmoid",
}  # fmt: skip
PROBABILITIES = ("softmax", "sigmoid", "exp", "none")


def named_tensors(value: Any, name: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors that a module returns.

    Parameters
    ----------
    value : object
        A tensor; or a mapping, tuple, list or data class of such, nested or not.
    name : str
        The name so far.

    Yields
    ------
    (str, torch.Tensor)
        Keys, field names and indices, joined by dots; "" for a module that returns a tensor.
    """
    if isinstance(value, torch.Tensor):
        yield name, value
        return
    inside: Mapping[Any, Any]
    if isinstance(value, Mapping):
        inside = value
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        inside = dict(zip(value._fields, value, strict=True))
    elif isinstance(value, (tuple, list)):
        inside = dict(enumerate(value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    else:
        return
    for key, one in inside.items():
        yield from named_tensors(one, f"{name}.{key}" if name else str(key))


def carried(operation: Operation) -> Operation:
    """The operation whose values an operation hands on; itself if it computes.

    Parameters
    ----------
    operation : Operation
        Any.
    """
    while operation.name in _CARRY and operation.inputs:
        operation = operation.inputs[0]
    return operation


def ending(operation: Operation) -> tuple[str, Operation | None]:
    """How a module's output was made from its scores.

    Parameters
    ----------
    operation : Operation
        The one that computed the output.

    Returns
    -------
    kind : {"softmax", "log_softmax", "sigmoid", "log_sigmoid", "none"}
        The last function.
    last : Operation or None
        That function; what it is given are the scores.
    """
    last = carried(operation)
    kind = _ENDINGS.get(last.name, "none")
    return (kind, last) if kind != "none" else ("none", None)


def are_probabilities(values: torch.Tensor) -> bool:
    """Whether rows of numbers are probabilities of exclusive classes: none negative, with a sum of 1.

    Parameters
    ----------
    values : torch.Tensor
        (N, K).
    """
    values = values.double()
    return values.shape[1] > 1 and bool((values >= 0).all() and ((values.sum(1) - 1).abs() < 1e-3).all())
