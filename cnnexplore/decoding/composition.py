"""Composition: a unit as a weighted sum of units of the layer below (decoding2015, supplement, figure 6)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from ..network import Network
from ..network.graph import PRODUCTS, Operation
from ..network.precision import full_precision
from .decoder import Decoder
from .patch import maps_of_patch
from .substitution import descend


@dataclass(frozen=True, eq=False)
class Composition:
    """What is substituted for a unit in a layer below it.

    Attributes
    ----------
    layer : str
        The name of the layer below.
    weights : np.ndarray
        (K, h, w), a map of weights for each of the K units of that layer.
    """

    layer: str
    weights: np.ndarray = field(repr=False)

    def strongest(self, k: int | None = None) -> list[tuple[int, float]]:
        """The units with the largest weights.

        Parameters
        ----------
        k : int, optional
            How many; default: all with a weight other than 0.

        Returns
        -------
        list of (int, float)
            (unit, weight): the weight of largest magnitude at any position, with its sign; largest first.
        """
        flat = self.weights.reshape(len(self.weights), -1)
        peak = flat[np.arange(len(flat)), np.abs(flat).argmax(1)]
        order = np.argsort(-np.abs(peak), kind="stable")[:k]
        return [(int(unit), float(peak[unit])) for unit in order if peak[unit] != 0]


def composition(net: Network, layer: str, unit: int | str, *, unpool: str = "bilinear") -> list[Composition]:
    """Find what a unit is composed of in the nearest layers with weights below it.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer's name.
    unit : int or str
        The unit: a number, or a class label where the layer is the class scores.
    unpool : {"bilinear", "nearest", "bicubic"}
        How a map is carried up through a pooling.

    Returns
    -------
    list of Composition
        One, or several where branches meet; none for a layer that is computed from the image itself.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer cannot be decoded.
    SettingError
        If the layer has no such unit, or `unpool` is unknown.

    References
    ----------
    Rafegas and Vanrell, Understanding learned CNN features through filter decoding with substitution, 2015, supplement.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.decoding import composition
    >>> (below,) = composition(cx.load("lenet-smooth"), "conv3", 5)
    >>> below.layer, below.weights.shape[0], len(below.strongest(3))
    ('conv2', 50, 3)
    """
    decoder = Decoder(net, layer, unit, unpool)
    wanted = _next_weighted(decoder.operation)
    names = {operation.index: name for name, operation in reversed(net.operations().items())}
    found = []
    with full_precision(), torch.no_grad():
        for operation, patch in descend(decoder.operation, decoder.start(decoder.units), unpool, layer):
            if operation.index in wanted:
                wanted.remove(operation.index)
                if operation.index in names:
                    below = net.layers[names[operation.index]]
                    plain = operation.shape == (1, below.channels, *below.size) and below.layout.axes == (1, 2)
                    maps = patch.values if plain else maps_of_patch(patch, below, operation.shape)
                    found.append(Composition(below.name, maps[0].float().cpu().numpy()))
            if not wanted:
                break
    return found


def _next_weighted(top: Operation) -> set[int]:
    """The operations with weights that have exactly one operation with weights above them, on the shortest path."""
    passed = {top.index: 0}
    wanted = set()
    for operation in top.ancestors():
        weighted = operation.name in PRODUCTS
        if weighted and passed[operation.index] == 1:
            wanted.add(operation.index)
        for source in operation.inputs:
            counts = (passed.get(source.index, 2), passed[operation.index] + weighted)
            passed[source.index] = min(counts)
    return wanted
