"""Backward rules: which part of the gradient a ReLU passes on (lecture2017, equations 10 to 13)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from ..errors import LayerError, SettingError, brief_value

RULES = ("gradient", "deconvnet", "guided_backprop")


def backward_rule(name: str) -> AbstractContextManager:
    """A context in which rectifiers backpropagate by a rule; the forward pass is unchanged.

    Only the forward pass must run inside. Rectifiers are nn.ReLU and nn.ReLU6, the functions relu, relu6, clamp(min=0),
    hardtanh(min_val=0), threshold(0, 0), leaky_relu(slope 0) and maximum(x, 0), in place or not, as functions of torch
    or operators of ATen, and the products and choices x * (x > 0), where(x > 0, x, 0) and masked_fill(x < 0, 0).
    Functions are replaced; no hook is set on a module. Rectifiers in scripted code are reached by `bend_rectifiers`.

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
        raise SettingError(f"{brief_value(name)} is no backward rule; expected one of {', '.join(map(repr, RULES))}.")
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
        # By a mask's id, the mask, what it is the sign of, and whether it is true where that is positive.
        self.masks: dict[int, tuple[torch.Tensor, torch.Tensor, bool]] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = called_name(func)
        found = rectified(func, args, kwargs) or self._masked(name, args)
        if found is not None:
            if torch._C._are_functorch_transforms_active():
                raise LayerError(
                    f"a rectifier ({name}) is computed inside of torch.vmap or torch.func, where backward rules do not "
                    "act; use the method 'gradient'."
                )
            out = _Rectified.apply(found[0], found[1], self.guided, found[2])
            return None if name == "setitem_" else out
        out = func(*args, **kwargs)
        if isinstance(out, torch.Tensor) and args and isinstance(args[0], torch.Tensor):
            self._note(name, args, out)
        return out

    def _note(self, name: str, args: tuple, out: torch.Tensor) -> None:
        x = args[0]
        if name in _COMPARED and len(args) > 1 and _is_zero(args[1]) and x.is_floating_point():
            self.masks[id(out)] = out, x, _COMPARED[name]
        elif id(x) in self.masks and (name in _CAST or name in _NOT):
            self.masks[id(out)] = out, self.masks[id(x)][1], self.masks[id(x)][2] != (name in _NOT)

    def _masked(self, name: str, args: tuple) -> tuple[torch.Tensor, None, bool] | None:
        """The rectifier that a product with a mask, or a choice by one, is."""
        places = {"mul": (0, 1), "where": (0,), "masked_fill": (1,), "masked_fill_": (1,), "setitem_": (1,)}.get(name)
        for place in places or ():
            mask = self.masks.get(id(args[place])) if len(args) > place else None
            if mask is None:
                continue
            _, x, positive = mask
            if name == "where":
                kept, other = args[1:3] if positive else args[2:0:-1]
                fits = kept is x and _is_zero(other)
            elif name == "mul":
                fits = args[1 - place] is x and positive
            else:
                fits = args[0] is x and _is_zero(args[2]) and not positive
            if fits:
                return x, None, name.endswith("_")
        return None


_COMPARED = {
    "gt": True, "ge": True, "greater": True, "greater_equal": True, "lt": False, "le": False, "less": False,
    "less_equal": False,
}  # fmt: skip
_CAST = {"to", "type", "type_as", "float", "double", "half", "bfloat16", "_to_copy"}
_NOT = {"logical_not", "bitwise_not", "invert"}


def called_name(func: Callable[..., Any]) -> str:
    """The name of a torch function: without the overload of an ATen operator and the underscores of a Python operator.

    Parameters
    ----------
    func : callable
        What a torch function mode sees.

    Returns
    -------
    str
        Such as "relu", or "data" for a tensor's attribute; of one that works in place it ends in "_".
    """
    name = getattr(func, "__name__", "").split(".")[0]
    if name == "__get__":
        return getattr(getattr(func, "__self__", None), "__name__", "")
    if name == "__setitem__" or name in _IN_PLACE:
        return name.strip("_").removeprefix("i" if name in _IN_PLACE else "") + "_"
    return name.strip("_").removeprefix("r" if name in ("__rmul__", "__radd__") else "") if name[:2] == "__" else name


_IN_PLACE = {"__iadd__", "__isub__", "__imul__", "__idiv__", "__itruediv__", "__ipow__", "__iand__", "__ior__"}

# The arguments of each function after its input, in order.
_ARGUMENTS = {
    "relu": ("inplace",), "relu_": (), "relu6": ("inplace",), "relu6_": (),
    "hardtanh": ("min_val", "max_val", "inplace"), "hardtanh_": ("min_val", "max_val"),
    "threshold": ("threshold", "value", "inplace"), "threshold_": ("threshold", "value"),
    "clamp": ("min", "max"), "clamp_": ("min", "max"), "clip": ("min", "max"), "clip_": ("min", "max"),
    "clamp_min": ("min",), "clamp_min_": ("min",), "leaky_relu": ("negative_slope", "inplace"),
    "leaky_relu_": ("negative_slope",), "maximum": ("other",), "max": ("other",), "fmax": ("other",),
}  # fmt: skip


def _is_zero(value: Any) -> bool:
    """Whether a number, or all of a tensor that does not depend on the image, is zero."""
    if isinstance(value, torch.Tensor):
        return not value.requires_grad and value.dtype != torch.bool and not bool(value.any())
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value == 0


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
    name = called_name(func).lstrip("_")
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
    elif name.startswith("relu6"):
        high = 6.0
    elif name.startswith("threshold"):
        low = 0.0 if given.get("threshold") == given.get("value") == 0 else None
    elif name.startswith("leaky_relu"):
        low = given.get("negative_slope", 0.01)  # without a slope it is a rectifier
    elif "max" in name:
        low = given.get("other")
        if isinstance(x, torch.Tensor) and isinstance(low, torch.Tensor) and low.requires_grad:
            x, low = low, x  # maximum(0, x)
        low = low if isinstance(low, torch.Tensor) and isinstance(x, torch.Tensor) and low.dim() <= x.dim() else None
    if not _is_zero(low) or isinstance(high, torch.Tensor) or not isinstance(x, torch.Tensor):
        return None
    return (x, high, name.endswith("_") or bool(given.get("inplace"))) if x.is_floating_point() else None
