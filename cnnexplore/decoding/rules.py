"""Substitution rules: how a patch of an operation's result is carried to the operations that it is computed from."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from ..network.graph import MATRIX_PRODUCTS, Operation
from ..network.windows import pair
from .patch import Patch, cut, is_map, of_whole, whole
from .unpooling import unpool


class UnknownOperation(Exception):
    """An operation that substitution has no rule for; the message names it."""


Below = list[tuple[Operation, Patch]]
Rule = Callable[[Operation, Patch, str], Below]


def _argument(operation: Operation, place: int, name: str, default: Any = None) -> Any:
    """An argument by its place or its name, as PyTorch recorded it."""
    if len(operation.args) > place:
        return operation.args[place]
    return operation.kwargs.get(name, default)


def _same(operation: Operation, patch: Patch, method: str) -> Below:
    """Element-wise functions change nothing."""
    return [(operation.inputs[0], patch)]


def _convolution(operation: Operation, patch: Patch, method: str) -> Below:
    weight = operation.args[1]
    stride, padding, dilation = (pair(operation.args[k]) for k in (3, 4, 5))
    if operation.args[6] or isinstance(weight, Operation) or weight.dim() != 4:
        raise UnknownOperation("a convolution that is transposed, not two-dimensional or has a computed filter")
    shape = operation.inputs[0].shape
    below = F.conv_transpose2d(patch.values, weight.to(patch.values), None, stride, 0, 0, operation.args[8], dilation)
    top, left = (p * s - q for p, s, q in zip(patch[1:], stride, padding, strict=True))
    return [(operation.inputs[0], cut(below, top, left, shape))]


def _pool(operation: Operation, patch: Patch, method: str) -> Below:
    """Max and average pooling: the map is up-sampled to the grid that was pooled."""
    kernel = pair(operation.args[1])
    stride = pair(_argument(operation, 2, "stride") or kernel)
    padding = pair(_argument(operation, 3, "padding", 0))
    if operation.name.startswith(("max", "mkldnn")):
        dilation = pair(_argument(operation, 4, "dilation", 1))
        kernel = pair([d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)])
    shape = operation.inputs[0].shape
    size = pair([(n - 1) * s + k for n, s, k in zip(patch.values.shape[2:], stride, kernel, strict=True)])
    below = unpool(patch.values, kernel, stride, size, method)
    top, left = (p * s - q for p, s, q in zip(patch[1:], stride, padding, strict=True))
    return [(operation.inputs[0], cut(below, top, left, shape))]


def _resized(operation: Operation, patch: Patch, method: str) -> Below:
    """Adaptive pooling, and means over the whole map."""
    source = operation.inputs[0]
    values = patch.values if is_map(operation.shape) else patch.values.reshape(len(patch.values), -1, 1, 1)
    if is_map(operation.shape):
        values = whole(patch, operation.shape)[:, 0]
    rows, columns = source.shape[2:]
    step = rows / values.shape[2], columns / values.shape[3]
    return [(source, Patch(unpool(values, step, step, (rows, columns), method)))]


def _mean(operation: Operation, patch: Patch, method: str) -> Below:
    source = operation.inputs[0]
    dims = _argument(operation, 1, "dim") or []
    if not is_map(source.shape) or {d % 4 for d in dims} != {2, 3}:
        raise UnknownOperation("a mean over other than all rows and columns")
    return _resized(operation, patch, method)


def _linear(operation: Operation, patch: Patch, method: str) -> Below:
    """addmm(bias, x, W'), mm(x, W'), bmm(x, W'), linear(x, W) and W'x: a convolution with filters of one position."""
    first = 1 if operation.name in ("addmm", "baddbmm") else 0
    left, right = operation.args[first : first + 2]
    known = [value for value in operation.args if isinstance(value, Operation)]
    if len(known) != 1 or operation.kwargs:
        raise UnknownOperation("a product of two computed maps")
    source, values = known[0], whole(patch, operation.shape)
    if source is left:
        weight = right if operation.name == "linear" else right.mT
        below = values @ weight.to(values)
    elif source is right:
        below = left.mT.to(values) @ values
    else:
        raise UnknownOperation("a computed bias")
    return [(source, of_whole(below, source.shape))]


def _sum(operation: Operation, patch: Patch, method: str) -> Below:
    """Both terms get the patch; a subtrahend is negated; constants are biases and are dropped."""
    found = []
    for k, term in enumerate(operation.args[:2]):
        if isinstance(term, Operation):
            sign = -1 if operation.name == "sub" and k == 1 else 1
            factor = sign * (operation.kwargs.get("alpha", 1) if k == 1 else 1)
            scaled = patch if factor == 1 else patch._replace(values=patch.values * factor)
            found.append((term, _reduced(scaled, operation.shape, term.shape)))
    return found


def _reduced(patch: Patch, shape: tuple[int, ...], smaller: tuple[int, ...]) -> Patch:
    """The patch of a term that was broadcast: the sum over its repetitions."""
    if shape == smaller:
        return patch
    values = whole(patch, shape)
    while values.dim() > len(smaller) + 1:
        values = values.sum(1)
    again = [k + 1 for k, size in enumerate(smaller) if size == 1 and values.shape[k + 1] > 1]
    return of_whole(values.sum(again, keepdim=True) if again else values, smaller)


def _scaled(operation: Operation, patch: Patch, method: str) -> Below:
    """A product with a constant; a computed factor of fewer values is a gate or a norm, and counts as 1."""
    one, other = operation.args[:2]
    if isinstance(one, Operation) and isinstance(other, Operation):
        if operation.name != "div" and math.prod(one.shape) == math.prod(other.shape):
            raise UnknownOperation("a product of two computed maps")
        larger = one if operation.name == "div" or math.prod(one.shape) > math.prod(other.shape) else other
        return [(larger, patch)]
    source, factor = (one, other) if isinstance(one, Operation) else (other, one)
    if operation.name == "div":
        if source is other:
            raise UnknownOperation("a constant divided by a map")
        factor = 1 / factor
    if source.shape != operation.shape:
        raise UnknownOperation("a map that is repeated by a product")
    return [(source, _times(patch, factor, operation.shape))]


def _times(patch: Patch, factor: torch.Tensor | float, shape: tuple[int, ...]) -> Patch:
    if isinstance(factor, torch.Tensor):
        factor = factor.to(patch.values)
        if is_map(shape) and factor.dim() > 1 and factor.shape[-2:].numel() > 1:  # one factor per position
            return of_whole(whole(patch, shape) * factor, shape)
    return patch._replace(values=patch.values * factor)


def _channels(values: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """(C,) as a factor for (1, C) or (1, C, H, W)."""
    return values.reshape(-1, *(1,) * (len(shape) - 2))


def _batch_norm(operation: Operation, patch: Patch, method: str) -> Below:
    weight, variance = operation.args[1], operation.args[4]
    eps = _EPS[operation.name](operation)
    scale = (variance.to(patch.values) + eps).rsqrt()  # not in half precision
    scale = scale if weight is None else scale * weight.to(patch.values)
    return [(operation.inputs[0], _times(patch, _channels(scale, operation.shape), operation.shape))]


_EPS = {
    "native_batch_norm": lambda o: o.args[7],
    "cudnn_batch_norm": lambda o: o.args[7],
    "miopen_batch_norm": lambda o: o.args[7],
    "_native_batch_norm_legit_no_training": lambda o: o.args[6],
}


def _own_norm(operation: Operation, patch: Patch, method: str) -> Below:
    """Normalisation by the image's own statistics: only the learned gain counts."""
    place = {"native_layer_norm": 2, "native_group_norm": 1}[operation.name]
    weight = operation.args[place]
    if weight is not None and operation.name == "native_group_norm":
        weight = _channels(weight, operation.shape)
    return [(operation.inputs[0], patch if weight is None else _times(patch, weight, operation.shape))]


def _concatenated(operation: Operation, patch: Patch, method: str) -> Below:
    dim = _argument(operation, 1, "dim", 0) % len(operation.shape)
    parts = operation.args[0]
    values = patch.values
    place = dim if is_map(operation.shape) and dim == 1 else dim + 1
    if place != dim:
        values = whole(patch, operation.shape)
    found, first = [], 0
    for part in parts:
        size = part.shape[dim]
        if isinstance(part, Operation):
            piece = values.narrow(place, first, size)
            found.append((part, patch._replace(values=piece) if place == dim else of_whole(piece, part.shape)))
        first += size
    return found


def _taken(operation: Operation, patch: Patch, method: str) -> Below:
    """A slice of a result: the patch at the slice's position in zeros."""
    source = operation.inputs[0]
    values = whole(patch, operation.shape)
    below = values.new_zeros(len(values), *source.shape)
    if operation.name == "slice":
        dim, start, end, step = (_argument(operation, k, "", d) for k, d in ((1, 0), (2, None), (3, None), (4, 1)))
        parts = [slice(None)] * len(source.shape)
        parts[dim] = slice(start, end, step)
        at = (slice(None), *parts)
        below[at] = values
    else:
        sizes, dim = operation.args[1], _argument(operation, 2, "dim", 0) % len(source.shape)
        first = operation.output * sizes if isinstance(sizes, int) else sum(sizes[: operation.output])
        below.narrow(dim + 1, first, operation.shape[dim]).copy_(values)
    return [(source, of_whole(below, source.shape))]


def _reshaped(operation: Operation, patch: Patch, method: str) -> Below:
    source = operation.inputs[0]
    if operation.shape == source.shape:
        return [(source, patch)]
    return [(source, of_whole(whole(patch, operation.shape).reshape(-1, *source.shape), source.shape))]


def _expanded(operation: Operation, patch: Patch, method: str) -> Below:
    source = operation.inputs[0]
    return [(source, _reduced(patch, operation.shape, source.shape))]


def _permuted(operation: Operation, patch: Patch, method: str) -> Below:
    source = operation.inputs[0]
    n = len(source.shape)
    if operation.name == "permute":
        order = [d % n for d in operation.args[1]]
    else:
        a, b = (operation.args[1] % n, operation.args[2] % n) if operation.name == "transpose" else (0, n - 1)
        order = list(range(n))
        order[a], order[b] = b, a
    back = [0, *(1 + order.index(d) for d in range(n))]
    return [(source, of_whole(whole(patch, operation.shape).permute(back), source.shape))]


def _padded(operation: Operation, patch: Patch, method: str) -> Below:
    """The part of the patch in the padding is dropped."""
    source, pads = operation.inputs[0], list(operation.args[1])
    if not is_map(source.shape) or any(pads[4:]):
        raise UnknownOperation("padding other than of rows and columns")
    pads += [0, 0]
    return [(source, cut(patch.values, patch.top - pads[2], patch.left - pads[0], source.shape))]


RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("relu", "relu6", "leaky_relu", "prelu", "_prelu_kernel", "elu", "celu", "selu", "gelu", "silu", "mish",
         "hardtanh", "hardswish", "hardsigmoid", "sigmoid", "tanh", "softplus", "threshold", "clamp", "clamp_min",
         "clamp_max", "_softmax", "_log_softmax", "softmax", "log_softmax", "dropout", "native_dropout", "alias",
         "clone", "contiguous", "_to_copy", "detach", "local_response_norm"),
        _same,
    ),
    **dict.fromkeys(("convolution", "_convolution"), _convolution),
    **dict.fromkeys(("max_pool2d", "max_pool2d_with_indices", "mkldnn_max_pool2d", "avg_pool2d"), _pool),
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d"), _resized),
    **dict.fromkeys(_EPS, _batch_norm),
    **dict.fromkeys(("native_layer_norm", "native_group_norm"), _own_norm),
    **dict.fromkeys(MATRIX_PRODUCTS, _linear),
    **dict.fromkeys(("add", "sub"), _sum),
    **dict.fromkeys(("mul", "div"), _scaled),
    **dict.fromkeys(("slice", "split", "split_with_sizes"), _taken),
    **dict.fromkeys(("view", "_unsafe_view", "reshape", "flatten", "squeeze", "unsqueeze", "as_strided"), _reshaped),
    **dict.fromkeys(("permute", "transpose", "t"), _permuted),
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _padded),
    "cat": _concatenated,
    "expand": _expanded,
    "mean": _mean,
}  # fmt: skip
