"""What can be looked at directly: the maps of a layer for an image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from .. import drawing
from ..errors import SettingError
from ..network import Layer, Network, as_maps, layer_with_map, resolve_units


@dataclass(frozen=True)
class ActivationMaps:
    """A layer's maps for one image. maps: (C, h, w); order: the channels, most responsive first."""

    maps: np.ndarray = field(repr=False)
    image: np.ndarray = field(repr=False)
    layer: Layer
    net: Network = field(repr=False)

    @property
    def order(self) -> list[int]:
        return np.argsort(-self.maps.max((1, 2)), kind="stable").tolist()

    def picture(self, units: list[int] | None = None, columns: int = 16) -> np.ndarray:
        """The maps as tiles with one value range, (H, W, 3) uint8; default: the 64 most responsive channels."""
        units = self.order[:64] if units is None else resolve_units(self.net, self.layer, units)
        chosen = self.maps[units]
        return drawing.tiles(drawing.heat(chosen, signed=bool((self.maps < 0).any())), columns)

    def plot(self, count: int = 24):
        """A matplotlib figure: the image and the most responsive channels, each with its number."""
        chosen = self.order[:count]
        signed = bool((self.maps < 0).any())
        span = drawing.limits(self.maps[chosen], signed)
        pictures = [self.image, *(drawing.heat(self.maps[k], signed, span) for k in chosen)]
        titles = ["image", *(f"unit {k}" for k in chosen)]
        return drawing.panels(pictures, titles, 9, 1.05, f"{self.layer.name}, {self.layer.describe()}")

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


def activation_maps(net: Network, image, layer: str) -> ActivationMaps:
    """The maps of a layer for one image. Raises LayerNotFound, LayerError, ImageError."""
    where = layer_with_map(net, layer, "activation_maps")
    x = net.pixels_of(image)
    if len(x) != 1:
        raise SettingError(f"{len(x)} images were given; expected one.")
    with torch.no_grad():
        code = as_maps(net.probe(where.name)(net.feed(x))[where.name], where)
    return ActivationMaps(code[0].float().cpu().numpy(), net.picture(x), where, net)
