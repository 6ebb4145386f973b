"""Integrated gradients: what each pixel adds to the score on the way from a baseline to the image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from ..arguments import whole
from .mean_gradient import mean_gradient
from .method import AttributionMethod, Maps, Option
from .target import Target


def integrated_gradients(target: Target, steps: int, baseline: Any) -> Maps:
    """The derivative integrated from a baseline to the image, times the difference, summed over channels.

    The map's sum is the difference of the two scores, as nearly as the steps allow.

    References
    ----------
    Sundararajan et al., Axiomatic attribution for deep networks, 2017, equation 1.
    """
    steps = whole(1, 1000, "how many points to integrate over")("steps", steps)
    start = torch.zeros_like(target.x[0]) if baseline is None else target.net.pixels_of(baseline)[0]
    places, weights = np.polynomial.legendre.leggauss(steps)

    def along(n: int, x: torch.Tensor) -> Iterator[tuple[torch.Tensor, float]]:
        for place, weight in zip((1 + places) / 2, weights / 2, strict=True):
            yield start + float(place) * (x - start), float(weight)

    raw = (target.x - start) * mean_gradient(target, along)
    return Maps(raw, raw.sum(1))


INTEGRATED_GRADIENTS = AttributionMethod(
    "integrated_gradients",
    integrated_gradients,
    "The derivative integrated from a baseline to the image, times the difference, summed over channels",
    signed=True,
    options=(
        Option("steps", 50, "points of the Gauss-Legendre rule", slider=(4, 100), whole=True, initial=16),
        Option("baseline", None, "the image at the path's beginning; None: the network's mean colour"),
    ),
)
