"""MatConvNet's layers: from a struct with its weights to a module and the shape of its output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import nn

from ...errors import WeightsError, brief_value
from ..architectures.alexnet import ResponseNorm
from ..architectures.blocks import (
    Concat,
    ForwardResponseNorm,
    PaddedAvgPool2d,
    PaddedConv2d,
    PaddedMaxPool2d,
    Pads,
    Sum,
)

Shape = tuple[int, int, int]  # channels, rows, columns
_LARGEST = 4096
MOST_NUMBERS = 2**26  # of a layer's output: a quarter of a gigabyte


def _empty(value: Any) -> bool:
    return (value.size if isinstance(value, np.ndarray) else len(value)) == 0


@dataclass(eq=False)
class Source:
    """A layer as read from the file. weights: arrays in MatConvNet's order; inputs, output: names of variables."""

    file: str
    name: str
    kind: str
    fields: dict[str, Any]
    weights: list[Any]
    inputs: tuple[str, ...]
    output: str

    def error(self, found: str, expected: str) -> WeightsError:
        """The error to raise for this layer."""
        return WeightsError(f"{self.file}: layer {brief_value(self.name)}: {found}; expected {expected}.")

    def numbers(self, key: str, default: list[float]) -> list[float]:
        """The numbers of a field, finite. Raises WeightsError."""
        value = self.fields.get(key)
        if value is None or _empty(value):
            return default
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "uifb" or not np.isfinite(value).all():
            raise self.error(f"{key} cannot be read", "finite numbers")
        return [float(v) for v in value.ravel()]

    def integers(self, key: str, default: int | None, least: int, count: int) -> tuple[int, ...]:
        """`count` integers: one counts for all; two, of four, for rows and columns. Raises WeightsError."""
        values = self.numbers(key, [] if default is None else [default])
        if len(values) == 1:
            values *= count
        elif len(values) == 2 and count == 4:
            values = [values[0], values[0], values[1], values[1]]
        if len(values) != count or any(v != int(v) or not least <= v <= _LARGEST for v in values):
            shown = [f"{v:g}" for v in values]
            raise self.error(f"{key} is [{' '.join(shown)}]", f"1 or {count} whole numbers from {least} to {_LARGEST}")
        return tuple(map(int, values))

    def pair(self, key: str, default: int | None, least: int) -> tuple[int, int]:
        """Two integers, for rows and columns. Raises WeightsError."""
        rows, columns = self.integers(key, default, least, 2)
        return rows, columns

    def pads(self) -> Pads:
        """Top, bottom, left and right padding. Raises WeightsError."""
        top, bottom, left, right = self.integers("pad", 0, 0, 4)
        return top, bottom, left, right

    def array(self, k: int, what: str) -> np.ndarray | None:
        """The k-th array of the weights, None if there is none or an empty one. Raises WeightsError."""
        value = self.weights[k] if len(self.weights) > k else None
        if value is None or _empty(value):
            return None
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "uif":
            raise self.error(f"{what} are not an array of real numbers", "single or double")
        if not np.isfinite(value).all():
            raise self.error(f"{what} have values that are not finite", "finite ones (fetch the file again)")
        return value.astype(np.float32, copy=False)

    def vector(self, k: int, what: str, count: int) -> torch.Tensor | None:
        """The k-th array as a vector. Raises WeightsError."""
        value = self.array(k, what)
        if value is not None and value.size != count:
            raise self.error(f"{what} have shape {value.shape}", f"{count} values")
        return None if value is None else torch.from_numpy(value.ravel().copy())

    def output_size(
        self, shape: Shape, kernel: tuple[int, int], stride: tuple[int, int], pads: Pads
    ) -> tuple[int, int]:
        """floor((H + pads - k) / s) + 1, per axis. Raises WeightsError if the window is larger than its input."""
        padded = (shape[1] + pads[0] + pads[1], shape[2] + pads[2] + pads[3])
        if any(k > p for k, p in zip(kernel, padded, strict=True)):
            raise self.error(f"its window is {kernel[0]} x {kernel[1]}", f"at most {padded[0]} x {padded[1]}")
        rows, columns = ((p - k) // s + 1 for p, k, s in zip(padded, kernel, stride, strict=True))
        if prod(padded) * shape[0] > MOST_NUMBERS:
            raise self.error(
                f"its padded input is {padded[0]} x {padded[1]} x {shape[0]}", f"at most {MOST_NUMBERS} numbers"
            )
        return rows, columns


def _parameters(module: nn.Module, weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    """The module, built on the meta device, with its parameters."""
    module.weight = nn.Parameter(weight.contiguous())
    if bias is not None:
        module.bias = nn.Parameter(bias)
    return module


def _conv(source: Source, shapes: list[Shape]) -> tuple[nn.Module, Shape]:
    shape = shapes[0]
    filters = source.array(0, "filters")
    if filters is None:
        raise source.error("it has no filters", "an array of H x W x C x K numbers")
    if filters.ndim > 4:
        raise source.error(f"filters have shape {filters.shape}", "H x W x C x K")
    filters = filters.reshape(filters.shape + (1,) * (4 - filters.ndim))  # MATLAB drops trailing ones
    sides: tuple[int, ...] = filters.shape
    h, w, depth, count = sides
    groups = shape[0] // depth
    if groups < 1 or shape[0] % depth or count % groups:
        raise source.error(
            f"filters have shape {filters.shape} on {shape[0]} channels",
            "a third number that divides the channels, into groups that divide the fourth",
        )
    bias = source.vector(1, "biases", count)
    pads = source.pads()
    stride, dilation = source.pair("stride", 1, 1), source.pair("dilate", 1, 1)
    reach = dilation[0] * (h - 1) + 1, dilation[1] * (w - 1) + 1
    extent = source.output_size(shape, reach, stride, pads)
    weight = torch.from_numpy(
        np.array(filters.transpose(3, 2, 0, 1), order="C")
    )  # a copy, so that the file's memory is freed
    if (h, w) == shape[1:] and groups == 1 and not any(pads):
        linear = nn.Linear(prod(shape), count, bias=bias is not None, device="meta")
        return _parameters(linear, weight.flatten(1), bias), (count, 1, 1)
    module: nn.Module
    options: dict[str, Any] = {
        "stride": stride,
        "dilation": dilation,
        "groups": groups,
        "bias": bias is not None,
        "device": "meta",
    }
    if pads[0] == pads[1] and pads[2] == pads[3]:
        module = nn.Conv2d(shape[0], count, (h, w), padding=(pads[0], pads[2]), **options)
    else:
        module = PaddedConv2d(shape[0], count, (h, w), pads=pads, **options)
    return _parameters(module, weight, bias), (count, *extent)


def _pool(source: Source, shapes: list[Shape]) -> tuple[nn.Module, Shape]:
    """Torch's own pooling where it computes the same at every size, else a padded one."""
    shape = shapes[0]
    kernel = source.pair("poolSize" if "poolSize" in source.fields else "pool", None, 1)
    stride, pads = source.pair("stride", 1, 1), source.pads()
    method = source.fields.get("method", "max")
    if method not in ("max", "avg"):
        raise source.error(f"method is {brief_value(method)}", "'max' or 'avg'")
    if any(pad >= kernel[k // 2] for k, pad in enumerate(pads)):
        raise source.error(f"pad is {list(pads)}", f"less than its window, {kernel[0]} x {kernel[1]}")
    extent = source.output_size(shape, kernel, stride, pads)
    before, after = (pads[0], pads[2]), (pads[1], pads[3])
    even = before == after
    upward = all(b + s - 1 == a for b, a, s in zip(before, after, stride, strict=True))  # equals rounding up
    module: nn.Module
    if (even or upward) and all(2 * b <= k for b, k in zip(before, kernel, strict=True)):
        if method == "max":
            module = nn.MaxPool2d(kernel, stride, before, ceil_mode=not even)
        else:
            module = nn.AvgPool2d(kernel, stride, before, ceil_mode=not even, count_include_pad=False)
    else:
        module = (PaddedMaxPool2d if method == "max" else PaddedAvgPool2d)(kernel, stride, pads=pads)
    return module, (shape[0], *extent)


def _lrn(source: Source, shapes: list[Shape]) -> tuple[nn.Module, Shape]:
    """param: [n kappa alpha beta]; unlike Caffe's and torch's, alpha is not divided by n."""
    param = source.numbers("param", [5, 1, 1e-4 / 5, 0.75])
    if len(param) != 4 or param[0] != int(param[0]) or not 1 <= param[0] <= 2 * _LARGEST:
        raise source.error(f"param is {param}", "[n kappa alpha beta]")
    n, (kappa, alpha, beta) = int(param[0]), param[1:]
    if kappa < 0 or alpha < 0:
        raise source.error(f"param is {param}", "[n kappa alpha beta], none below zero")
    kind = ResponseNorm if n % 2 else ForwardResponseNorm
    return kind(n, alpha=alpha * n, beta=beta, k=kappa), shapes[0]


def _bnorm(source: Source, shapes: list[Shape]) -> tuple[nn.Module, Shape]:
    """(x - mu) / sigma * g + b with the moments [mu sigma] of training; sigma includes the epsilon."""
    channels = shapes[0][0]
    gain, bias = (source.vector(k, what, channels) for k, what in enumerate(("multipliers", "biases")))
    moments = source.array(2, "moments")
    if gain is None or bias is None or moments is None or moments.shape != (channels, 2) or moments[:, 1].min() <= 0:
        found = None if moments is None else moments.shape
        raise source.error(
            f"moments have shape {found}",
            f"({channels}, 2), a mean and a spread above zero, with multipliers and biases",
        )
    module = _parameters(nn.BatchNorm2d(channels, eps=0.0, device="meta"), gain, bias)
    module.running_mean = torch.from_numpy(moments[:, 0].copy())
    module.running_var = torch.from_numpy(moments[:, 1] ** 2)
    module.num_batches_tracked = torch.tensor(0)
    return module, shapes[0]


def _relu(source: Source, shapes: list[Shape]) -> tuple[nn.Module, Shape]:
    leak = source.numbers("leak", [0.0])
    if len(leak) != 1:
        raise source.error(f"leak is {leak}", "one number")
    return nn.LeakyReLU(leak[0]) if leak[0] else nn.ReLU(), shapes[0]


def _dropout(source: Source, shapes: list[Shape]) -> tuple[nn.Module, Shape]:
    rate = source.numbers("rate", [0.5])
    if len(rate) != 1 or not 0 <= rate[0] <= 1:
        raise source.error(f"rate is {rate}", "one number from 0 to 1")
    return nn.Dropout(rate[0]), shapes[0]


def _sum(source: Source, shapes: list[Shape]) -> tuple[nn.Module, Shape]:
    if len(set(shapes)) != 1:
        raise source.error(f"its inputs have shapes {shapes}", "one shape (channels, rows, columns) for all")
    return Sum(), shapes[0]


def _concat(source: Source, shapes: list[Shape]) -> tuple[nn.Module, Shape]:
    if source.numbers("dim", [3.0]) != [3.0]:
        raise source.error(f"dim is {source.numbers('dim', [])}", "3, the channels")
    if len({shape[1:] for shape in shapes}) != 1:
        raise source.error(f"its inputs have shapes {shapes}", "the same rows and columns (channels, rows, columns)")
    return Concat(), (sum(shape[0] for shape in shapes), *shapes[0][1:])


MAKERS: dict[str, Callable[[Source, list[Shape]], tuple[nn.Module, Shape]]] = {
    "conv": _conv,
    "pool": _pool,
    "lrn": _lrn,
    "bnorm": _bnorm,
    "relu": _relu,
    "sigmoid": lambda source, shapes: (nn.Sigmoid(), shapes[0]),
    "dropout": _dropout,
    "softmax": lambda source, shapes: (nn.Softmax(1), shapes[0]),
    "sum": _sum,
    "concat": _concat,
}
POINTWISE = {"relu", "sigmoid", "dropout", "softmax", "sum", "concat"}  # layers that also run on (N, K)
