"""Head: the fully-connected layers that end a network, what feeds them and the rectifiers between them."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch.overrides import TorchFunctionMode

from ..errors import NetworkError
from .backward import rectified
from .bottleneck import paths
from .layers import Layer
from .network import Network

PRODUCTS = {"linear": 0, "conv2d": 0, "matmul": 0, "__matmul__": 0, "mm": 0, "addmm": 1}  # which argument is the input


@dataclass(frozen=True, eq=False)
class Head:
    """The fully-connected layers that end a network, in AlexNet fc6, fc7 and fc8, and what feeds them, pool5.

    shape: of pool5, (C, h, w), or (C,) where there is no map. pool: the layer of that shape, or None. product: which
    call of a product is the first of them. gates: for each but the last, (which call of a rectifier follows, its
    width), or None where none does. order: where each number of pool5 lies in what the first one is given.
    """

    network: str
    shape: tuple[int, ...]
    pool: Layer | None
    product: int
    gates: tuple[tuple[int, int] | None, ...]
    order: torch.Tensor = field(repr=False)

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of pool5. Raises NetworkError if it is no map."""
        if len(self.shape) != 3 or max(self.shape[1:]) == 1:
            raise NetworkError(
                f"the first fully-connected layer of {self.network} is given {self.shape[0]} numbers, not a map, so "
                "there are no locations to choose from."
            )
        return self.shape[1:]

    def gate(self, name: str) -> tuple[int, int]:
        """(which call, width) of the rectifier before the class scores, "m7", or of the one before that, "m6".

        Raises NetworkError if there is none.
        """
        back = {"m7": 1, "m6": 2}[name]
        if len(self.gates) < back:
            raise NetworkError(
                f"{name} is the relu mask {'' if back == 1 else 'two '}before the class scores, and {self.network} has "
                f"only {len(self.gates) + 1} fully-connected layer{'s' * bool(self.gates)}; leave {name} out."
            )
        found = self.gates[-back]
        if found is None:
            raise NetworkError(
                f"{self.network} has no relu between its fully-connected layers where {name} would be; leave it out."
            )
        return found


_HEADS: weakref.WeakKeyDictionary[Network, Head] = weakref.WeakKeyDictionary()


def head_of(net: Network) -> Head:
    """The fully-connected end of a network, found in one pass and kept as long as the network.

    A convolution that sees its whole input at once counts as fully connected. Raises NetworkError if the class scores
    do not come from such a layer.
    """
    if net not in _HEADS:
        _HEADS[net] = _found(net)
    return _HEADS[net]


def input_of(func, args: tuple, kwargs: dict) -> torch.Tensor | None:
    """What a product with weights is given, or None if the call is none."""
    place = PRODUCTS.get(getattr(func, "__name__", ""))
    if place is None:
        return None
    given = args[place] if len(args) > place else kwargs.get("input" if place == 0 else "mat1")
    return given if isinstance(given, torch.Tensor) else None


@dataclass(frozen=True)
class _Event:
    """A product or rectifier of the pass: which call of its kind, when, its result's node."""

    call: int
    time: int
    node: object
    given: torch.Tensor
    made: torch.Tensor
    full: bool = False


class _Reading(TorchFunctionMode):
    """Notes all products and rectifiers of a pass, and the maps that it makes."""

    def __init__(self):
        super().__init__()
        self.products: list[_Event] = []
        self.rectifiers: list[_Event] = []
        self.maps: list[tuple[int, torch.Tensor]] = []
        self.time = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given, cut = input_of(func, args, kwargs), rectified(func, args, kwargs)
        out = func(*args, **kwargs)
        if not isinstance(out, torch.Tensor):
            return out
        self.time += 1
        if out.dim() == 4:
            self.maps.append((self.time, out))
        if given is not None:
            self.products.append(
                _Event(len(self.products), self.time, out.grad_fn, given, out, _whole(func, given, out, args, kwargs))
            )
        elif cut is not None:
            self.rectifiers.append(_Event(len(self.rectifiers), self.time, out.grad_fn, cut[0], out))
        return out


def _whole(func, given: torch.Tensor, made: torch.Tensor, args: tuple, kwargs: dict) -> bool:
    """Whether every result of a product depends on all that it is given."""
    if func.__name__ != "conv2d":
        return given.dim() == made.dim() == 2
    weight = args[1] if len(args) > 1 else kwargs["weight"]
    return weight.shape[1:] == given.shape[1:] and made.shape[2:] == (1, 1)


@torch.inference_mode(False)
def _found(net: Network) -> Head:
    scores = net.scores
    x = net.feed(torch.zeros(1, net.pixels.channels, *net.size, device=net.device)).requires_grad_()
    probe, read = net.probe(scores.name), _Reading()
    with torch.enable_grad(), read:
        code = probe(x.clone())[scores.name]  # a module may work in place on its input, which a leaf does not allow
    on = paths(code.grad_fn)
    ends: list[_Event] = []
    for one in reversed([one for one in read.products if on.get(one.node)]):
        if not one.full:
            break
        ends.insert(0, one)
    if not ends or ends[-1].made.shape[1] != code.shape[1]:
        raise NetworkError(
            f"the class scores of {net.name} do not come from a fully-connected layer, which a pathway goes through; "
            "expected a network that ends in such layers, as AlexNet and VGG do."
        )
    between = [
        [r for r in read.rectifiers if on.get(r.node) and one.time < r.time < after.time]
        for one, after in pairwise(ends)
    ]
    gates = tuple((found[0].call, found[0].made.shape[1]) if found else None for found in between)
    shape, order = _pooled(ends[0], read.maps)
    pool = [layer for layer in net.layers.values() if (layer.channels, *layer.size) == shape]
    return Head(net.name, shape, pool[-1] if pool else None, ends[0].call, gates, order)


def _pooled(first: _Event, maps: list[tuple[int, torch.Tensor]]) -> tuple[tuple[int, ...], torch.Tensor]:
    """The shape of the earliest map that the first layer is given in another order only, and that order."""
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
