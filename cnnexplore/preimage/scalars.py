"""Numbers of a step that are Python's, or tensors of one element on the device of a captured step."""

from __future__ import annotations

import torch

Number = float | torch.Tensor


def add_times(out: torch.Tensor, added: torch.Tensor, factor: Number) -> torch.Tensor:
    """Out plus a factor times a tensor, in place."""
    if isinstance(factor, torch.Tensor):  # an `alpha` that is a tensor would be read, which waits for the device
        return out.addcmul_(added, factor)
    return out.add_(added, alpha=factor)


def plus_times(x: torch.Tensor, added: torch.Tensor, factor: Number) -> torch.Tensor:
    """X plus a factor times a tensor."""
    return torch.addcmul(x, added, factor) if isinstance(factor, torch.Tensor) else x.add(added, alpha=factor)


def plus_quotient(x: torch.Tensor, over: torch.Tensor, under: torch.Tensor, factor: Number) -> torch.Tensor:
    """X plus a factor times the quotient of two tensors."""
    if isinstance(factor, torch.Tensor):
        return torch.addcdiv(x, over * factor, under)
    return torch.addcdiv(x, over, under, value=factor)
