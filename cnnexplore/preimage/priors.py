"""Priors: what makes an image look natural, as terms of the energy with exact gradients."""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from .scalars import Number, add_product, add_times, host
from .settings import Parameter, Values


@dataclass(frozen=True)
class Scale:
    """What the priors are normalised by.

    Attributes
    ----------
    B : float
        The typical length of a pixel, in 0..255 units with the mean subtracted.
    N : int
        The number of pixels of the network's input.

    Examples
    --------
    >>> from cnnexplore.preimage import Scale
    >>> Scale(80.0, 227 * 227).bound
    160.0
    """

    B: float
    N: int

    @property
    def V(self) -> float:
        """The typical length of the image's gradient (preimage2016, section 3.3)."""
        return self.B / 6.5

    @property
    def bound(self) -> float:
        """B+, the largest length of a pixel."""
        return 2 * self.B

    @property
    def s2(self) -> float:
        """The squared norm of a natural image of N pixels (inverting2015: 27098.1 at 227 x 227)."""
        return 27098.1**2 * self.N / (227 * 227)


def inner(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """<a, b> per image, (N,)."""
    if a.device.type != "cpu":  # one kernel for all images
        return (a * b).flatten(1).sum(1)
    # a BLAS dot each takes half of the time of a reduction over the products
    if a.dim() == 4 and not a.is_contiguous():  # channels last: walk both in the order in which they lie in memory
        a, b = a.permute(0, 2, 3, 1), b.permute(0, 2, 3, 1)
    return torch.stack([torch.dot(p.flatten(), q.flatten()) for p, q in zip(a, b, strict=True)])


def squared_lengths(x: torch.Tensor) -> torch.Tensor:
    """The squared length of each pixel of x (N, C, H, W), (N, 1, H, W)."""
    if x.device.type != "cpu" or x.shape[1] > 4:
        return (x * x).sum(1, keepdim=True)
    first, *others = x.split(1, dim=1)
    square = first * first
    for channel in others:  # half the passes over memory of a sum of products
        square.addcmul_(channel, channel)
    return square


class Prior(ABC):
    """A term of the energy that depends on the image alone.

    A subclass declares its attributes and computes its value and gradient; `invert(..., priors=[MyPrior()])` then adds
    it to the energy, and its parameters can be set, scheduled, steered live and moved with a slider.

    Attributes
    ----------
    name : str
        The name of its column in the history; a Python identifier.
    label : str
        Its name in plots; `name` unless given.
    colour : str
        Its colour in plots, as matplotlib takes it; one of a few unless given.
    parameters : tuple of Parameter
        What can be steered.

    Examples
    --------
    >>> from cnnexplore.preimage import Parameter, Prior
    >>> class Grey(Prior):
    ...     name = "grey"
    ...     parameters = (Parameter("greyness", 0, 10, "linear", 1, "weight of the distance to the mean colour"),)
    ...
    ...     def __call__(self, x, values, scale, gradient):
    ...         unit = values.greyness / (scale.N * scale.B**2)
    ...         gradient.add_(x, alpha=2 * unit)
    ...         return x.square().flatten(1).sum(1) * unit
    >>> r = cx.invert(cx.load("lenet"), cx.digit(3), "conv2", priors=[Grey()], steps=2, refine=0, progress=False)
    >>> "grey" in r.history.dtype.names
    True
    """

    name: ClassVar[str]
    label: ClassVar[str] = ""
    colour: ClassVar[str] = ""
    parameters: ClassVar[tuple[Parameter, ...]] = ()

    @abstractmethod
    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        """The value of the term, and its gradient.

        Parameters
        ----------
        x : torch.Tensor
            (N, C, H, W) the canvas, border included, in 0..255 units with the mean subtracted.
        values : Values
            The values of the parameters.
        scale : Scale
            What terms are normalised by.
        gradient : torch.Tensor
            (N, C, H, W), to which the term's gradient is added in place.

        Returns
        -------
        torch.Tensor
            (N,) one value per image.
        """

    def branch(self, values: Values) -> Hashable | None:
        """Which branch of its computation the term takes, so that a GPU can keep it in a graph with the rest of a step.

        A term that keeps the default is called anew in each step. Another one is called once for each branch; after
        that the kernels that it launched are launched again. So its result must be a function of the arguments alone.
        In such a call the values are tensors of one element, which `addcmul_` and products take; only
        `cnnexplore.preimage.scalars.host` tells their numbers.

        Parameters
        ----------
        values : Values
            The values of the parameters.

        Returns
        -------
        object or None
            The same for values that launch the same kernels, such as "kink" or (); None to be called in each step.
        """
        return None

    def state(self) -> dict[str, Any]:
        """What continues the term in another run: tensors and plain values; empty for a term without memory."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:  # noqa: B027  # a term without memory has nothing to take over
        """Take over what `state` gave.

        Parameters
        ----------
        state : dict
            The state of such a term.
        """

    def to_python(self) -> str:
        """The Python that makes this term again."""
        return repr(self) if dataclasses.is_dataclass(self) else f"{type(self).__name__}()"


ALPHA = Parameter(
    "alpha", 1, 20, "linear", 6, "α: the exponent of the bounded range; higher only stops the brightest pixels",
    label="α", shown=(1, 12),
)  # fmt: skip
BETA = Parameter(
    "beta", 1, 3, "linear", 2, "β: the exponent of total variation; 1 keeps edges but leaves spikes, 2 is smooth",
    label="β",
)  # fmt: skip


class BoundedRange(Prior):
    """The length of pixels against the typical one (preimage2016, equation 5), isotropic over the channels.

    Its value is about 1 for a photograph.
    """

    name = "alpha"
    label, colour = "bounded range", "#7aa2f7"
    parameters = (ALPHA,)

    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        alpha = values.alpha
        square = squared_lengths(x).mul_(scale.B**-2)  # in units of B, so that the powers do not overflow
        floored = square.clamp_min(1e-16) if self.branch(values) == "kink" else square  # the length has one at zero
        power = floored ** (alpha / 2 - 1)
        add_product(gradient, x, power, alpha / (scale.N * scale.B**2))
        return inner(power, square).mul_(1 / scale.N)

    def branch(self, values: Values) -> Hashable | None:
        return "kink" if host(values).alpha < 2 else "smooth"


class TotalVariation(Prior):
    """The total variation of the image, per channel (preimage2016, section 3.2.2).

    Forward differences, zero across the far border. For beta < 2 the energy of a squared difference below 1e-6 is
    continued by its tangent, so that the gradient exists everywhere. Its value is about 1 for a photograph.
    """

    name = "tv"
    label, colour = "total variation", "#2563eb"
    parameters = (BETA,)

    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        return add_variation(x, values, 1 / (scale.N * scale.V**values.beta), gradient)

    def branch(self, values: Values) -> Hashable | None:
        return variation_branch(values)


def variation_branch(values: Values) -> str:
    """The branch of `add_variation`."""
    beta = host(values).beta
    return "squares" if beta == 2 else "kink" if beta < 2 else "smooth"


def add_variation(x: torch.Tensor, values: Values, unit: Number, gradient: torch.Tensor) -> torch.Tensor:
    """unit * sum of (dx^2 + dy^2)^(beta/2), (N,); its gradient is added to `gradient`."""
    beta, branch = values.beta, variation_branch(values)
    down = x[..., 1:, :] - x[..., :-1, :]
    right = x[..., 1:] - x[..., :-1]
    if branch == "squares":
        value = inner(down, down) + inner(right, right)
    else:
        square = torch.zeros_like(x)
        square[..., :-1, :] = down * down
        square[..., :-1] += right * right
        floored = square.clamp_min(1e-6) if branch == "kink" else square
        weight = floored ** (beta / 2 - 1)
        value = inner(floored, weight) + inner(square - floored, weight) * (beta / 2)
        down *= weight[..., :-1, :]
        right *= weight[..., :-1]
    slope = beta * unit
    add_times(gradient[..., 1:, :], down, slope)
    add_times(gradient[..., :-1, :], down, -slope)
    add_times(gradient[..., 1:], right, slope)
    add_times(gradient[..., :-1], right, -slope)
    return value.mul_(unit)


@dataclass(frozen=True)
class AlphaNorm(Prior):
    """weight * sum of |x|^alpha over pixels and channels: the bounded range of inverting2015, section 3."""

    weight: float
    name = "alpha"
    label, colour = "bounded range", "#7aa2f7"
    parameters = (ALPHA,)

    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        power = x.abs().pow_(values.alpha - 1)
        add_times(gradient, power * x.sign(), values.alpha * self.weight)
        return inner(power, x.abs()).mul_(self.weight)

    def branch(self, values: Values) -> Hashable | None:
        return ()


@dataclass(frozen=True)
class SquaredVariation(Prior):
    """weight * sum of (dx^2 + dy^2)^(beta/2): the total variation of inverting2015, section 3, with its own weight."""

    weight: float
    name = "tv"
    label, colour = "total variation", "#2563eb"
    parameters = (BETA,)

    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        return add_variation(x, values, self.weight, gradient)

    def branch(self, values: Values) -> Hashable | None:
        return variation_branch(values)


def project(x: torch.Tensor, bound: float) -> torch.Tensor:
    """The hard constraint of equation 6: pixels longer than `bound` are scaled back to it, in place."""
    square = squared_lengths(x)
    return x.mul_(square.rsqrt_().mul_(bound).clamp_max_(1))  # a short pixel is times 1, to the bit


def initial_noise(
    generators: list[torch.Generator], channels: int, size: tuple[int, int], scale: Scale
) -> torch.Tensor:
    """Uniform noise in (-1, 1), over its 95th percentile, times B / sqrt(C): the first canvas of Algorithm 1.

    One image per generator, (N, C, H, W), on the CPU so that a seed means the same on every device.
    """
    images = []
    for generator in generators:
        noise = torch.rand((channels, *size), generator=generator, dtype=torch.float32).mul_(2).sub_(1)
        rank = max(1, math.ceil(0.95 * noise.numel()))
        images.append(noise * (scale.B / math.sqrt(channels) / noise.flatten().kthvalue(rank).values))
    return torch.stack(images)
