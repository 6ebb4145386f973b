"""Bottleneck layers: those on every path from the input to a deeper layer."""

from __future__ import annotations

import weakref
from typing import Any

import torch

from .layers import Layer
from .network import Network
from .probe import Replacement

_KNOWN: weakref.WeakKeyDictionary[Network, dict[str, list[Layer]]] = weakref.WeakKeyDictionary()


def bottleneck_layers(net: Network, layer: str) -> list[Layer]:
    """The layers on every path from the input to a layer: each alone determines the layer's activations.

    The output of a block that branches is one, the layers inside it are not. Found in the autograd graph of one pass,
    by counting paths in whole numbers, and cached with the network.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        A layer's name.

    Returns
    -------
    list of Layer
        In the order of computation; the last one is the layer itself.

    Raises
    ------
    LayerNotFound
        If there is no such layer.
    """
    known = _KNOWN.setdefault(net, {})
    target = net.layers[layer]
    if target.name not in known:
        known[target.name] = _found(net, target)
    return known[target.name]


@torch.inference_mode(False)
def _found(net: Network, target: Layer) -> list[Layer]:
    before = list(net.layers)[: net.layers.depth(target) + 1]
    nodes: dict[str, Any] = {}
    x = net.feed(torch.zeros(1, net.pixels.channels, *net.size, device=net.device)).requires_grad_()

    def note(name: str) -> Replacement:
        def keep(activations: torch.Tensor) -> torch.Tensor:
            nodes[name] = activations.grad_fn
            return activations

        return keep

    with torch.enable_grad():
        net.probe(*before)(x, {name: note(name) for name in before})
    on = on_all_paths(nodes[target.name])
    return [net.layers[name] for name in before if on.get(nodes[name])]


def on_all_paths(end: Any) -> dict[Any, bool]:
    """For each node of an autograd graph, whether every path from `end` to the leaf contains it.

    Parameters
    ----------
    end : autograd node or None
        The node of the result.

    Returns
    -------
    dict
        By node.
    """
    if end is None:
        return {}
    order: list[Any] = []
    seen: set[Any] = set()
    stack = [(end, False)]
    while stack:  # depth first, without recursion: a graph can be deep
        node, left = stack.pop()
        if left:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((below, False) for below, _ in node.next_functions if below is not None)
    down: dict[Any, int] = {}
    for node in order:
        below = [n for n, _ in node.next_functions if n is not None]
        down[node] = sum(down[n] for n in below) if below else 1
    up = dict.fromkeys(order, 0)
    up[end] = 1
    for node in reversed(order):
        for n, _ in node.next_functions:
            if n is not None:
                up[n] += up[node]
    return {node: up[node] * down[node] == down[end] for node in order}
