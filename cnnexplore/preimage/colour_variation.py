"""The total variation of differences of colours, which in photographs vary less from pixel to pixel than grey does."""

from __future__ import annotations

from collections.abc import Hashable

import torch

from .colours import Colours, mixed_by
from .priors import Prior, Scale, add_variation, variation_branch
from .scalars import host
from .settings import Parameter, Values

COLOUR = Parameter(
    "colour", 0, 1000, "linear", 0,
    "colour: the weight of the variation of colours beside that of grey; higher gives fewer and larger patches of "
    "colour", shown=(0, 20),
)  # fmt: skip


class ColourVariation(Prior):
    """The total variation of mixtures of colours other than grey, each measured by its variation in photographs.

    ``colour / (N (C - 1)) * sum of (length of the gradient / its root mean square in the images) ** beta``, over pixels
    and the C - 1 mixtures that vary less than grey. Its value is about `colour` for a photograph, whatever the images'
    colours are: a mixture that photographs seldom have weighs more.

    Parameters
    ----------
    colours : Colours
        Of images that have the colours that are wanted.
    device : torch.device
        Where the network is.
    """

    name = "colour"
    label, colour = "variation of colours", "#db2777"
    parameters = (COLOUR,)

    def __init__(self, colours: Colours, device: torch.device) -> None:
        self._weights = (colours.directions / colours.slopes)[:, 1:].T.float().contiguous().to(device)

    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        if self.branch(values) == "off":
            return x.new_zeros(len(x))
        mixed = mixed_by(self._weights, x)
        slope = torch.zeros_like(mixed)
        value = add_variation(mixed, values, values.colour / (scale.N * len(self._weights)), slope)
        gradient.add_(mixed_by(self._weights.T, slope))
        return value

    def branch(self, values: Values) -> Hashable | None:
        return variation_branch(values) if host(values).colour else "off"
