"""What a unit does to the class scores: the scores of images while its activations are multiplied by a factor."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from ..errors import NetworkError
from ..network import Layer, Network, as_maps, from_maps
from ..network.precision import full_precision


class UnitEffect:
    """The class scores of some images as a function of a unit's strength.

    Parameters
    ----------
    net : Network
        The network.
    layer : Layer
        The unit's layer.
    x : torch.Tensor
        (N, C, H, W) images in the network's units.

    Raises
    ------
    NetworkError
        If the network does not end in one score per class.
    """

    def __init__(self, net: Network, layer: Layer, x: torch.Tensor):
        scores = net.scores
        if scores.has_map:
            raise NetworkError(f"{net.name} ends in a map, not in one score per class, so there is no effect to show.")
        self.net, self.layer, self._scores = net, layer, scores.name
        self._fed = net.feed(x)
        self._probe = net.probe(layer.name, scores.name)

    @full_precision()
    @torch.inference_mode(False)
    def scores(self, units: Sequence[int] = (), factor: float = 1.0) -> np.ndarray:
        """The class scores, (N, K).

        Parameters
        ----------
        units : sequence of int
            Units whose activations are multiplied.
        factor : float
            By what; 0 silences them. Tokens without a position stay as they are.

        Returns
        -------
        np.ndarray
            (N, K) float32.
        """
        replaced = {self.layer.name: partial(self._scaled, list(units), factor)} if len(units) else {}
        with torch.no_grad():
            found = self._probe(self._fed, replaced)[self._scores]
        return found.flatten(1).float().cpu().numpy()

    def _scaled(self, units: list[int], factor: float, activations: torch.Tensor) -> torch.Tensor:
        ours = torch.zeros_like(as_maps(activations, self.layer))
        ours[:, units] = 1
        return activations * (1 + (factor - 1) * from_maps(ours, self.layer, activations.shape[1:]))
