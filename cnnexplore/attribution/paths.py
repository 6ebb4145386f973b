"""Weighted means of gradients over variants of an image, in batches of a size that fits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import torch

from .subject import Subject

BATCH = 8
Variants = Callable[[int, torch.Tensor], Iterator[tuple[torch.Tensor, float]]]


def mean_slope(subject: Subject, variants: Variants) -> torch.Tensor:
    """The weighted sum of the derivatives with respect to x at variants of each image: (N, C, H, W).

    variants(n, x): yields variants (C, H, W) of image n, x, and the weight of each.
    """
    net, rows = subject.net, []
    for n, x in enumerate(subject.x):
        stream, total = variants(n, x), 0
        while several := list(islice(stream, BATCH)):
            fed = net.feed(torch.stack([one for one, _ in several])).requires_grad_()
            weights = torch.tensor([w for _, w in several], dtype=fed.dtype, device=fed.device)
            with torch.enable_grad():
                code = subject.probe(fed)[subject.layer.name]
                (slope,) = torch.autograd.grad((weights * subject.of(code, n)).sum(), fed)
            total = total + slope.sum(0)
        rows.append(total)
    return net.pixels.feed(torch.stack(rows))
