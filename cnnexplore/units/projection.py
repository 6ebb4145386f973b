"""The pattern in an image that excited a unit: its response sent back to the pixels."""

from __future__ import annotations

import torch

from ..network import Layer, Network, backward_rule, code_maps


@torch.inference_mode(False)
def project(net: Network, layer: Layer, x: torch.Tensor, units, positions, rule: str = "deconvnet") -> torch.Tensor:
    """What a unit's response in each image is made of, by a backward rule: (N, C, H, W), in RGB where C is 3.

    x: (N, C, H, W); units: N channels; positions: N (row, column). All other units are set to zero before the way
    back. Source: Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, section 2.1.
    """
    fed = net.feed(x).requires_grad_()
    with torch.enable_grad():
        with backward_rule(rule):
            code = code_maps(net.probe(layer.name)(fed)[layer.name], layer)
        score = sum(code[n, u, r, c] for n, (u, (r, c)) in enumerate(zip(units, positions, strict=True)))
        (slope,) = torch.autograd.grad(score, fed)
    return slope.flip(1) if net.pixels.order == "BGR" else slope
