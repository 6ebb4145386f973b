"""Weighted means of gradients over variants of an image, in small batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import torch

from ..network import input_gradient
from .target import Target

BATCH = 8
Variants = Callable[[int, torch.Tensor], Iterator[tuple[torch.Tensor, float]]]


def mean_gradient(target: Target, variants: Variants) -> torch.Tensor:
    """The weighted sum of the derivatives with respect to x at variants of each image.

    Parameters
    ----------
    target : Target
        What is derived.
    variants : callable
        ``variants(n, x)`` yields variants (C, H, W) of image n, which is x, each with its weight.

    Returns
    -------
    torch.Tensor
        (N, C, H, W).
    """
    target.evaluate()
    rows = []
    for n, x in enumerate(target.x):
        stream, total = variants(n, x), torch.zeros_like(x)
        while several := list(islice(stream, BATCH)):
            batch = torch.stack([one for one, _ in several])
            weights = torch.tensor([weight for _, weight in several], dtype=x.dtype, device=x.device)

            def response(activations: torch.Tensor, n: int = n, weights: torch.Tensor = weights) -> torch.Tensor:
                return weights.to(activations) * target.response(activations, n)

            slope = input_gradient(target.net, target.layer.name, batch, response, probe=target.probe)
            total = total + slope.sum(0)
        rows.append(total)
    return torch.stack(rows)
