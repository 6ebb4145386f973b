"""Gallery: the pictures that maximise the units of layers, with the responses that they reach."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from .. import drawing
from ..arguments import whole
from ..errors import LayerNotFound, brief_list, brief_value
from ..network import Network, unit_name
from ..results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW = 12  # units of a layer that are drawn where there are several layers
_MOST = 144  # of one layer


@dataclass(frozen=True, eq=False)
class Gallery(Result):
    """What maximises units of layers.

    Attributes
    ----------
    net : Network
        The network.
    units : dict of str to list of int
        The K units of each layer.
    pictures : dict of str to np.ndarray
        By layer (K, H, W, 3) uint8, usually memory-mapped; as large as the layer's receptive field.
    responses : dict of str to np.ndarray
        By layer (K,) float32, each in units of the unit's largest response to the bundled images.
    python : str
        The call that makes the gallery again.
    """

    net: Network
    units: dict[str, list[int]] = field(repr=False)
    pictures: dict[str, np.ndarray] = field(repr=False)
    responses: dict[str, np.ndarray] = field(repr=False)
    python: str = field(default="", repr=False)
    _temporary: tuple = field(default=(), repr=False)  # folders that are deleted with the last part of it

    def __len__(self) -> int:
        return sum(map(len, self.units.values()))

    @property
    def layers(self) -> list[str]:
        """The names of the layers."""
        return list(self.units)

    def of(self, layer: str) -> Gallery:
        """The gallery of one layer.

        Parameters
        ----------
        layer : str
            Its name.

        Returns
        -------
        Gallery
            The same pictures.

        Raises
        ------
        LayerNotFound
            If the gallery has no such layer.
        """
        if not isinstance(layer, str) or layer not in self.units:
            raise LayerNotFound(f"layer is {brief_value(layer)}; the gallery has {brief_list(self.layers)}.")
        return replace(
            self,
            units={layer: self.units[layer]},
            pictures={layer: self.pictures[layer]},
            responses={layer: self.responses[layer]},
            python=self._of(layer),
        )

    def _of(self, layer: str) -> str:
        return f"{self.python}.of({layer!r})" if self.python and len(self.units) > 1 else self.python

    def plot(self, most: int | None = None) -> Figure:
        """A matplotlib figure: a row of pictures for each layer, or all units of a single layer.

        Parameters
        ----------
        most : int, optional
            How many units of each layer are drawn, the first ones (default: 12, of a single layer 144).
        """
        several = len(self.units) > 1
        most = (_ROW if several else _MOST) if most is None else whole(1, 1000, "how many units")("most", most)
        if not several:
            layer, units = next(iter(self.units.items()))
            shown = units[:most]
            titles = [self._title(layer, k) for k in range(len(shown))]
            left = f", the first {len(shown)} of {len(units)} units" if len(shown) < len(units) else ""
            heading = f"What maximises the units of {layer} of {self.net.name}{left}"
            columns = min(_ROW, max(1, len(shown)))
            return drawing.picture_grid(
                list(self.pictures[layer][:most]), titles, columns, 1.1, _wrapped(heading, columns)
            )
        return self._rows(most)

    def _rows(self, most: int) -> Figure:
        from matplotlib.figure import Figure

        columns = max(min(most, len(units)) for units in self.units.values())
        figure = Figure(figsize=(1.1 * columns + 1.1, 1.3 * len(self.units) + 0.4), layout="constrained", dpi=110)
        heading = f"What maximises the units of {self.net.name}"
        figure.suptitle(drawing.printable(_wrapped(heading, columns + 1)), fontsize=9, parse_math=False)
        grid = figure.subplots(len(self.units), columns + 1, squeeze=False)
        for axes, (layer, units) in zip(grid, self.units.items(), strict=True):
            for axis in axes:
                axis.set_axis_off()
            said = f"{layer}\n{len(units)} unit{'s' if len(units) > 1 else ''}"
            axes[0].text(
                1, 0.5, drawing.printable(said), ha="right", va="center", fontsize=8, transform=axes[0].transAxes,
                parse_math=False,
            )  # fmt: skip
            for k, axis in zip(range(min(most, len(units))), axes[1:], strict=False):
                axis.imshow(self.pictures[layer][k], interpolation="nearest")
                axis.set_title(drawing.printable(self._title(layer, k)), fontsize=7, parse_math=False, pad=2)
        return figure

    def _title(self, layer: str, k: int) -> str:
        """A unit's name, and its response in units of M; a unit that does not respond to its picture is silent."""
        response = float(self.responses[layer][k])
        name = unit_name(self.net, self.net.layers[layer], self.units[layer][k])
        return f"{name}\n{'silent' if response <= 0 else f'{response:.2f} M'}"


def _wrapped(text: str, columns: int) -> str:
    import textwrap

    return textwrap.fill(text, max(16, int(15 * columns)))
