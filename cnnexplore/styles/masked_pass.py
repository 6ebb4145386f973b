"""Masked passes: forward passes with fixed masks in place of the ReLUs (intraclass2015, equation 4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ..errors import LayerError, brief_value
from ..network import Network
from ..network.backward import rectified
from .classifier_head import PRODUCTS, ClassifierHead, classifier_head, product_input


@dataclass(frozen=True, eq=False)
class ReluMasks:
    """The masks of one image, as boolean tensors; None leaves the ReLU as it is.

    Attributes
    ----------
    m5 : torch.Tensor or None
        Of the shape of the classifier head's input (pool5).
    m6, m7 : torch.Tensor or None
        As wide as the ReLUs that they replace.
    relu : bool
        Whether the ReLUs stay in force, so that a mask can only close units.
    """

    m5: torch.Tensor | None = None
    m6: torch.Tensor | None = None
    m7: torch.Tensor | None = None
    relu: bool = False

    @property
    def names(self) -> set[str]:
        """The masks that are not None."""
        return {name for name in ("m5", "m6", "m7") if getattr(self, name) is not None}


class MaskedPass(TorchFunctionMode):
    """A context for one forward pass with masks: y = m x in place of a ReLU, and m5 x before the first layer.

    Only the forward pass must run inside. Functions are replaced; no module gets a hook.

    Parameters
    ----------
    head : ClassifierHead
        The head of the network that runs inside.
    masks : sequence of ReluMasks
        One, or one per image of the batch.
    device : torch.device
        Of the network.

    Attributes
    ----------
    reached : set of str
        The masks that the pass has applied.
    """

    def __init__(self, head: ClassifierHead, masks: Sequence[ReluMasks], device: torch.device) -> None:
        super().__init__()
        self.product = head.product
        self.reached: set[str] = set()
        self._products = self._relus = -1
        self._keep_relu = torch.tensor([m.relu for m in masks], device=device)
        self._m5: torch.Tensor | None = None
        self._masks: dict[int, tuple[str, torch.Tensor, torch.Tensor]] = {}  # by the number of the ReLU's call
        names = set[str]().union(*(m.names for m in masks))
        if "m5" in names:
            pool = torch.stack(
                [torch.ones(head.shape, dtype=torch.float32) if m.m5 is None else m.m5.float() for m in masks]
            ).flatten(1)
            self._m5 = torch.empty_like(pool).index_copy_(1, head.order, pool).to(device)
        for name in names - {"m5"}:
            call, width = head.relu(name)
            given = [getattr(m, name) for m in masks]
            mask = torch.stack([torch.ones(width, dtype=torch.bool) if m is None else m for m in given])
            self._masks[call] = name, mask.to(device), torch.tensor([m is None for m in given], device=device)

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if (given := product_input(func, args, kwargs)) is not None:
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
            self._relus += 1
            if self._relus in self._masks:
                return self._apply(*cut, *self._masks[self._relus])
        return func(*args, **kwargs)

    def _apply(
        self,
        x: torch.Tensor,
        high: float | None,
        in_place: bool,
        name: str,
        mask: torch.Tensor,
        own: torch.Tensor,
    ) -> torch.Tensor:
        """The result of a ReLU under its mask; `own`: for which images the ReLU stays as it is."""
        self.reached.add(name)
        rest = (1,) * (x.dim() - 2)
        mask = mask.view(*mask.shape, *rest)
        own, relu = (flag.view(-1, 1, *rest) for flag in (own, self._keep_relu))
        given = x.clone() if in_place else x  # the backward pass needs the old values
        y = torch.where(own | relu, given.clamp(0, high), given) * (mask | own)
        return x.copy_(y) if in_place else y


def masked_passes(net: Network, layer: str, masks: Sequence[ReluMasks]) -> Callable[[], MaskedPass]:
    """A function that makes a fresh context for each pass of a batch up to `layer`.

    Parameters
    ----------
    net : Network
        Any network with a classifier head.
    layer : str
        The layer at which the passes end.
    masks : sequence of ReluMasks
        One per image of the batch.

    Returns
    -------
    callable
        Called before each pass, gives its context.

    Raises
    ------
    LayerError
        If the network computes the layer before a mask acts.
    NetworkError
        If the network has no classifier head, or no ReLU where a mask is given.
    """
    head = classifier_head(net)

    def fresh() -> MaskedPass:
        return MaskedPass(head, masks, net.device)

    names = set[str]().union(*(m.names for m in masks))
    mode = fresh()
    with torch.inference_mode(False), torch.no_grad():
        fed = net.feed(torch.zeros(len(masks), net.pixels.channels, *net.size, device=net.device, dtype=torch.float32))
        with mode:
            net.probe(layer)(fed)
    missed = sorted(names - mode.reached)
    if missed:
        raise LayerError(
            f"{' and '.join(missed)} of the pathway cannot act on {brief_value(layer)}, which {net.name} computes "
            f"before; choose a deeper layer, such as {net.scores.name!r}."
        )
    return fresh


class _Reader(TorchFunctionMode):
    """Reads which inputs of the head are positive, and which units the ReLUs open."""

    def __init__(self, head: ClassifierHead) -> None:
        super().__init__()
        self.head = head
        self.pool: torch.Tensor | None = None
        self.open: dict[int, torch.Tensor] = {}  # by the number of the ReLU's call
        self._products = self._relus = -1

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if (given := product_input(func, args, kwargs)) is not None:
            self._products += 1
            if self._products == self.head.product:
                self.pool = given.detach().flatten(1).cpu()[:, self.head.order] > 0
        elif (cut := rectified(func, args, kwargs)) is not None:
            self._relus += 1
            self.open[self._relus] = (cut[0].detach() > 0).flatten(1).cpu()
        return func(*args, **kwargs)


def relu_masks(net: Network, image: Any) -> ReluMasks:
    """The masks of an image's own ReLUs: m5 where pool5 is positive; m6 and m7 where the network has them.

    Parameters
    ----------
    net : Network
        Any network with a classifier head.
    image : image
        What `Network.pixels_of` takes, one image.

    Raises
    ------
    NetworkError
        If the network has no classifier head.
    """
    head = classifier_head(net)
    mode = _Reader(head)
    with torch.inference_mode(False), torch.no_grad():
        fed = net.feed(net.pixels_of(image))
        with mode:
            net.probe(net.scores.name)(fed)
    found = dict(zip(("m7", "m6"), reversed(head.relus), strict=False))
    given = {name: mode.open[relu[0]][0] for name, relu in found.items() if relu is not None}
    assert mode.pool is not None  # the head has a first product
    return ReluMasks(mode.pool[0].view(head.shape), given.get("m6"), given.get("m7"))
