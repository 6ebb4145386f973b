"""The activation maps of a layer for an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from .. import drawing
from ..arguments import checked
from ..data.images import one_image
from ..network import Layer, Network, as_maps, layer_with_map, resolve_units, unit_name
from ..network.arguments import layer_name, network
from ..results import Result, image_to_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class ActivationMaps(Result):
    """A layer's maps for one image.

    Attributes
    ----------
    maps : np.ndarray
        (U, h, w) float32, a map for each unit of the layer.
    image : np.ndarray
        (H, W, 3) uint8, the image as the network saw it.
    layer : Layer
        The layer.
    net : Network
        The network.
    python : str
        The call that makes this result again.
    """

    maps: np.ndarray = field(repr=False)
    image: np.ndarray = field(repr=False)
    layer: Layer
    net: Network = field(repr=False)
    python: str = field(default="", repr=False)

    @property
    def order(self) -> list[int]:
        """The units by their largest activation, the largest first."""
        return np.argsort(-self.maps.max((1, 2)), kind="stable").tolist()

    @property
    def signed(self) -> bool:
        """Whether any activation is negative."""
        return bool((self.maps < 0).any())

    def mosaic(self, unit: object = None, columns: int = 16) -> np.ndarray:
        """Maps as tiles with one value range, (H, W, 3) uint8, without titles.

        Parameters
        ----------
        unit : int, str, list, integer array or None
            The units. Default: the 64 with the largest activations.
        columns : int
            How many in a row.

        Raises
        ------
        SettingError
            If the layer has no such unit.
        """
        units = self.order[:64] if unit is None else resolve_units(self.net, self.layer, unit)
        return drawing.tiles(drawing.heat(self.maps[units], signed=self.signed), columns)

    def plot(self, count: int = 24) -> Figure:
        """A matplotlib figure: the image, and the maps of the units with the largest activations.

        Parameters
        ----------
        count : int
            How many units.
        """
        chosen, signed = self.order[:count], self.signed
        span = drawing.limits(self.maps[chosen], signed)
        pictures = [self.image, *(drawing.heat(self.maps[k], signed, span) for k in chosen)]
        titles = ["image", *(unit_name(self.net, self.layer, k) for k in chosen)]
        return drawing.picture_grid(pictures, titles, 9, 1.05, f"{self.layer.name}, {self.layer.describe()}")


@checked(net=network, layer=layer_name)
def activation_maps(net: Network, image: object, layer: str) -> ActivationMaps:
    """Compute the activation maps of a layer for one image.

    Parameters
    ----------
    net : Network
        The network.
    image : array, PIL.Image.Image, str or os.PathLike
        One image, as `Network.pixels_of` takes it.
    layer : str
        The layer's name; a layer with a map.

    Returns
    -------
    ActivationMaps
        The maps, (U, h, w), with their picture.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer has no map.
    ImageError
        If the image cannot be read.
    SettingError
        If several images were given.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> found = cx.activation_maps(cx.load("lenet"), cx.digit(3), "conv2")
    >>> found.maps.shape, len(found.order)
    ((50, 8, 8), 50)
    """
    where = layer_with_map(net, layer, "activation_maps")
    x = one_image(net, image)
    with torch.no_grad():
        maps = as_maps(net.probe(where.name)(net.feed(x))[where.name], where)
    python = f"cx.activation_maps({net.to_python()}, {image_to_python(image)}, {where.name!r})"
    return ActivationMaps(maps[0].float().cpu().numpy(), net.picture(x), where, net, python)
