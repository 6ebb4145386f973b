"""Weighted means of gradients over variants of an image, in batches of a size that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import torch

from ..network import input_gradient
from .subject import Subject

BATCH = 8
Variants = Callable[[int, torch.Tensor], Iterator[tuple[torch.Tensor, float]]]


def mean_slope(subject: Subject, variants: Variants) -> torch.Tensor:
    """The weighted sum of the derivatives with respect to x at variants of each image: (N, C, H, W).

    variants(n, x): yields variants (C, H, W) of image n, x, and the weight of each.
    """
    rows = []
    for n, x in enumerate(subject.x):
        stream, total = variants(n, x), 0
        while several := list(islice(stream, BATCH)):
            batch = torch.stack([one for one, _ in several])
            weights = [weight for _, weight in several]

            def response(code: torch.Tensor, n: int = n, weights: list[float] = weights) -> torch.Tensor:
                return torch.tensor(weights, dtype=code.dtype, device=code.device) * subject.of(code, n)

            slope = input_gradient(subject.net, subject.layer.name, batch, response, probe=subject.probe)
            total = total + slope.sum(0)
        rows.append(total)
    return torch.stack(rows)
