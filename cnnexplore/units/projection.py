"""The pattern in an image that excited a unit: its response sent back to the pixels."""

from __future__ import annotations

import torch

from ..network import Layer, Network, unit_gradient


def project(net: Network, layer: Layer, x: torch.Tensor, units, positions, rule: str = "deconvnet") -> torch.Tensor:
    """What a unit's response in each image is made of, by a backward rule: (N, C, H, W), in RGB where C is 3.

    x: (N, C, H, W); units: N channels; positions: N (row, column). All other units are set to zero before the way
    back. Source: Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, section 2.1.
    """
    slope = unit_gradient(net, layer.name, x, units, positions, rule=rule)
    return slope.flip(1) if net.pixels.order == "BGR" else slope
