"""The filters of a convolution as pictures: in colour at the first layer, a tile per input channel at deeper ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .. import drawing
from ..arguments import checked, optional, whole
from ..errors import LayerError, SettingError, brief_value
from ..network import Layer, Network, resolve_unit, resolve_units
from ..network.arguments import layer_name, network
from ..network.graph import Operation
from ..results import Result, unit_to_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COPIES = ("_to_copy", "clone", "contiguous", "alias", "detach")
_KEEP_CHANNELS = (
    *_COPIES, "constant_pad_nd", "reflection_pad2d", "replication_pad2d", "add", "sub", "mul", "div", "clamp",
    "native_batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm", "upsample_nearest2d",
    "upsample_bilinear2d", "_upsample_bilinear2d_aa", "upsample_bicubic2d", "_upsample_bicubic2d_aa", "avg_pool2d",
    "new_empty", "slice", "copy", "assembled",  # circular padding copies parts of the image
    "input",
)  # fmt: skip
_PAPER = 150  # grey between the tiles of deeper filters, none of the colours of a weight


@dataclass(frozen=True, eq=False)
class Filters(Result):
    """The filters of a convolution.

    Attributes
    ----------
    weights : np.ndarray
        (U, C, h, w), as the forward pass applies them; C the input channels of the filter's group, in RGB order where
        they are colours.
    units : list of int
        The U units.
    layer : Layer
        The convolution.
    of_pixels : bool
        Whether the C input channels are the image's.
    net : Network
        The network.
    python : str
        The call that makes this result again.
    """

    weights: np.ndarray = field(repr=False)
    units: list[int] = field(repr=False)
    layer: Layer
    of_pixels: bool
    net: Network = field(repr=False)
    python: str = field(default="", repr=False)

    def pictures(self) -> np.ndarray:
        """The filters in colour, (U, h, w, 3) uint8; zero in middle grey, each to its own range.

        Raises
        ------
        LayerError
            If the filters are not of pixels.
        """
        if not self.of_pixels:
            raise LayerError(f"{self.layer.name} filters maps, not colours; use tiles(unit), a picture per channel.")
        return drawing.signed_picture(self.weights)

    def tiles(self, unit: int | str) -> np.ndarray:
        """One unit's weights on each of its input channels, (C, h, w, 3) uint8; purple below zero, orange above.

        Parameters
        ----------
        unit : int or str
            One of `units`, or its class label.

        Raises
        ------
        SettingError
            If the unit is none of `units`.
        """
        number = resolve_unit(self.net, self.layer, unit)
        if number not in self.units:
            raise SettingError(
                f"unit {brief_value(unit)} is none of the {len(self.units)} units here; name one of them."
            )
        weights = self.weights[self.units.index(number)]
        most = float(np.abs(weights).max()) or 1.0
        return drawing.heat(weights, signed=True, span=(-most, most))

    @checked(
        columns=whole(1, 1000, "how many filters in a row"),
        units=whole(1, 1000, "how many units"),
        channels=whole(1, 1000, "how many channels"),
    )
    def mosaic(self, columns: int = 16, units: int = 16, channels: int = 32) -> np.ndarray:
        """All filters in one picture, (H, W, 3) uint8, without titles.

        Parameters
        ----------
        columns : int
            Filters of pixels: how many in a row.
        units, channels : int
            Deeper filters: how many of the first units, each a row, and how many of their first input channels.
        """
        if self.of_pixels:
            return drawing.tiles(self.pictures(), columns)
        shown = min(channels, self.weights.shape[1])
        rows = [drawing.tiles(self.tiles(unit)[:shown], shown, background=_PAPER) for unit in self.units[:units]]
        return drawing.tiles(np.stack(rows), 1, background=_PAPER)

    def plot(self) -> Figure:
        """A matplotlib figure of `mosaic`."""
        k, c, h, w = self.weights.shape
        picture = self.mosaic()
        inches = min(8.0, max(3.0, picture.shape[1] / 30))
        title = f"{self.layer.name}: {k} x {c} x {h} x {w}"
        if not self.of_pixels:
            title += f"; a row is a unit, a column an input channel ({min(16, k)} of {k}, {min(32, c)} of {c})"
        figure = drawing.picture_grid([picture], [title], 1, inches)
        figure.set_size_inches(inches, inches * picture.shape[0] / picture.shape[1] + 0.3)
        return figure


@checked(net=network, layer=optional(layer_name))
def filters(net: Network, layer: str | None = None, unit: object = None) -> Filters:
    """The filters of a convolution: the weights that its forward pass applies.

    They are read from a pass, so that filters which a module computes from its parameters (weight or spectral
    normalisation, pruning, weight standardisation) are shown as they are applied.

    Parameters
    ----------
    net : Network
        The network.
    layer : str, optional
        The convolution's name. Default: the first one.
    unit : int, str, list, integer array or None
        The units: numbers, class labels where the layer's units are classes, or None (default) for all.

    Returns
    -------
    Filters
        The weights, (U, C, h, w), with their picture.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer is no two-dimensional convolution, its filters depend on the image, or the network has none.
    SettingError
        If the layer has no such unit.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> found = cx.filters(cx.load("worldnet"))
    >>> found.weights.shape == (found.layer.channels, 3, *found.weights.shape[2:])
    True
    """
    operations = net.operations()
    names = layers_with_convolutions(operations)
    if layer is None:
        if not names:
            raise LayerError(f"{net.name} has no convolution whose filters could be shown.")
        layer = names[0]
    where = net.layers[layer]
    found = convolution_of(operations[where.name])
    if found is None:
        known = ", ".join(names) or "none of the layers"
        raise LayerError(f"{where.name} is no two-dimensional convolution; filters are at {known}.")
    kernel = found.args[1]
    if isinstance(kernel, Operation):
        raise LayerError(f"the filters of {where.name} are computed from the image, so that there are none to show.")
    units = resolve_units(net, where, unit)
    weights = kernel.detach()[units].float().cpu().numpy()
    of_pixels = weights.shape[1] == net.pixels.channels and _takes_pixels(found.inputs[0])
    if of_pixels and net.pixels.order == "BGR":
        weights = weights[:, ::-1].copy()
    chosen = "" if unit is None else f", {unit_to_python(unit, units)}"
    return Filters(weights, units, where, of_pixels, net, f"cx.filters({net.to_python()}, {where.name!r}{chosen})")


def convolution_of(operation: Operation) -> Operation | None:
    """The two-dimensional convolution that computes a result, but for a bias that is added to it; None for others."""
    while operation.name in ("add", *_COPIES) and len(operation.inputs) == 1:
        operation = operation.inputs[0]
    is_convolution = operation.name in ("convolution", "_convolution") and not operation.args[6]  # 6: transposed
    return operation if is_convolution and len(operation.args[1].shape) == 4 else None


def layers_with_convolutions(operations: Mapping[str, Operation]) -> list[str]:
    """The names of the layers whose results are convolutions with filters of their own; each convolution once.

    operations: by layer name, as `Network.operations` gives them.
    """
    names: dict[int, str] = {}
    for name, operation in operations.items():
        found = convolution_of(operation)
        if found is not None and not isinstance(found.args[1], Operation):
            names.setdefault(found.index, name)
    return list(names.values())


def _takes_pixels(operation: Operation) -> bool:
    """Whether the channels of a result are those of the image, padded, resized or scaled at most."""
    return all(
        one.name in _KEEP_CHANNELS and len(one.shape) == 4 and one.shape[1] == operation.shape[1]
        for one in operation.ancestors()
    )
