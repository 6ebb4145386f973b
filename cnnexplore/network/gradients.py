"""Gradients with respect to the image x, in 0..255 units: of units of a layer, or of any number computed from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from .backward import backward_rule
from .gradient_flow import derivative, pass_with_gradient
from .network import Network
from .precision import full_precision
from .probe import Probe
from .rectifiers import bend_rectifiers
from .upsample import as_maps


@full_precision()
@torch.inference_mode(False)
def input_gradient(
    net: Network,
    layer: str,
    x: torch.Tensor,
    response: Callable[[torch.Tensor], torch.Tensor],
    *,
    rule: str = "gradient",
    probe: Probe | None = None,
) -> torch.Tensor:
    """The derivative of a number computed from a layer's activations, with respect to x.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer's name.
    x : torch.Tensor
        (N, C, H, W) images in the units of `Network.pixels_of`.
    response : callable
        Maps the layer's activations, as the module computes them, to one number per image, (N,), or to a single one.
    rule : str
        The backward rule of rectifiers, one of `RULES`; the default is the derivative itself.
    probe : Probe, optional
        A probe of the layer, where one is at hand already; making one copies the module's structure.

    Returns
    -------
    torch.Tensor
        (N, C, H, W), per unit of x: the division by the pixel std that precedes the module is part of the derivative.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    SettingError
        For an unknown rule.
    LayerError
        If no gradient flows from the layer to the image, or the rule has no rectifier to act on.
    """
    name = net.layers[layer].name
    fed = net.feed(x).requires_grad_()
    found = pass_with_gradient(net, probe or net.probe(name), fed, name, context=lambda: backward_rule(rule))
    if rule != "gradient":
        bend_rectifiers(net, name, rule, found[name])
    with torch.enable_grad():
        number = response(found[name]).sum()
    return net.pixels.feed(derivative(net, name, number, fed))


def unit_gradient(
    net: Network,
    layer: str,
    x: torch.Tensor,
    units: Sequence[int] | None = None,
    positions: Sequence[tuple[int, int]] | None = None,
    *,
    rule: str = "gradient",
) -> torch.Tensor:
    """The derivative of one unit's activation in each image, with respect to the image.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer's name.
    x : torch.Tensor
        (N, C, H, W) images in the units of `Network.pixels_of`.
    units : sequence of int, optional
        N units, one per image; by default the unit with the largest activation in each image.
    positions : sequence of (int, int), optional
        N positions (row, column) on the layer's map; by default the place of the unit's largest activation.
    rule : str
        The backward rule of rectifiers, one of `RULES`; the default is the derivative itself.

    Returns
    -------
    torch.Tensor
        (N, C, H, W), per unit of x: the division by the pixel std that precedes the module is part of the derivative.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    SettingError
        For an unknown rule.
    LayerError
        If no gradient flows from the layer to the image, or the rule has no rectifier to act on.
    """
    where = net.layers[layer]

    def response(activations: torch.Tensor) -> torch.Tensor:
        maps = as_maps(activations, where)
        width = maps.shape[3]
        flat = maps.flatten(2)
        each = torch.arange(len(flat), device=flat.device)
        known = flat.detach()
        unit = known.amax(2).argmax(1) if units is None else torch.tensor(units, device=flat.device)
        if positions is None:
            place = known[each, unit].argmax(1)
        else:
            place = torch.tensor([row * width + column for row, column in positions], device=flat.device)
        return flat[each, unit, place]

    return input_gradient(net, where.name, x, response, rule=rule)
