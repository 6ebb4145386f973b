"""Kept weights: a convolution's weights in the memory layout of its passes, made once instead of in each pass."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import torch
from torch import nn

USES = 50  # after as many uses a kept tensor is made anew
FOLLOWED = "_version_followed"  # the attribute of a copy's weight with the version of the weight that it shares


class KeptTensor:
    """A tensor that is made of a weight, kept from its second use on until the weight changes.

    Changes of which torch knows are followed at once; writes through `.data`, of which it does not know, after `USES`
    uses.

    Parameters
    ----------
    make : callable
        Makes the tensor of the weight.
    """

    def __init__(self, make: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._make = make
        self._of: Callable[[], torch.Tensor | None] = lambda: None
        self._key = (0, 0, 0)
        self._kept: torch.Tensor | None = None
        self._left = 0

    def __call__(self, weight: torch.Tensor) -> torch.Tensor:
        """The tensor for a weight.

        Parameters
        ----------
        weight : torch.Tensor
            The weight as it is now.

        Returns
        -------
        torch.Tensor
            Not to be written to.
        """
        if type(weight) not in (torch.Tensor, nn.Parameter) or weight.is_inference():  # their changes are not counted
            return self._make(weight)
        key = weight.data_ptr(), weight._version, getattr(weight, FOLLOWED, 0)
        known = self._of() is weight and self._key == key
        self._of, self._key = weakref.ref(weight), key
        if not known:
            self._kept = None  # a weight of one pass alone is not held
            return self._make(weight)
        if self._kept is None or self._left == 0:
            self._kept, self._left = self._make(weight), USES
        self._left -= 1
        return self._kept


def keep_weights_of_convolutions(module: nn.Module) -> None:
    """Let convolutions whose input lies channels last in memory keep their weights in that layout.

    Torch otherwise lays the weights anew in each forward and each backward pass: a tenth of the time of AlexNet's
    passes on a CPU. The results are the same to the bit.

    Parameters
    ----------
    module : nn.Module
        A copy that `weight_sharing_copy` made; it is changed.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and type(part)._conv_forward is nn.Conv2d._conv_forward:
            part._conv_forward = _forward(part._conv_forward)  # type: ignore[method-assign]  # a bound method


def _forward(stock: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    laid = KeptTensor(lambda weight: weight.contiguous(memory_format=torch.channels_last))

    def forward(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        return stock(x, laid(weight) if _lies_otherwise(x, weight) else weight, bias)

    return forward


def _lies_otherwise(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether torch would lay the weight anew for a pass of x whose gradient is wanted."""
    last = torch.channels_last
    return (
        not torch._C._are_functorch_transforms_active()  # torch.vmap does not know of layouts
        and x.device.type == "cpu"
        and x.requires_grad
        and not weight.requires_grad
        and x.dim() == 4
        and x.is_contiguous(memory_format=last)
        and not x.is_contiguous()
        and not weight.is_contiguous(memory_format=last)
    )
