"""Passes through a pathway: fixed masks in the place of the rectifiers' own (intraclass2015, equation 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.overrides import TorchFunctionMode

from ..errors import LayerError
from .backward import rectified
from .head import PRODUCTS, Head, head_of, input_of
from .network import Network


@dataclass(frozen=True, eq=False)
class Masks:
    """What passes, for one image: m5 of pool5's shape, m6 and m7 as wide as their relus; None: what passes of itself.

    All are boolean tensors. relu: whether the relus stay in force, so that a mask can only close.
    """

    m5: torch.Tensor | None = None
    m6: torch.Tensor | None = None
    m7: torch.Tensor | None = None
    relu: bool = False

    @property
    def names(self) -> set[str]:
        """The masks that are given."""
        return {name for name in ("m5", "m6", "m7") if getattr(self, name) is not None}


class Through(TorchFunctionMode):
    """A context in which a forward pass goes through masks: y = m x in the place of a relu, and m5 x before fc6.

    masks: one, or as many as there are images. Only the forward pass must run inside; functions are swapped, no module
    gets a hook. `reached`: the masks that the pass came by.
    """

    def __init__(self, head: Head, masks: Sequence[Masks], device: torch.device):
        super().__init__()
        self.product, self.reached = head.product, set()
        self._products = self._rectifiers = -1
        self._relu = torch.tensor([m.relu for m in masks], device=device)
        self._m5, self._gates = None, {}
        names = set().union(*(m.names for m in masks))
        if "m5" in names:
            pool = torch.stack([torch.ones(head.shape) if m.m5 is None else m.m5.float() for m in masks]).flatten(1)
            self._m5 = torch.empty_like(pool).index_copy_(1, head.order, pool).to(device)
        for name in names - {"m5"}:
            call, width = head.gate(name)
            given = [getattr(m, name) for m in masks]
            mask = torch.stack([torch.ones(width, dtype=torch.bool) if m is None else m for m in given])
            self._gates[call] = name, mask.to(device), torch.tensor([m is None for m in given], device=device)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if (given := input_of(func, args, kwargs)) is not None:
            self._products += 1
            if self._products == self.product and self._m5 is not None:
                self.reached.add("m5")
                given = given * self._m5.to(given.dtype).view(-1, *given.shape[1:])
                place = PRODUCTS[func.__name__]
                if len(args) > place:
                    args = (*args[:place], given, *args[place + 1 :])
                else:
                    kwargs = {**kwargs, "input" if place == 0 else "mat1": given}
        elif (cut := rectified(func, args, kwargs)) is not None:
            self._rectifiers += 1
            if self._rectifiers in self._gates:
                return self._pass(*cut, *self._gates[self._rectifiers])
        return func(*args, **kwargs)

    def _pass(self, x, high, in_place, name, mask, own):
        self.reached.add(name)
        rest = (1,) * (x.dim() - 2)
        mask = mask.view(*mask.shape, *rest)
        own, relu = (flag.view(-1, 1, *rest) for flag in (own, self._relu))
        given = x.clone() if in_place else x  # the way back needs it as it was
        y = torch.where(own | relu, given.clamp(0, high), given) * (mask | own)
        return x.copy_(y) if in_place else y


def through(net: Network, layer: str, masks: Sequence[Masks]) -> Callable[[], Through]:
    """What makes a fresh context for each pass of a batch that ends at `layer`.

    Raises LayerError if the layer is computed before a mask acts, and NetworkError as `head_of` and `Head.gate` do.
    """
    head = head_of(net)

    def made() -> Through:
        return Through(head, masks, net.device)

    names = set().union(*(m.names for m in masks))
    mode = made()
    with torch.inference_mode(False), torch.no_grad():
        fed = net.feed(torch.zeros(len(masks), net.pixels.channels, *net.size, device=net.device))
        with mode:
            net.probe(layer)(fed)
    missed = sorted(names - mode.reached)
    if missed:
        raise LayerError(
            f"{' and '.join(missed)} of the pathway cannot act on {layer!r}, which {net.name} computes before; choose "
            f"a deeper layer, such as {net.scores.name!r}."
        )
    return made


class _Codes(TorchFunctionMode):
    """Reads what passes of itself."""

    def __init__(self, head: Head):
        super().__init__()
        self.head, self.pool, self.gates = head, None, {}
        self._products = self._rectifiers = -1

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if (given := input_of(func, args, kwargs)) is not None:
            self._products += 1
            if self._products == self.head.product:
                self.pool = given.detach().flatten(1).cpu()[:, self.head.order] > 0
        elif (cut := rectified(func, args, kwargs)) is not None:
            self._rectifiers += 1
            self.gates[self._rectifiers] = (cut[0].detach() > 0).flatten(1).cpu()
        return func(*args, **kwargs)


def relu_masks(net: Network, image) -> Masks:
    """The masks that the relus make of an image: m5 where pool5 is positive; m6 and m7 where the network has them."""
    head = head_of(net)
    mode = _Codes(head)
    with torch.inference_mode(False), torch.no_grad():
        fed = net.feed(net.pixels_of(image))
        with mode:
            net.probe(net.scores.name)(fed)
    found = dict(zip(("m7", "m6"), reversed(head.gates), strict=False))
    given = {name: mode.gates[gate[0]][0] for name, gate in found.items() if gate is not None}
    return Masks(mode.pool[0].view(head.shape), **given)
