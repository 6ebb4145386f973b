"""Numbers of a step that are Python's, or tensors of one element on the device of a captured step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from .settings import Values

Number = float | torch.Tensor


def add_times(out: torch.Tensor, added: torch.Tensor, factor: Number) -> torch.Tensor:
    """Out plus a factor times a tensor, in place."""
    if isinstance(factor, torch.Tensor):  # an `alpha` that is a tensor would be read, which waits for the device
        return out.addcmul_(added, factor)
    return out.add_(added, alpha=factor)


def add_product(out: torch.Tensor, a: torch.Tensor, b: torch.Tensor, factor: Number) -> torch.Tensor:
    """Out plus a factor times the product of two tensors, in place."""
    return out.addcmul_(a, b * factor) if isinstance(factor, torch.Tensor) else out.addcmul_(a, b, value=factor)


def plus_times(x: torch.Tensor, added: torch.Tensor, factor: Number) -> torch.Tensor:
    """X plus a factor times a tensor."""
    return torch.addcmul(x, added, factor) if isinstance(factor, torch.Tensor) else x.add(added, alpha=factor)


def plus_quotient(x: torch.Tensor, over: torch.Tensor, under: torch.Tensor, factor: Number) -> torch.Tensor:
    """X plus a factor times the quotient of two tensors."""
    if isinstance(factor, torch.Tensor):
        return torch.addcdiv(x, over * factor, under)
    return torch.addcdiv(x, over, under, value=factor)


class TensorValues(Values):
    """Values whose numbers are tensors of one element on a device, by which a graph of a GPU reads those of now.

    Parameters
    ----------
    numbers : Values
        Values of the same branches.
    tensors : mapping of str to torch.Tensor
        By name.
    """

    __slots__ = ("numbers", "tensors")
    numbers: Values
    tensors: Mapping[str, Any]

    def __init__(self, numbers: Values, tensors: Mapping[str, torch.Tensor]) -> None:
        super().__init__(numbers.parameters, **numbers)
        object.__setattr__(self, "numbers", numbers)
        object.__setattr__(self, "tensors", tensors)

    def __getitem__(self, name: str) -> Any:
        return self.tensors[name]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self.tensors:
            raise AttributeError(f"there is no parameter {name!r}")
        return self.tensors[name]


def host(values: Values) -> Values:
    """The values as numbers of Python; those with which a graph was made, where they are tensors."""
    return values.numbers if isinstance(values, TensorValues) else values
