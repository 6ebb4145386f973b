"""The largest numbers of a stream, and what goes with them."""

from __future__ import annotations

import torch


def largest(
    known: tuple[torch.Tensor, ...] | None, found: tuple[torch.Tensor, ...], k: int
) -> tuple[torch.Tensor, ...]:
    """The k largest columns of two tables: (values (U, N), what goes with each value (U, N), ...); largest first."""
    if known is not None:
        found = tuple(torch.cat(pair, 1) for pair in zip(known, found, strict=True))
    _, which = found[0].topk(min(k, found[0].shape[1]), 1)
    return tuple(one.gather(1, which) for one in found)
