"""Feature distance: a term that keeps the activation of a layer near that of an image (feature accentuation)."""

from __future__ import annotations

from collections.abc import Hashable

import torch

from ..network import Network
from .energy import Energy
from .losses import Euclidean
from .pathways import Pathways
from .priors import Prior, Scale
from .scalars import add_times
from .settings import Parameter, Values

CLOSENESS = Parameter(
    "closeness", 0, 1e6, "log", 1, "closeness: the weight of the distance to the image in the layer that is kept",
    shown=(0.1, 1e3),
)  # fmt: skip


class FeatureDistance(Prior):
    """`closeness` times ||Phi(x) - Phi(x0)||^2 / ||Phi(x0)||^2, at a layer before the one of the data term.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer whose activation is kept.
    image : torch.Tensor
        (1, C, H, W) in the network's units, the image x0.
    count : int
        How many images the batch has.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the activation of the image is zero.

    References
    ----------
    C. Hamblin et al., Feature accentuation: revealing 'what' features respond to in natural images, 2024.
    """

    name = "features"
    label, colour = "distance in features", "#be185d"
    parameters = (CLOSENESS,)

    def __init__(self, net: Network, layer: str, image: torch.Tensor, count: int = 1) -> None:
        with torch.no_grad():
            reference = net.probe(layer)(net.feed(image))[net.layers[layer].name]
        scale = Scale(net.pixels.norm, image[0, 0].numel())
        self.size = image.shape[-2:]
        self._energy = Energy(
            net, layer, Euclidean(reference.expand(count, *reference.shape[1:])), (), scale, Pathways(net, layer, None)
        )

    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        top, left = ((whole - part) // 2 for whole, part in zip(x.shape[-2:], self.size, strict=True))
        box = (..., slice(top, top + self.size[0]), slice(left, left + self.size[1]))
        losses, slopes = self._energy.data_term(x[box].contiguous(), values)
        add_times(gradient[box], slopes, values.closeness)
        return values.closeness * losses

    def branch(self, values: Values) -> Hashable | None:
        return self._energy.branch(values)

    def to_python(self) -> str:
        return ""  # made of the arguments `init` and `keep`
