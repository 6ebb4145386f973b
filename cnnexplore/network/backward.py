"""Backward rules: what a ReLU lets pass of the gradient that comes back (lecture2017, equations 10 to 13)."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from ..errors import SettingError

RULES = ("gradient", "deconvnet", "guided_backprop")


def backward_rule(name: str) -> AbstractContextManager:
    """A context in which rectifiers send the gradient back by a rule; the forward pass stays as it is.

    name: "gradient" (passes where the input was positive), "deconvnet" (where the gradient is), "guided_backprop"
    (where both are). Only the forward pass must run inside. Rectifiers are nn.ReLU and nn.ReLU6, and the functions
    relu, relu6, clamp(min=0) and their kin, in place or not; functions are swapped, no module gets a hook.
    Raises SettingError. Source: lecture2017, equations 11, 12 and 13.
    """
    if name not in RULES:
        raise SettingError(f"{name!r} is no backward rule; expected one of {', '.join(map(repr, RULES))}.")
    return nullcontext() if name == "gradient" else _Swapped(guided=name == "guided_backprop")


class _Rectified(torch.autograd.Function):
    """max(x, 0), or x cut to 0..high, with another way back."""

    @staticmethod
    def forward(ctx, x, high, guided, in_place):
        ctx.high, ctx.guided = high, guided
        y = x.clamp_(0, high) if in_place else x.clamp(0, high)
        if in_place:
            ctx.mark_dirty(y)
        if guided:
            ctx.save_for_backward(y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        back = gradient.clamp(min=0)
        if ctx.guided:
            (y,) = ctx.saved_tensors
            back = torch.ops.aten.threshold_backward(back, y, 0)
            if ctx.high is not None:
                back = back * (y < ctx.high)
        return back, None, None, None


class _Swapped(TorchFunctionMode):
    def __init__(self, guided: bool):
        super().__init__()
        self.guided = guided

    def __torch_function__(self, func, types, args=(), kwargs=None):
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


def rectified(func, args: tuple, kwargs: dict) -> tuple[torch.Tensor, float | None, bool] | None:
    """(input, upper bound or None, in place) if a call cuts negative values to zero, else None."""
    name = getattr(func, "__name__", "").lstrip("_")
    if name not in _ARGUMENTS or kwargs.get("out") is not None:
        return None
    x = args[0] if args else kwargs.get("input")
    given = {**dict(zip(_ARGUMENTS[name], args[1:], strict=False)), **kwargs}
    low, high = 0.0, None
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
