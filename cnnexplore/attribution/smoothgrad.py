"""SmoothGrad: the gradient, averaged over noisy copies of the image."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..arguments import number, whole
from ..arguments import seed as any_seed
from .gradients import strongest
from .mean_gradient import mean_gradient
from .method import AttributionMethod, Maps, Option
from .target import Target


def smoothgrad(target: Target, samples: int, noise: float, seed: int) -> Maps:
    """The derivative averaged over noisy copies of the image; absolute, max over channels.

    References
    ----------
    Smilkov et al., SmoothGrad: removing noise by adding noise, 2017, section 2.
    """
    samples = whole(1, 100_000, "how many noisy copies to average")("samples", samples)
    noise = number(0, 10, "a share of the image's range, such as 0.15")("noise", noise)
    seed = any_seed("seed", seed)

    def copies(n: int, x: torch.Tensor) -> Iterator[tuple[torch.Tensor, float]]:
        generator = torch.Generator().manual_seed(seed)
        deviation = noise * (x.amax() - x.amin())
        for _ in range(samples):
            yield x + deviation * torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x), 1 / samples

    raw = mean_gradient(target, copies)
    return Maps(raw, strongest(raw))


SMOOTHGRAD = AttributionMethod(
    "smoothgrad",
    smoothgrad,
    "The derivative averaged over noisy copies of the image: absolute, max over channels",
    options=(
        Option("samples", 25, "how many noisy copies are averaged", slider=(2, 60), whole=True, initial=12),
        Option("noise", 0.15, "standard deviation of the noise, as a share of the image's range", slider=(0, 0.5)),
        Option("seed", 0, "seed of the noise"),
    ),
)
