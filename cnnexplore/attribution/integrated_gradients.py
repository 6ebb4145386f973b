"""Integrated gradients: what each pixel adds to the score on the way from a baseline to the image."""

from __future__ import annotations

import numpy as np
import torch

from ..errors import SettingError
from .gradients import Maps
from .paths import mean_slope
from .subject import Subject


def integrated_gradients(subject: Subject, steps: int = 50, baseline=None) -> Maps:
    """The derivative integrated from a baseline to the image, times the difference, summed over channels.

    steps: of the Gauss-Legendre rule; baseline: an image (default: the network's mean colour). The map's sum is the
    score's difference between the two, as nearly as the steps allow.
    Raises SettingError, ImageError. Source: Sundararajan et al., Axiomatic attribution for deep networks, 2017, eq. 1.
    """
    if not isinstance(steps, int) or steps < 1:
        raise SettingError(f"steps is {steps!r}; expected how many points to integrate over, 1 or more.")
    subject.look()
    start = torch.zeros_like(subject.x[0]) if baseline is None else subject.net.pixels_of(baseline)[0]
    places, weights = np.polynomial.legendre.leggauss(steps)

    def along(n: int, x: torch.Tensor):
        for place, weight in zip((1 + places) / 2, weights / 2, strict=True):
            yield start + float(place) * (x - start), float(weight)

    raw = (subject.x - start) * mean_slope(subject, along)
    return raw, raw.sum(1)
