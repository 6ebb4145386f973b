"""The published methods of finding a pre-image: start, priors, rate and bound of each."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch

from ..errors import SettingError, brief_value
from ..network import Layer, Network
from .colour_variation import ColourVariation
from .colours import colours_of
from .parameterizations import Fourier, FourierPhase, Parameterization
from .priors import AlphaNorm, BoundedRange, Prior, Scale, SquaredVariation, TotalVariation, initial_noise, project
from .settings import Parameter, Values, combine


class Variant(ABC):
    """A published method of finding a pre-image.

    Parameters
    ----------
    layer : Layer
        The layer of the data term.
    size : tuple of int
        (H, W) of the network's input.
    scale : Scale
        What the energy is normalised by.

    Attributes
    ----------
    name : str
        What `variant=` takes.
    solver : str
        The solver of the method.
    parameters : tuple of Parameter
        Those of its priors.
    priors : tuple of Prior
        Its priors for the layer.
    """

    name: str
    solver: str
    parameters: tuple[Parameter, ...]
    priors: tuple[Prior, ...]
    mixes_colours: ClassVar[bool] = False  # whether the spectral solver moves uncorrelated mixtures of colours
    weighs_gradients: ClassVar[bool] = False  # whether the gradients of the pixels are summed up, as their importance

    @abstractmethod
    def __init__(self, layer: Layer, size: tuple[int, int], scale: Scale) -> None: ...

    @abstractmethod
    def init(self, generators: list[torch.Generator], channels: int, size: tuple[int, int]) -> torch.Tensor:
        """The noise to start from, (N, channels, *size), one image per generator."""

    def parameterization(self, net: Network, size: tuple[int, int], images: Any) -> Parameterization | None:
        """What the images are made of, measured on images; None for pixels."""
        return None

    def measured_priors(self, net: Network, images: Any) -> tuple[Prior, ...]:
        """Further priors of the method, which are measured on images."""
        return ()

    def rate(self, step: int, values: Values) -> float:
        """The rate at a step, in the solver's unit."""
        return values.rate

    def resets_at(self, step: int) -> bool:
        """Whether the solver is reset before a step, apart from the first step of the refinement."""
        return False

    def bounded(self, canvas: torch.Tensor) -> torch.Tensor:
        """The canvas, projected to the method's hard bound."""
        return canvas


class Natural2016(Variant):
    """Mahendran and Vedaldi, Visualizing deep CNNs using natural pre-images, 2016: Algorithm 1 and equations 1 to 7."""

    name = "preimage2016"
    solver = "spectral"
    parameters = combine(BoundedRange.parameters, TotalVariation.parameters)

    def __init__(self, layer: Layer, size: tuple[int, int], scale: Scale) -> None:
        self.scale = scale
        self.priors = (BoundedRange(), TotalVariation())

    def init(self, generators: list[torch.Generator], channels: int, size: tuple[int, int]) -> torch.Tensor:
        return initial_noise(generators, channels, size, self.scale)

    def bounded(self, canvas: torch.Tensor) -> torch.Tensor:
        return project(canvas, self.scale.bound)


class NaturalColours(Natural2016):
    """The energy of 2016 and the variation of colours; the descent moves mixtures of colours that are uncorrelated."""

    name = "natural"
    mixes_colours = True
    parameters = combine(Natural2016.parameters, ColourVariation.parameters)

    def measured_priors(self, net: Network, images: Any) -> tuple[Prior, ...]:
        if net.pixels.channels == 1:
            return ()
        return (ColourVariation(colours_of(net, images), net.device),)


class Inverting2015(Variant):
    """Mahendran and Vedaldi, Understanding deep image representations by inverting them, 2015.

    Momentum at a rate that falls to a tenth after 100 and after 300 steps; the alpha-norm per channel, no jitter, no
    bound. The weight of the total variation grows with depth: 1, 10, 100; if `variation` is not 0, it is that weight
    at every depth.
    """

    name = "inverting2015"
    variation = 0.0
    solver = "momentum"
    falls = (100, 300)
    parameters = combine(AlphaNorm.parameters, SquaredVariation.parameters)

    def __init__(self, layer: Layer, size: tuple[int, int], scale: Scale) -> None:
        field = max(rf / side for rf, side in zip(layer.rf_size, size, strict=True))
        self.s2 = scale.s2
        variation = self.variation or (1.0 if field <= 0.25 else 10.0 if field <= 0.6 else 100.0)
        self.priors = (AlphaNorm(8e-10 / 2 / self.s2), SquaredVariation(variation / 2 / self.s2))

    def init(self, generators: list[torch.Generator], channels: int, size: tuple[int, int]) -> torch.Tensor:
        # Gaussian, of the total norm of a natural image
        noise = [torch.randn((channels, *size), generator=g, dtype=torch.float32) for g in generators]
        return torch.stack([one * (math.sqrt(self.s2) / one.norm()) for one in noise])

    def rate(self, step: int, values: Values) -> float:
        return values.rate * 0.1 ** sum(step >= fall for fall in self.falls)

    def resets_at(self, step: int) -> bool:
        return step in self.falls  # momentum is zeroed where the rate falls


VIEWS = Parameter(
    "views", 1, 16, "linear", 1, "views: how many transformed images are seen in a step, each at the price of a pass",
    whole=True,
)  # fmt: skip


class FourierColours(Variant):
    """Independent colours and frequencies in place of pixels; no priors, the transformations keep the image natural."""

    name = "fourier"
    solver = "nadam"
    parameters = (VIEWS,)

    def __init__(self, layer: Layer, size: tuple[int, int], scale: Scale) -> None:
        self.priors = ()

    def init(self, generators: list[torch.Generator], channels: int, size: tuple[int, int]) -> torch.Tensor:
        raise NotImplementedError("its start is that of its parameterization")

    def parameterization(self, net: Network, size: tuple[int, int], images: Any) -> Parameterization:
        return Fourier(net, size, images)


class PhaseOnly(FourierColours):
    """Phases of frequencies, whose magnitudes are those of photographs (MACO)."""

    name = "phase"
    weighs_gradients = True

    def parameterization(self, net: Network, size: tuple[int, int], images: Any) -> Parameterization:
        return FourierPhase(net, size, images)


_OF_PRESETS: dict[str, type[Variant]] = {kind.name: kind for kind in (NaturalColours, FourierColours, PhaseOnly)}
_VARIANTS: dict[str, type[Variant]] = {kind.name: kind for kind in (Natural2016, Inverting2015)}


def variant_of(name: str) -> type[Variant]:
    """The variant of a name; "inverting2015:10" is that of 2015 with a total variation of weight 10 at every depth.

    Raises SettingError.
    """
    if isinstance(name, str) and name in {**_VARIANTS, **_OF_PRESETS}:
        return {**_VARIANTS, **_OF_PRESETS}[name]
    base, _, weight = (name if isinstance(name, str) else "").partition(":")
    try:
        variation = float(weight)
    except ValueError:
        variation = 0.0
    if base != Inverting2015.name or not 0 < variation < math.inf:
        known = ", ".join(map(repr, _VARIANTS))
        raise SettingError(
            f"variant is {brief_value(name)}; expected one of {known}, or 'inverting2015:10' for a weight of 10."
        )
    return type("Inverting2015", (Inverting2015,), {"name": name, "variation": variation})
