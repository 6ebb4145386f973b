"""A faster backward pass of a first convolution with a stride: two to four times as fast as the stock one on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .kept_weights import KeptTensor

Forward = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]


def use_fast_strided_backward(module: nn.Module) -> None:
    """Replace the backward pass of the strided convolutions of an image by a faster one.

    Parameters
    ----------
    module : nn.Module
        A copy that `weight_sharing_copy` made; it is changed.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and _is_supported(part):
            stride, padding = (part.stride[0], part.stride[1]), (int(part.padding[0]), int(part.padding[1]))
            part._conv_forward = _forward(part._conv_forward, stride, padding)  # type: ignore[method-assign, assignment]  # a bound method


def _is_supported(conv: nn.Conv2d) -> bool:
    plain = conv.groups == 1 and set(conv.dilation) == {1} and conv.padding_mode == "zeros"
    return (
        plain
        and conv.in_channels <= 4
        and len({*conv.stride}) == 1 < conv.stride[0]
        and isinstance(conv.padding, tuple)
    )


def _forward(stock: Forward, stride: tuple[int, int], padding: tuple[int, int]) -> Forward:
    cells = KeptTensor(lambda weight: _cells(weight, stride[0]))

    def forward(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        supported = x.device.type == "cpu" and x.dim() == 4 and x.requires_grad and not weight.requires_grad
        # in inference mode a Function has no backward pass, in torch.func and torch.vmap it needs another form
        supported = supported and not (torch.is_inference_mode_enabled() or torch._C._are_functorch_transforms_active())
        return (
            StridedConvolution.apply(x, weight, bias, stride, padding, cells) if supported else stock(x, weight, bias)
        )

    return forward


class StridedConvolution(torch.autograd.Function):
    """A stride of s over an image is a stride of 1 over one with s x s pixels folded into the channels of each."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        cells: Callable[[torch.Tensor], torch.Tensor],
    ) -> torch.Tensor:
        ctx.save_for_backward(weight)
        ctx.stride, ctx.padding, ctx.size, ctx.cells = stride[0], padding, x.shape[-2:], cells
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        s: int = ctx.stride
        cells = ctx.cells(weight)
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        back = F.pixel_shuffle(F.conv2d(gradient, cells, padding=tuple(side - 1 for side in cells.shape[-2:])), s)
        (top, left), (h, w) = ctx.padding, ctx.size
        unseen = (0, max(left + w - back.shape[-1], 0), 0, max(top + h - back.shape[-2], 0))
        if any(unseen):
            back = F.pad(back, unseen)
        return back[..., top : top + h, left : left + w], None, None, None, None, None


def _cells(weight: torch.Tensor, s: int) -> torch.Tensor:
    """The weight (units, channels, H, W) of the convolution with which a gradient goes back to s x s pixels at once.

    It is laid channels last, which is faster than the usual order by a tenth to a third.
    """
    units, channels = weight.shape[:2]
    rows, columns = (-(-side // s) for side in weight.shape[-2:])
    weight = F.pad(weight, (0, columns * s - weight.shape[-1], 0, rows * s - weight.shape[-2]))
    cells = weight.reshape(units, channels, rows, s, columns, s).permute(1, 3, 5, 0, 2, 4)
    cells = cells.reshape(channels * s * s, units, rows, columns).flip(-1, -2)
    return cells.contiguous(memory_format=torch.channels_last)
