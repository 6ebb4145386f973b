"""Backward rules: which part of the gradient a ReLU passes on (lecture2017, equations 10 to 13)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from ..errors import SettingError

RULES = ("gradient", "deconvnet", "guided_backprop")


def backward_rule(name: str) -> AbstractContextManager:
    """A context in which rectifiers backpropagate by a rule; the forward pass is unchanged.

    Only the forward pass must run inside. Rectifiers are nn.ReLU and nn.ReLU6, and the functions relu, relu6,
    clamp(min=0), hardtanh(min_val=0) and threshold(0, 0), in place or not. Functions are replaced; no hook is set.

    Parameters
    ----------
    name : {"gradient", "deconvnet", "guided_backprop"}
        The gradient passes where the input was positive ("gradient"), where the gradient is positive ("deconvnet"), or
        where both are ("guided_backprop").

    Returns
    -------
    context manager
        To be entered once.

    Raises
    ------
    SettingError
        For another name.

    References
    ----------
    lecture2017, equations 11, 12 and 13.
    """
    if name not in RULES:
        raise SettingError(f"{name!r} is no backward rule; expected one of {', '.join(map(repr, RULES))}.")
    return nullcontext() if name == "gradient" else _Replaced(guided=name == "guided_backprop")


class _Rectified(torch.autograd.Function):
    """max(x, 0), or x clipped to 0..high, with another backward pass."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, high: float | None, guided: bool, in_place: bool) -> torch.Tensor:
        ctx.high, ctx.guided = high, guided
        y = x.clamp_(0, high) if in_place else x.clamp(0, high)
        if in_place:
            ctx.mark_dirty(y)
        if guided:
            ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        back = gradient.clamp(min=0)
        if ctx.guided:
            (y,) = ctx.saved_tensors
            back = torch.ops.aten.threshold_backward(back, y, 0)
            if ctx.high is not None:
                back = back * (y < ctx.high)
        return back, None, None, None


class _Replaced(TorchFunctionMode):
    """Replaces rectifiers by `_Rectified`."""

    def __init__(self, guided: bool):
        super().__init__()
        self.guided = guided

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        found = rectified(func, args, kwargs)
        if found is None:
            return func(*args, **kwargs)
        return _Rectified.apply(found[0], found[1], self.guided, found[2])


# The arguments of each function after its input, in order.
_ARGUMENTS = {
    "relu": ("inplace",), "relu_": (), "relu6": ("inplace",), "hardtanh": ("min_val", "max_val", "inplace"),
    "hardtanh_": ("min_val", "max_val"), "threshold": ("threshold", "value", "inplace"),
    "threshold_": ("threshold", "value"), "clamp": ("min", "max"), "clamp_": ("min", "max"), "clip": ("min", "max"),
    "clip_": ("min", "max"), "clamp_min": ("min",), "clamp_min_": ("min",),
}  # fmt: skip


def rectified(
    func: Callable[..., Any], args: tuple, kwargs: dict[str, Any]
) -> tuple[torch.Tensor, float | None, bool] | None:
    """What a rectifier is called with.

    Parameters
    ----------
    func : callable
        A torch function.
    args, kwargs : tuple and dict
        Its arguments.

    Returns
    -------
    tuple or None
        (input, upper bound or None, in place), or None if the call does not set negative values to zero.
    """
    name = getattr(func, "__name__", "").lstrip("_")
    if name not in _ARGUMENTS or kwargs.get("out") is not None:
        return None
    x = args[0] if args else kwargs.get("input")
    given = {**dict(zip(_ARGUMENTS[name], args[1:], strict=False)), **kwargs}
    low: Any = 0.0
    high: Any = None
    if name.startswith(("clamp", "clip")):
        low, high = given.get("min"), given.get("max")
    elif name.startswith("hardtanh"):
        low, high = given.get("min_val", -1.0), given.get("max_val", 1.0)
    elif name == "relu6":
        high = 6.0
    elif name.startswith("threshold"):
        low = 0.0 if given.get("threshold") == given.get("value") == 0 else None
    if isinstance(low, bool) or not isinstance(low, (int, float)) or low != 0:
        return None
    if isinstance(high, torch.Tensor) or not isinstance(x, torch.Tensor) or not x.is_floating_point():
        return None
    return x, high, name.endswith("_") or bool(given.get("inplace"))
