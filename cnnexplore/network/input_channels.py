"""The number of channels of a module's input, from the first convolution or linear map that it runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from ..errors import ExploreError, ExploreWarning
from .copying import weight_sharing_copy
from .dispatch_mode import DispatchMode
from .guard import WritesWeights, again_with_own_weights
from .pixels import Pixels

_USUAL = (3, 1)  # tried first
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of pixels of 0 to 1
_MOST_TRIES = 12
_MOST = 1 << 20
_FEW = 64  # channels for which memory is taken; more are one channel, seen several times


class _Reached(BaseException):
    """Raised at the first operation with weights; no Exception, so that no module catches it."""


class _FirstWeights(DispatchMode):
    """Ends the pass at the first convolution or product of the image with a matrix of weights, before it is computed.

    found: the channels that it is given and those that its weights take.
    """

    found: tuple[int, int] | None = None

    def __init__(self, image: torch.Tensor):
        super().__init__()
        self._computed = {id(image): image}  # what depends on the image

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        name = func._schema.name
        if name in ("aten::convolution", "aten::_convolution") and args[0].dim() == 4 and self._knows(args[0]):
            transposed, groups = args[6], args[8]
            taken = args[1].shape[0] if transposed else args[1].shape[1] * groups
            self.found = (args[0].shape[1], taken)
            raise _Reached
        if name in ("aten::addmm", "aten::mm", "aten::bmm", "aten::baddbmm"):
            left, right = args[-2:]
            if self._knows(left) != self._knows(right):
                sizes = (left.shape[-1], right.shape[-2])
                self.found = sizes if self._knows(left) else sizes[::-1]
                raise _Reached
        out = func(*args, **(kwargs or {}))
        if any(self._knows(one) for one in tree_leaves((args, kwargs))):
            self._computed.update((id(one), one) for one in tree_leaves(out))
        return out

    def _knows(self, value: Any) -> bool:
        return id(value) in self._computed and isinstance(value, torch.Tensor)


@again_with_own_weights
def input_channels(module: nn.Module, size: tuple[int, int]) -> int | None:
    """The number of channels that a module takes; None if no pass reaches a convolution or matrix product.

    The module runs on zeros up to its first weights, which must take as many channels as they are given. Where several
    numbers will do, as for a module that picks some channels, it is three.

    Parameters
    ----------
    module : nn.Module
        Takes (N, C, H, W); it is unchanged.
    size : tuple of int
        (H, W).
    """
    try:
        copied = weight_sharing_copy(module)
    except ExploreError:
        return None
    tensor = next((t for t in [*copied.parameters(), *copied.buffers()]), torch.zeros(0))
    dtype = next((p.dtype for p in copied.parameters() if p.is_floating_point()), torch.float32)
    registered = [part.in_channels for part in copied.modules() if isinstance(part, nn.Conv2d) and part.in_channels > 0]
    waiting = list(dict.fromkeys([*_USUAL, *registered]))
    tried: set[int] = set()
    while waiting and len(tried) < _MOST_TRIES:
        channels = waiting.pop(0)
        if channels in tried:
            continue
        tried.add(channels)
        zeros = torch.zeros(1, channels if channels <= _FEW else 1, *size, dtype=dtype, device=tensor.device)
        found = _first_weights(copied, zeros.expand(1, channels, *size))
        if found is None:
            continue
        given, taken = found
        if given == taken:
            return channels
        # what comes before the weights multiplies the channels (space to depth) or adds some (coordinates)
        guesses = [channels * taken // given] if channels * taken % given == 0 else []
        waiting[:0] = [n for n in [*guesses, channels + taken - given] if 0 < n <= _MOST]
    return None


def _first_weights(module: nn.Module, x: torch.Tensor) -> tuple[int, int] | None:
    mode = _FirstWeights(x)
    try:
        with warnings.catch_warnings(), torch.no_grad(), mode:
            warnings.simplefilter("ignore")
            module(x)
    except WritesWeights:
        raise
    except (_Reached, Exception):
        return mode.found  # none: no image of so many channels
    return None


def default_pixels(module: nn.Module, size: tuple[int, int]) -> Pixels:
    """The pixel convention of a module of which nothing was said: grey, RGB, or as many channels as it takes.

    A module of timm says itself what its weights expect. All of torchvision's classifiers are trained with the mean and
    std of ImageNet. For any other module nothing is known: a warning says what is taken.

    Parameters
    ----------
    module : nn.Module
        Takes (N, C, H, W); it is unchanged.
    size : tuple of int
        (H, W).

    Returns
    -------
    Pixels
        RGB if the module does not show how many channels it takes.
    """
    channels = input_channels(module, size)
    if channels == 3:
        declared = _declared(module)
        if declared is not None:
            return declared
        if type(module).__module__.startswith("torchvision.models."):
            warnings.warn(
                f"pixels= was not given for {type(module).__name__}: the mean and std of torchvision's weights are "
                "taken; give pixels=cx.Pixels(...) where it was trained with others.",
                ExploreWarning,
                stacklevel=2,
            )
            return _of_shares(_IMAGENET_MEAN, _IMAGENET_STD)
    taken = Pixels() if channels is None or channels > 1024 else Pixels.for_channels(channels)
    what = {"grey": "grey values", "channels": "channels"}.get(taken.order, f"{taken.order} values")
    mean = ", ".join(f"{value:g}" for value in taken.mean[:3]) + (", ..." if len(taken.mean) > 3 else "")
    advice = "give pixels=cx.Pixels(...) with the mean and std that it was trained with."
    warnings.warn(
        f"pixels= was not given for {type(module).__name__}: it is given {what} of 0 to 255 minus {mean}; {advice}",
        ExploreWarning,
        stacklevel=2,
    )
    return taken


def _declared(module: nn.Module) -> Pixels | None:
    """The convention that a module of timm names; None for any other."""
    given = getattr(module, "pretrained_cfg", None)
    mean, std = (given.get(name) for name in ("mean", "std")) if isinstance(given, dict) else (None, None)
    try:
        return _of_shares(mean, std) if len(mean) == len(std) == 3 else None  # type: ignore[arg-type]
    except (TypeError, ValueError, ExploreError):
        return None


def _of_shares(mean: Sequence[float], std: Sequence[float]) -> Pixels:
    """RGB with a mean and std that are given for pixels of 0 to 1."""
    return Pixels("RGB", tuple(255 * float(m) for m in mean), tuple(255 * float(s) for s in std))
