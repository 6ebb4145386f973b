"""Bottleneck layers: those on every path from the input to a deeper layer."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from .dispatch_mode import DispatchMode
from .layers import Layer
from .network import Network
from .storage import storage_of

_KNOWN: weakref.WeakKeyDictionary[Network, dict[str, list[Layer]]] = weakref.WeakKeyDictionary()


def bottleneck_layers(net: Network, layer: str) -> list[Layer]:
    """The layers on every path from the input to a layer: each alone determines the layer's activations.

    The output of a block that branches is one, the layers inside it are not. Nor is a layer that hands on the tensor
    that it is given (`nn.Identity`, dropout) where the module also uses that tensor directly. Found in one pass, by
    counting paths in whole numbers, and cached with the network.

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
    before = [
        layer.name
        for layer in list(net.layers.values())[: net.layers.depth(target) + 1]
        if layer.layout.image is not None or layer is target  # others have no activations of one image
    ]
    nodes: dict[str, Node] = {}
    x = net.feed(torch.zeros(1, net.pixels.channels, *net.size, device=net.device))
    flow = DataFlow()
    flow.enter(x)

    def copied(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
        def copy(activations: torch.Tensor) -> torch.Tensor:
            # A copy has a node of its own, which is on those paths only that a replacement of the layer would affect:
            # not on those of a tensor that the layer handed on, or changed in place, and that is used elsewhere too.
            out = activations.clone()
            if (node := flow.node(out)) is not None:
                nodes[name] = node
            return out

        return copy

    probe = net.probe(*before)
    with torch.no_grad(), flow:
        probe(x, {name: copied(name) for name in before})
    on = on_all_paths(nodes[target.name]) if target.name in nodes else {}
    return [net.layers[name] for name in before if name in nodes and on.get(nodes[name])]


class Node:
    """What one operation computed in a pass.

    Attributes
    ----------
    inputs : tuple of Node
        What it was computed from; empty for the input of the pass.
    """

    __slots__ = ("inputs",)

    def __init__(self, inputs: Sequence[Node] = ()):
        self.inputs = tuple(inputs)


class DataFlow(DispatchMode):
    """Records which results of a pass are computed from which others, also where no gradient flows.

    Memory is what has a node, not the tensor: a view reads all of it, and what is written in place, also through a
    view, is read by whatever shares the memory. A dependence may thus be recorded that is none, but none is missed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._nodes: dict[Hashable, Node] = {}
        self._alive: list[torch.Tensor] = []  # an address is not used again while its memory is held

    def enter(self, x: torch.Tensor) -> None:
        """Record the input of the pass.

        Parameters
        ----------
        x : torch.Tensor
            The input.
        """
        self._set(x, Node())

    def node(self, tensor: torch.Tensor) -> Node | None:
        """What a tensor holds now; None if it does not depend on the input.

        Parameters
        ----------
        tensor : torch.Tensor
            A tensor of the pass.
        """
        return self._nodes.get(_memory(tensor))

    def _set(self, tensor: torch.Tensor, node: Node) -> None:
        self._nodes[_memory(tensor)] = node
        self._alive.append(tensor)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        kwargs = kwargs or {}
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        inputs = list(dict.fromkeys(node for one in given if (node := self.node(one)) is not None))
        out = func(*args, **kwargs)
        if not inputs:
            return out
        own = {_memory(one) for one in given}
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        # A result that shares memory with an argument is a view of it, or the argument itself; only writing changes it.
        new = [one for one in made if _memory(one) not in own] + _written(func, args, kwargs)
        if new:
            node = Node(inputs)
            for one in new:
                self._set(one, node)
        return out


def _memory(tensor: torch.Tensor) -> Hashable:
    found = storage_of(tensor)
    return ("tensor", id(tensor)) if found is None else found


def _written(func: Any, args: tuple, kwargs: dict[str, Any]) -> list[torch.Tensor]:
    """The arguments that an operation writes into."""
    found: list[Any] = []
    schema = getattr(func, "_schema", None)  # operators of higher order have none
    for k, argument in enumerate(schema.arguments if schema else ()):
        if argument.alias_info is not None and argument.alias_info.is_write:
            found += tree_leaves(args[k] if k < len(args) else kwargs.get(argument.name))
    return [one for one in found if isinstance(one, torch.Tensor)]


def on_all_paths(end: Node) -> dict[Node, bool]:
    """For each node that a result was computed from, whether every path from the result to the input contains it.

    Parameters
    ----------
    end : Node
        That of the result.

    Returns
    -------
    dict
        By node.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(end, False)]
    while stack:  # depth first, without recursion: a graph can be deep
        node, left = stack.pop()
        if left:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((below, False) for below in node.inputs)
    down: dict[Node, int] = {}
    for node in order:
        down[node] = sum(down[below] for below in node.inputs) if node.inputs else 1
    up = dict.fromkeys(order, 0)
    up[end] = 1
    for node in reversed(order):
        for below in node.inputs:
            up[below] += up[node]
    return {node: up[node] * down[node] == down[end] for node in order}
