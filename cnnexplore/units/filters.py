"""The filters of a convolution as pictures: of pixels at the first layer, of the layer before at deeper ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch import nn

from .. import drawing
from ..errors import LayerError
from ..network import Layer, Network, resolve_unit


@dataclass(frozen=True)
class Filters:
    """The weights of a convolution. weights: (K, C, h, w), C of its group; of_pixels: whether C are colours."""

    weights: np.ndarray = field(repr=False)
    layer: Layer
    of_pixels: bool
    net: Network = field(repr=False)

    def pictures(self) -> np.ndarray:
        """(K, h, w, 3) uint8 in colour, zero in middle grey, each filter to its own range. Raises LayerError."""
        if not self.of_pixels:
            raise LayerError(
                f"{self.layer.name} filters maps, not colours; use tiles(unit), a picture per input channel."
            )
        most = np.abs(self.weights).max((1, 2, 3), keepdims=True)
        shown = 127.5 + 127.5 * self.weights / np.where(most > 0, most, 1)
        shown = np.repeat(shown, 3, 1) if shown.shape[1] == 1 else shown
        return np.round(shown).astype(np.uint8).transpose(0, 2, 3, 1)

    def tiles(self, unit: int) -> np.ndarray:
        """One unit's weights on each of its input channels, (C, h, w, 3) uint8; purple below zero, orange above."""
        unit = resolve_unit(self.net, self.layer, unit)
        return drawing.heat(self.weights[unit], signed=True, span=(-self._most[unit], self._most[unit]))

    @property
    def _most(self) -> np.ndarray:
        most = np.abs(self.weights).max((1, 2, 3))
        return np.where(most > 0, most, 1)

    def picture(self, columns: int = 16, units: int = 16, channels: int = 32) -> np.ndarray:
        """All filters in one picture: in colour, or a row for each of the first units with its first input channels."""
        if self.of_pixels:
            return drawing.tiles(self.pictures(), columns)
        shown = min(channels, self.weights.shape[1])
        rows = [drawing.tiles(self.tiles(k)[:shown], shown, paper=150) for k in range(min(units, len(self.weights)))]
        return drawing.tiles(np.stack(rows), 1, paper=150)

    def plot(self):
        """A matplotlib figure of `picture`."""
        k, c, h, w = self.weights.shape
        picture = self.picture()
        inches = min(8.0, max(3.0, picture.shape[1] / 30))
        title = f"{self.layer.name}: {k} x {c} x {h} x {w}"
        if not self.of_pixels:
            title += f"; a row is a unit, a column an input channel ({min(16, k)} of {k}, {min(32, c)} of {c})"
        figure = drawing.panels([picture], [title], 1, inches)
        figure.set_size_inches(inches, inches * picture.shape[0] / picture.shape[1] + 0.3)
        return figure

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


def filters(net: Network, layer: str | None = None) -> Filters:
    """The filters of a convolution (default: the first one). Raises LayerNotFound, LayerError."""
    kernels = {name: part for name, where in net.layers.items() if (part := _part(net, where)) is not None}
    if layer is None:
        if not kernels:
            raise LayerError(f"{net.name} has no convolution whose filters could be shown.")
        layer = next(iter(kernels))
    where = net.layers[layer]
    if where.name not in kernels:
        raise LayerError(
            f"{where.name} is no convolution; filters are at {', '.join(kernels) or 'none of the layers'}."
        )
    weights = kernels[where.name].weight.detach().float().cpu().numpy()
    first = where.name == next(iter(kernels)) and weights.shape[1] == net.pixels.channels
    if first and net.pixels.order == "BGR":
        weights = weights[:, ::-1].copy()
    return Filters(weights, where, first, net)


def _part(net: Network, layer: Layer) -> nn.Conv2d | None:
    if layer.site[0] != "module":
        return None
    part = net.module.get_submodule(layer.site[1])
    return part if isinstance(part, nn.Conv2d) else None
