"""Necks: the layers through which everything flows that reaches a deeper layer."""

from __future__ import annotations

import weakref

import torch

from .layers import Layer
from .network import Network

_KNOWN: weakref.WeakKeyDictionary[Network, dict[str, list[Layer]]] = weakref.WeakKeyDictionary()


def bottleneck_layers(net: Network, layer: str) -> list[Layer]:
    """The layers that alone decide the code of `layer`, in the order of computation; it is the last one itself.

    The layers inside a block that branches are none, the block's output is one. Found in the graph of one pass with
    exact arithmetic, and kept as long as the network: a neck lies on all paths from the input to the layer.
    Raises LayerNotFound.
    """
    known = _KNOWN.setdefault(net, {})
    target = net.layers[layer]
    if target.name not in known:
        known[target.name] = _found(net, target)
    return known[target.name]


@torch.inference_mode(False)
def _found(net: Network, target: Layer) -> list[Layer]:
    before = list(net.layers)[: net.layers.depth(target) + 1]
    nodes: dict[str, object] = {}
    x = net.feed(torch.zeros(1, net.pixels.channels, *net.size, device=net.device)).requires_grad_()

    def note(name: str):
        def keep(code: torch.Tensor) -> torch.Tensor:
            nodes[name] = code.grad_fn
            return code

        return keep

    with torch.enable_grad():
        net.probe(*before)(x, {name: note(name) for name in before})
    on = on_all_paths(nodes[target.name])
    return [net.layers[name] for name in before if on.get(nodes[name])]


def on_all_paths(end) -> dict[object, bool]:
    """For each node of an autograd graph, whether all paths from `end` to the leaf pass it."""
    if end is None:
        return {}
    order, seen, stack = [], set(), [(end, False)]
    while stack:  # depth first, without recursion: a graph can be deep
        node, left = stack.pop()
        if left:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((below, False) for below, _ in node.next_functions if below is not None)
    down: dict[object, int] = {}
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
