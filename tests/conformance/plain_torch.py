"""What plain torch says of a module of others: scores, gradients, and backward rules by a function mode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode


def tensors(value) -> list[torch.Tensor]:
    """The tensors that a module returns, in order."""
    if isinstance(value, torch.Tensor):
        return [value]
    inside = value.values() if hasattr(value, "values") else value if isinstance(value, (tuple, list)) else ()
    return [one for part in inside for one in tensors(part)]


class _Rule(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, high, guided):
        ctx.save_for_backward(x)
        ctx.high, ctx.guided = high, guided
        return x.clamp(0, high)

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        passed = slope.clamp(min=0)
        if ctx.guided:
            passed = passed * (x > 0)
            if ctx.high is not None:
                passed = passed * (x < ctx.high)
        return passed, None, None


_RELUS = {F.relu, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_}


class Rectifiers(TorchFunctionMode):
    """Rectifiers pass back what the deconvnet's rule or guided backprop's lets through.

    Parameters
    ----------
    guided : bool
        Guided backprop rather than the deconvnet.
    """

    def __init__(self, guided: bool):
        super().__init__()
        self.guided = guided

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        high = 0.0
        if func in _RELUS:
            high = None
        elif func is F.relu6 or (func in (F.hardtanh, torch._C._nn.hardtanh, torch._C._nn.hardtanh_) and 0 in args[1:]):
            high = 6.0
        if high == 0.0 or not args[0].requires_grad:
            return func(*args, **kwargs)
        out = _Rule.apply(args[0], high, self.guided)
        if func in (torch.relu_, torch.Tensor.relu_):
            args[0].data.copy_(out.data)  # also where the module goes on with what it changed
        return out


def gradient(score: Callable[[torch.Tensor], torch.Tensor], fed: torch.Tensor) -> torch.Tensor:
    """The derivative of a score with respect to the module's input."""
    fed = fed.detach().clone().requires_grad_()
    with torch.enable_grad():
        (slope,) = torch.autograd.grad(score(fed), fed)
    return slope.detach()


def layer_gradient(
    module: torch.nn.Module, path: str, score: Callable[[torch.Tensor], torch.Tensor], fed: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The output of a module of the user's, called once, and the derivative of a score with respect to it."""
    kept: list[torch.Tensor] = []

    def hook(part, args, out):
        kept.append(out.detach().requires_grad_())
        return kept[-1].clone()

    handle = module.get_submodule(path).register_forward_hook(hook)
    try:
        with torch.enable_grad():
            number = score(fed.clone())
    finally:
        handle.remove()
    assert len(kept) == 1, "called more than once"
    (slope,) = torch.autograd.grad(number, kept[0])
    return kept[0].detach(), slope


def legendre(steps: int) -> list[tuple[float, float]]:
    """Places in 0..1 and weights of the Gauss-Legendre rule."""
    places, weights = np.polynomial.legendre.leggauss(steps)
    return [((1 + float(p)) / 2, float(w) / 2) for p, w in zip(places, weights, strict=True)]
