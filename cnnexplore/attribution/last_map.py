"""The last map through which a response depends on positions, and the derivative of the response with respect to it."""

from __future__ import annotations

import torch

from ..errors import LayerError
from ..network import Layer, as_maps, derivative, last_map_layer, layers_behind, pass_with_gradient
from ..network.graph import Operation
from ..network.precision import full_precision
from ..network.probe import Replacement
from .target import Target


@full_precision()
def layer_gradient(target: Target, layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    """A layer's activations and the derivative of each image's response with respect to them, both (N, C, h, w)."""
    return _held(target, [layer])[0]


def last_map(target: Target, what: str) -> tuple[Layer, torch.Tensor, torch.Tensor]:
    """The deepest layer with a map through which the response depends on positions, with what `layer_gradient` gives.

    The last layers of a transformer that reads its class token are none: there only the token counts. Where several
    maps meet in the response, as those of two branches, it is the last layer that leads to all of them.
    """
    net, end = target.net, target.layer
    last_map_layer(net, end, what)  # says that there is none
    behind = [layer for layer in layers_behind(net, end) if layer.has_map]
    for layer in reversed(behind):
        activations, slope = layer_gradient(target, layer)
        if bool(slope.any()) or layer.numbers == layer.channels * layer.size[0] * layer.size[1]:
            common = _common(target, layer, behind, what)
            return (layer, activations, slope) if common is layer else (common, *layer_gradient(target, common))
    raise LayerError(
        f"{end.name} of {net.name} does not depend on the positions of any layer, only on tokens that "
        f"have none, so there is nothing to show for {what}; name a layer with at=, or take another method."
    )


def _held(target: Target, layers: list[Layer]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """The activations of layers, and the derivative of the responses with respect to each while the others stay."""
    kept: dict[str, torch.Tensor] = {}

    def hold(name: str) -> Replacement:
        def replace(activations: torch.Tensor) -> torch.Tensor:
            kept[name] = activations.detach().requires_grad_()
            return kept[name].clone()  # what follows may work in place

        return replace

    net, end = target.net, target.layer.name
    names = [layer.name for layer in layers]
    found = pass_with_gradient(
        net, net.probe(*names, end), net.feed(target.x), end, {name: hold(name) for name in names}, what=names[-1]
    )
    if target.scores is None:
        target.resolve(found[end])
    with torch.enable_grad():
        number = target.response(found[end]).sum()
    slopes: tuple[torch.Tensor, ...]
    if len(names) == 1:
        slopes = (derivative(net, end, number, kept[names[0]], what=names[0]),)
    else:
        slopes = torch.autograd.grad(number, list(kept.values()), materialize_grads=True)
    rows = {name: as_maps(slope, net.layers[name]) for name, slope in zip(kept, slopes, strict=True)}
    return [(as_maps(kept[layer.name].detach(), layer), rows[layer.name]) for layer in layers]


def _common(target: Target, last: Layer, behind: list[Layer], what: str) -> Layer:
    """The last layer that leads to every map which the response depends on directly; `last` if that is the only one."""
    net = target.net
    around = _around(net.operations(), target.layer, last, behind)
    if not around:
        return last
    before = behind[: behind.index(last) + 1]
    several = [layer for layer in before if layer is last or layer.layout.image is not None]
    slopes = _held(target, several)
    direct = [layer for layer, (_, slope) in zip(several, slopes, strict=True) if bool(slope.any())]
    if len(direct) < 2:
        return last
    for layer in reversed(before[: before.index(direct[0]) + 1]):
        if all(one is layer or layer in layers_behind(net, one) for one in direct):
            return layer
    names = ", ".join(layer.name for layer in direct)
    raise LayerError(
        f"{target.layer.name} of {net.name} is computed from several maps, those of {names}, and no layer leads to all "
        f"of them, so {what} would leave some out; name a layer with at=, or take another method."
    )


def _around(operations: dict[str, Operation], end: Layer, last: Layer, behind: list[Layer]) -> list[Layer]:
    """The other layers on which the end depends also without the last one."""
    closed = operations[last.name].index
    seen, waiting = {closed}, [operations[end.name]]
    while waiting:
        for one in waiting.pop().inputs:
            if one.index not in seen:
                seen.add(one.index)
                waiting.append(one)
    return [layer for layer in behind if layer is not last and operations[layer.name].index in seen - {closed}]
