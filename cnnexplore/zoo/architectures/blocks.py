"""Layers of MatConvNet's networks that torch.nn has not: uneven padding, sums, and graphs of named variables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from .alexnet import ResponseNorm

Pads = tuple[int, int, int, int]  # top, bottom, left, right, in MatConvNet's order


def _pad(x: torch.Tensor, pads: Pads, value: float = 0.0) -> torch.Tensor:
    top, bottom, left, right = pads
    return F.pad(x, (left, right, top, bottom), value=value)


class PaddedConv2d(nn.Conv2d):
    """A convolution with its own number of zeros on each side. x: (N, C, H, W)."""

    def __init__(self, *args: Any, pads: Pads, **options: Any):
        super().__init__(*args, **options)
        self.pads = pads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(_pad(x, self.pads))


class PaddedMaxPool2d(nn.MaxPool2d):
    """The largest value of a window; padding never counts. x: (N, C, H, W)."""

    def __init__(self, *args: Any, pads: Pads, **options: Any):
        super().__init__(*args, **options)
        self.pads = pads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(_pad(x, self.pads, float("-inf")))


class PaddedAvgPool2d(nn.AvgPool2d):
    """The mean over the part of a window that lies inside the image. x: (N, C, H, W)."""

    def __init__(self, *args: Any, pads: Pads, **options: Any):
        super().__init__(*args, **options)
        self.pads = pads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inside = super().forward(_pad(torch.ones_like(x[:1, :1]), self.pads))
        return super().forward(_pad(x, self.pads)) / inside


class ForwardResponseNorm(ResponseNorm):
    """Response normalisation over n channels; for an even n, one more channel after than before."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.flip(1)).flip(1)


class Sum(nn.Module):
    """The sum of its inputs, all of one shape."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return reduce(torch.add, inputs)


class Concat(nn.Module):
    """Its inputs concatenated along the channels."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return torch.cat(inputs, 1)


class Step(NamedTuple):
    """One layer of a Graph, with the variables that it reads and writes."""

    name: str
    module: nn.Module
    inputs: tuple[str, ...]
    output: str


class Graph(nn.Module):
    """Layers that read and write named variables and run in order; returns the last variable written."""

    def __init__(self, entry: str, steps: Sequence[Step]):
        super().__init__()
        self.entry = entry
        self.wires = [(step.name, step.inputs, step.output) for step in steps]
        for step in steps:
            self.add_module(step.name, step.module)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = {self.entry: x}
        for name, inputs, output in self.wires:
            values[output] = self.get_submodule(name)(*(values[v] for v in inputs))
        return values[output]
