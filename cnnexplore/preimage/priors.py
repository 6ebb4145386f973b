"""What makes an image look natural: priors on the canvas, with exact gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from .settings import Values


@dataclass(frozen=True)
class Scale:
    """What the priors are normalised by: B, the typical length of a pixel, and N, the pixels of the network's input."""

    B: float
    N: int

    @property
    def V(self) -> float:
        """The typical length of the image's gradient (preimage2016, section 3.3)."""
        return self.B / 6.5

    @property
    def bound(self) -> float:
        """B+, the longest a pixel may be."""
        return 2 * self.B

    @property
    def s2(self) -> float:
        """The squared norm of a natural image of N pixels (inverting2015: 27098.1 at 227 x 227)."""
        return 27098.1**2 * self.N / (227 * 227)


def inner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """<a, b> per image, (N,); a BLAS dot each, much faster on a CPU than a reduction over the products."""
    if a.dim() == 4 and not a.is_contiguous():  # channels last: walk both in the order in which they lie in memory
        a, b = a.permute(0, 2, 3, 1), b.permute(0, 2, 3, 1)
    return torch.stack([torch.dot(p.flatten(), q.flatten()) for p, q in zip(a, b, strict=True)])


class BoundedRange:
    """How far pixels exceed their typical length: N_alpha of preimage2016, equation 5, isotropic over the channels.

    x: (N, C, H, W), 0..255 with the mean subtracted. Adds its gradient to `gradient` in place and returns its
    value (N,), about 1 for a photograph.
    """

    name = "alpha"

    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        alpha = values.alpha
        square = (x * x).sum(1, keepdim=True).mul_(scale.B**-2)  # lengths in units of B, lest their powers overflow
        floored = square.clamp_min(1e-16) if alpha < 2 else square  # the length's own kink at zero
        power = floored ** (alpha / 2 - 1)
        gradient.addcmul_(x, power, value=alpha / (scale.N * scale.B**2))
        return inner(power, square).mul_(1 / scale.N)


class TotalVariation:
    """How far the image is from piecewise smooth: R_TV^beta of preimage2016, section 3.2.2, per channel.

    Forward differences, zero across the far border. For beta < 2 the energy of a squared difference below 1e-6 is
    continued by its tangent, so that the gradient exists everywhere.
    x: (N, C, H, W), 0..255 with the mean subtracted. Adds its gradient to `gradient` in place and returns its
    value (N,), about 1 for a photograph.
    """

    name = "tv"

    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        return variation(x, values.beta, 1 / (scale.N * scale.V**values.beta), gradient)


def variation(x: torch.Tensor, beta: float, unit: float, gradient: torch.Tensor) -> torch.Tensor:
    """unit * sum of (dx^2 + dy^2)^(beta/2), (N,); its gradient is added to `gradient`."""
    down = x[..., 1:, :] - x[..., :-1, :]
    right = x[..., 1:] - x[..., :-1]
    if beta == 2:
        value = inner(down, down) + inner(right, right)
    else:
        square = torch.zeros_like(x)
        square[..., :-1, :] = down * down
        square[..., :-1] += right * right
        floored = square.clamp_min(1e-6) if beta < 2 else square
        weight = floored ** (beta / 2 - 1)
        value = inner(floored, weight) + inner(square - floored, weight) * (beta / 2)
        down *= weight[..., :-1, :]
        right *= weight[..., :-1]
    slope = beta * unit
    gradient[..., 1:, :].add_(down, alpha=slope)
    gradient[..., :-1, :].sub_(down, alpha=slope)
    gradient[..., 1:].add_(right, alpha=slope)
    gradient[..., :-1].sub_(right, alpha=slope)
    return value.mul_(unit)


@dataclass(frozen=True)
class AlphaNorm:
    """weight * sum of |x|^alpha over pixels and channels: the bounded range of inverting2015, section 3.

    x: (N, C, H, W), 0..255 with the mean subtracted. Adds its gradient to `gradient` in place and returns (N,).
    """

    weight: float
    name = "alpha"

    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        power = x.abs().pow_(values.alpha - 1)
        gradient.add_(power * x.sign(), alpha=values.alpha * self.weight)
        return inner(power, x.abs()).mul_(self.weight)


@dataclass(frozen=True)
class SquaredVariation:
    """weight * sum of (dx^2 + dy^2)^(beta/2): the total variation of inverting2015, section 3, with its own weight.

    x: (N, C, H, W), 0..255 with the mean subtracted. Adds its gradient to `gradient` in place and returns (N,).
    """

    weight: float
    name = "tv"

    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        return variation(x, values.beta, self.weight, gradient)


def project(x: torch.Tensor, bound: float) -> torch.Tensor:
    """The hard constraint of equation 6: pixels longer than `bound` are scaled back to it, in place."""
    square = (x * x).sum(1, keepdim=True)
    return x.mul_(square.rsqrt_().mul_(bound).clamp_max_(1))  # a short pixel is times 1, to the bit


def start(generators: list[torch.Generator], channels: int, size: tuple[int, int], scale: Scale) -> torch.Tensor:
    """Uniform noise in (-1, 1), over its 95th percentile, times B / sqrt(C): where Algorithm 1 begins.

    One image per generator, (N, C, H, W), on the CPU so that a seed means the same on every device.
    """
    images = []
    for generator in generators:
        noise = torch.rand((channels, *size), generator=generator).mul_(2).sub_(1)
        rank = max(1, math.ceil(0.95 * noise.numel()))
        images.append(noise * (scale.B / math.sqrt(channels) / noise.flatten().kthvalue(rank).values))
    return torch.stack(images)
