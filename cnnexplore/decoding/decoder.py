"""Decoder: the filters of a layer's units in image space, a few at a time, on the network's device."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..network import Network, resolve_units
from ..network.precision import full_precision
from .patch import Patch, patch_of_maps
from .substitution import substitute
from .unpooling import check

MEMORY = 256 * 2**20  # bytes that the maps of the units that are decoded at once may take


class Decoder:
    """Decodes units of a layer to filters in image space, a few at a time.

    A unit stands in the middle of its map. Iteration yields pairs (units, their filters), in order: a list of K ints
    and a tensor (K, C, h, w) in what the module itself takes, channels in its order, on its device.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer's name.
    unit : int, str, list, integer array or None
        The units: numbers, class labels where the layer is the class scores, or None for all.
    unpool : {"bilinear", "nearest", "bicubic"}
        How a map is carried up through a pooling.

    Attributes
    ----------
    units : list of int
        The units.
    box : tuple of int
        (top, left, bottom, right), the pixels of the network's input that the filters cover, both ends included.
    at_once : int
        How many units are decoded together.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer cannot be decoded.
    SettingError
        If the layer has no such unit, or `unpool` is unknown.
    """

    def __init__(self, net: Network, layer: str, unit: object = None, unpool: str = "bilinear"):
        self.net, self.layer, self.unpool = net, net.layers[layer], check(unpool)
        self.units = resolve_units(net, self.layer, unit)
        self.operation = net.operations()[self.layer.name]
        first, elements = self._decoded(self.units[:1])
        h, w = first.values.shape[2:]
        self.box = (first.top, first.left, first.top + h - 1, first.left + w - 1)
        self.at_once = max(1, MEMORY // (4 * elements))

    def __len__(self) -> int:
        return len(self.units)

    def __iter__(self) -> Iterator[tuple[list[int], torch.Tensor]]:
        for k in range(0, len(self.units), self.at_once):
            units = self.units[k : k + self.at_once]
            yield units, self._decoded(units)[0].values

    def filters(self) -> torch.Tensor:
        """All filters, (K, C, h, w)."""
        return torch.cat([filters for _, filters in self])

    def start(self, units: list[int]) -> Patch:
        """The patch of the layer that is decoded: 1 for each unit, in the middle of its map.

        Parameters
        ----------
        units : list of int
            The units.
        """
        (rows, columns), channels = self.layer.size, self.layer.channels
        values = torch.zeros(len(units), channels, device=self.net.device, dtype=torch.float32)
        values[range(len(units)), units] = 1
        if self.operation.shape == (1, channels, rows, columns) and self.layer.layout.axes in ((1, 2), ()):
            return Patch(values[:, :, None, None], rows // 2, columns // 2)  # a place is enough
        maps = values.new_zeros(len(units), channels, rows, columns)
        maps[:, :, rows // 2, columns // 2] = values
        return patch_of_maps(maps, self.layer, self.operation.shape)

    @full_precision()
    @torch.no_grad()
    def _decoded(self, units: list[int]) -> tuple[Patch, int]:
        return substitute(self.operation, self.start(units), self.unpool, self.layer.name)
