"""SmoothGrad: the gradient, averaged over noisy copies of the image."""

from __future__ import annotations

import torch

from ..errors import SettingError
from .gradients import Maps, strongest
from .paths import mean_slope
from .subject import Subject


def smoothgrad(subject: Subject, samples: int = 25, noise: float = 0.15, seed: int = 0) -> Maps:
    """The derivative averaged over noisy copies of the image: absolute, max over channels.

    samples: how many copies; noise: standard deviation of the noise as a share of the image's range.
    Raises SettingError. Source: Smilkov et al., SmoothGrad: removing noise by adding noise, 2017, section 2.
    """
    if not isinstance(samples, int) or samples < 1:
        raise SettingError(f"samples is {samples!r}; expected how many noisy copies to average, 1 or more.")
    if not 0 <= noise <= 10:
        raise SettingError(f"noise is {noise!r}; expected a share of the image's range, such as 0.15.")
    subject.look()

    def copies(n: int, x: torch.Tensor):
        generator = torch.Generator().manual_seed(seed)
        spread = noise * (x.amax() - x.amin())
        for _ in range(samples):
            yield x + spread * torch.randn(x.shape, generator=generator).to(x), 1 / samples

    raw = mean_slope(subject, copies)
    return raw, strongest(raw)
