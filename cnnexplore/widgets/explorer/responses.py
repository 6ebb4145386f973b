"""Responses: what the selected layer and the whole network answer to the selected image, in one task."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...network import Network, as_maps
from ..live.selection import Selection
from ..panels.predictions import Predicted, predicted

_CLASSES = 5


@dataclass(frozen=True, eq=False)
class Responses:
    """A layer's responses to an image, and the predictions for it.

    Attributes
    ----------
    net : Network
    layer : str
    values : ndarray
        (U,), the largest activation of each unit.
    maps : ndarray or None
        (U, h, w), the maps of a layer that has some.
    predictions : list of Predicted or None
        The likeliest classes; [] where the network has no class scores; None while they are not computed.
    """

    net: Network
    layer: str
    values: np.ndarray
    maps: np.ndarray | None
    predictions: list[Predicted] | None = None


def response_stream(selection: Selection) -> Iterator[Responses]:
    """The layer's responses, then those with the predictions.

    Parameters
    ----------
    selection : Selection
        Complete.
    """
    net = selection.net
    assert net is not None
    layer = net.layers[selection.layer]
    found = as_maps(net.activations(selection.image, layer.name), layer)[0].float().cpu().numpy()
    values, maps = found.max((1, 2)), found if layer.has_map else None
    yield Responses(net, layer.name, values, maps)
    yield Responses(net, layer.name, values, maps, predicted(net, selection.image, _CLASSES))
