"""The gradient of batch normalisation of one image, where torch takes its memory layout for another."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


def order_gradients_of_batch_norms(module: nn.Module) -> None:
    """Hand batch normalisation its gradient in the usual order of memory.

    On a CPU, torch takes the gradient of a batch of one that lies in memory with channels last, as that of tokens does,
    for one in the usual order if the map itself is in that order, and returns wrong values.

    Parameters
    ----------
    module : nn.Module
        A copy that `weight_sharing_copy` made; it is changed.
    """
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.register_forward_hook(_order)


def _order(part: nn.Module, args: Any, output: Any) -> None:
    if not isinstance(output, torch.Tensor) or output.device.type != "cpu" or output.dim() != 4 or len(output) != 1:
        return
    if output.requires_grad and output.is_contiguous():
        output.register_hook(torch.Tensor.contiguous)
