"""Classifier head: the fully-connected layers that end a network, their input and the ReLUs between them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..errors import NetworkError
from ..network import Layer, Network
from ..network.backward import rectified
from ..network.bottleneck import DataFlow, Node, on_all_paths

# The functions that multiply by weights, with the position of their input among the arguments.
PRODUCTS = {"linear": 0, "conv2d": 0, "matmul": 0, "__matmul__": 0, "mm": 0, "addmm": 1}


@dataclass(frozen=True, eq=False)
class ClassifierHead:
    """The fully-connected layers that end a network (AlexNet: fc6, fc7 and fc8) and their input (pool5).

    Attributes
    ----------
    network : str
        The network's name.
    shape : tuple of int
        (C, h, w) of the input, or (C,) where it is no map.
    pool : Layer or None
        The layer that has this shape.
    product : int
        The number of the call that is the first fully-connected layer, among all products with weights of a pass.
    relus : tuple
        For each layer but the last: (the number of the call of the ReLU after it, its width), None without a ReLU.
    order : torch.Tensor
        (C * h * w,) the positions of the first layer's inputs in the flattened map.
    """

    network: str
    shape: tuple[int, ...]
    pool: Layer | None
    product: int
    relus: tuple[tuple[int, int] | None, ...]
    order: torch.Tensor = field(repr=False)

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of the input map. Raises NetworkError if the input is no map."""
        if len(self.shape) != 3 or max(self.shape[1:]) == 1:
            raise NetworkError(
                f"the first fully-connected layer of {self.network} takes {self.shape[0]} numbers, not a map, so "
                "there are no locations to choose from."
            )
        return self.shape[1:]

    def relu(self, name: str) -> tuple[int, int]:
        """The ReLU that a mask replaces, as (number of its call, width).

        Parameters
        ----------
        name : {"m7", "m6"}
            The mask: "m7" is that of the last ReLU before the class scores, "m6" that of the one before it.

        Raises
        ------
        NetworkError
            If the network has no such ReLU.
        """
        back = {"m7": 1, "m6": 2}[name]
        if len(self.relus) < back:
            raise NetworkError(
                f"{name} is the relu mask {'' if back == 1 else 'two '}before the class scores, and {self.network} has "
                f"only {len(self.relus) + 1} fully-connected layer{'s' * bool(self.relus)}; leave {name} out."
            )
        found = self.relus[-back]
        if found is None:
            raise NetworkError(
                f"{self.network} has no relu between its fully-connected layers where {name} would be; leave it out."
            )
        return found


_HEADS: weakref.WeakKeyDictionary[Network, ClassifierHead] = weakref.WeakKeyDictionary()


def classifier_head(net: Network) -> ClassifierHead:
    """The classifier head of a network, found in one pass and kept as long as the network.

    A convolution with a kernel that covers its whole input counts as fully connected.

    Raises
    ------
    NetworkError
        If the class scores do not come from a fully-connected layer.
    """
    if net not in _HEADS:
        _HEADS[net] = _find(net)
    return _HEADS[net]


def product_input(func: Callable, args: tuple, kwargs: dict) -> torch.Tensor | None:
    """The input of a product with weights, or None if the call is no such product."""
    place = PRODUCTS.get(getattr(func, "__name__", ""))
    if place is None:
        return None
    given = args[place] if len(args) > place else kwargs.get("input" if place == 0 else "mat1")
    return given if isinstance(given, torch.Tensor) else None


@dataclass(frozen=True)
class _Event:
    """A product or a ReLU of a pass: the number of its call, its time, the node of its result in the flow of data."""

    call: int
    time: int
    node: Node | None
    given: torch.Tensor
    made: torch.Tensor
    full: bool = False


class _Recorder(TorchFunctionMode):
    """Records all products and ReLUs of a pass, and the maps that it computes."""

    def __init__(self, flow: DataFlow) -> None:
        super().__init__()
        self._flow = flow
        self.products: list[_Event] = []
        self.relus: list[_Event] = []
        self.maps: list[tuple[int, torch.Tensor]] = []
        self.time = 0

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        given, cut = product_input(func, args, kwargs), rectified(func, args, kwargs)
        out = func(*args, **kwargs)
        if not isinstance(out, torch.Tensor):
            return out
        self.time += 1
        node = self._flow.node(out)
        if out.dim() == 4:
            self.maps.append((self.time, out))
        if given is not None:
            self.products.append(
                _Event(len(self.products), self.time, node, given, out, _is_full(func, given, out, args, kwargs))
            )
        elif cut is not None:
            self.relus.append(_Event(len(self.relus), self.time, node, cut[0], out))
        return out


def _is_full(func: Callable, given: torch.Tensor, made: torch.Tensor, args: tuple, kwargs: dict) -> bool:
    """Whether every output of a product depends on all of its input."""
    if func.__name__ != "conv2d":
        return given.dim() == made.dim() == 2
    weight = args[1] if len(args) > 1 else kwargs["weight"]
    return weight.shape[1:] == given.shape[1:] and made.shape[2:] == (1, 1)


@torch.inference_mode(False)
def _find(net: Network) -> ClassifierHead:
    scores = net.scores
    x = net.feed(
        torch.zeros(1, net.pixels.channels, *net.size, device=net.device, dtype=torch.float32)
    ).requires_grad_()
    probe, flow = net.probe(scores.name), DataFlow()
    read = _Recorder(flow)
    flow.enter(x)
    with torch.enable_grad(), flow, read:
        activation = probe(x.clone())[scores.name]  # some modules work in place on the input, which a leaf forbids
    end = flow.node(activation)
    on = {} if end is None else on_all_paths(end)
    ends: list[_Event] = []
    for one in reversed([one for one in read.products if one.node and on.get(one.node)]):
        if not one.full:
            break
        ends.insert(0, one)
    if not ends or ends[-1].made.shape[1] != activation.shape[1]:
        raise NetworkError(
            f"the class scores of {net.name} do not come from a fully-connected layer, which a pathway needs; "
            "expected a network that ends in such layers, as AlexNet and VGG do."
        )
    between = [
        [r for r in read.relus if r.node and on.get(r.node) and one.time < r.time < after.time]
        for one, after in pairwise(ends)
    ]
    relus = tuple((found[0].call, found[0].made.shape[1]) if found else None for found in between)
    shape, order = _input_map(ends[0], read.maps)
    pool = [layer for layer in net.layers.values() if (layer.channels, *layer.size) == shape]
    return ClassifierHead(net.name, shape, pool[-1] if pool else None, ends[0].call, relus, order)


def _input_map(first: _Event, maps: list[tuple[int, torch.Tensor]]) -> tuple[tuple[int, ...], torch.Tensor]:
    """The shape of the earliest map that holds the first layer's input in another order, and that order."""
    count = first.given.numel()
    numbers = torch.arange(count, device=first.given.device)
    for time, one in maps:
        if time < first.time and one.numel() == count and one.requires_grad:
            digits = []
            for part in (numbers // 256, numbers % 256):  # each exact in any number type
                slope = part.to(first.given.dtype).view_as(first.given)
                (back,) = torch.autograd.grad(first.given, one, slope, retain_graph=True, allow_unused=True)
                digits.append(None if back is None else back.flatten().round().long())
            if None in digits:
                continue
            order = digits[0] * 256 + digits[1]
            if torch.equal(order.sort().values, numbers):
                return tuple(one.shape[1:]), order.cpu()
    return (count,), numbers.cpu()
