"""Receptive fields by the closed formula, propagated through the operations of a forward pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

Pair = tuple[float, float]


@dataclass(frozen=True)
class Field:
    """The receptive fields of a map's units, per axis (rows, columns), in input pixels.

    Attributes
    ----------
    extent : tuple of int
        The size of the map itself.
    size, stride : tuple of float
        Size and stride of the fields.
    offset : tuple of float
        The centre of the field of the unit at (0, 0).
    """

    extent: tuple[int, int]
    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    offset: Pair = (0, 0)

    def window(self, kernel: Pair, stride: Pair, padding: Pair, extent: tuple[int, int]) -> Field:
        """The field after a sliding window: size + (k - 1) stride; offset + ((k - 1) / 2 - p) stride; stride s.

        Parameters
        ----------
        kernel : tuple of float
            The dilated size of the window, k.
        stride : tuple of float
            Its step, s.
        padding : tuple of float
            What is added before the first row and column, p.
        extent : tuple of int
            The size of the new map.
        """
        return Field(
            extent,
            _pair(lambda a: self.size[a] + (kernel[a] - 1) * self.stride[a]),
            _pair(lambda a: self.stride[a] * stride[a]),
            _pair(lambda a: self.offset[a] + ((kernel[a] - 1) / 2 - padding[a]) * self.stride[a]),
        )

    def whole(self, axes: tuple[int, ...] = (0, 1)) -> Field:
        """The field after an operation that combines the whole map along some axes; the stride stays.

        Parameters
        ----------
        axes : tuple of int
            0 for rows, 1 for columns.
        """
        kernel = _pair(lambda a: self.extent[a] if a in axes else 1)
        rows, columns = (1 if a in axes else self.extent[a] for a in (0, 1))
        return self.window(kernel, (1, 1), (0, 0), (rows, columns))

    def enlarge(self, extent: tuple[int, int], reach: int) -> Field:
        """The field after upsampling.

        Parameters
        ----------
        extent : tuple of int
            The size of the new map.
        reach : int
            How many more cells a unit combines: 0 nearest, 1 bilinear, 3 bicubic.
        """
        factor = [extent[a] / self.extent[a] for a in (0, 1)]
        return Field(
            extent,
            _pair(lambda a: self.size[a] + reach * self.stride[a]),
            _pair(lambda a: self.stride[a] / factor[a]),
            _pair(lambda a: self.offset[a] + (1 / (2 * factor[a]) - 0.5) * self.stride[a]),
        )

    def shift(self, start: tuple[int, int], step: tuple[int, int], extent: tuple[int, int]) -> Field:
        """The field after slicing rows and columns.

        Parameters
        ----------
        start : tuple of int
            The first row and column; negative for padding.
        step : tuple of int
            The step.
        extent : tuple of int
            The size of the new map.
        """
        return replace(
            self,
            extent=extent,
            stride=_pair(lambda a: self.stride[a] * step[a]),
            offset=_pair(lambda a: self.offset[a] + start[a] * self.stride[a]),
        )

    def union(self, other: Field) -> Field:
        """The field where branches meet: the smallest that contains both, along each axis.

        Parameters
        ----------
        other : Field
            That of the other branch.
        """
        if self == other:
            return self
        if self.extent != other.extent:  # broadcast: the larger map's grid, the larger field
            large, small = (self, other) if math.prod(self.extent) >= math.prod(other.extent) else (other, self)
            return replace(large, size=_pair(lambda a: max(large.size[a], small.size[a])))
        low = _pair(lambda a: min(f.offset[a] - (f.size[a] - 1) / 2 for f in (self, other)))
        high = _pair(lambda a: max(f.offset[a] + (f.size[a] - 1) / 2 for f in (self, other)))
        return replace(self, size=_pair(lambda a: high[a] - low[a] + 1), offset=_pair(lambda a: (low[a] + high[a]) / 2))


def _pair(of_axis: Callable[[int], float]) -> Pair:
    return of_axis(0), of_axis(1)


def pair(value: Any, default: int = 1) -> tuple[int, int]:
    """The (rows, columns) part of an argument of a window.

    Parameters
    ----------
    value : int or sequence of int
        One number for both axes, or one per dimension, of which the last two count; or empty.
    default : int
        What an empty one stands for.

    Returns
    -------
    tuple of int
        (rows, columns).
    """
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values:
        return (default, default)
    return (values[0], values[0]) if len(values) == 1 else (values[-2], values[-1])


def _dilated(kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    return dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1


def propagate(op: str, inputs: list[Field], args: tuple, shapes: list[tuple], out_shape: tuple) -> Field:
    """The field of an ATen operation's output.

    Parameters
    ----------
    op : str
        Its name without overload.
    inputs : list of Field
        The fields of its tensor arguments that depend on the image.
    args : tuple
        Its positional arguments.
    shapes : list of tuple
        The shapes of those tensor arguments.
    out_shape : tuple of int
        The shape of its (first) output.

    Returns
    -------
    Field
        That of the output.
    """
    field = inputs[0]
    for other in inputs[1:]:
        field = field.union(other)
    shape = shapes[0]
    extent = (out_shape[-2], out_shape[-1]) if len(out_shape) >= 2 else (1, 1)

    def arg(k: int, default: Any = ()) -> Any:
        return args[k] if len(args) > k and args[k] is not None else default

    windowed = op in _WINDOWS or "adaptive" in op or "upsample" in op
    if windowed and tuple(shape[-2:]) != field.extent:
        field = replace(field.whole(), extent=(shape[-2], shape[-1]))  # rearranged: each cell may depend on everything
    if op == "convolution" or op == "_convolution":
        weight, stride, padding, dilation = arg(1), pair(arg(3)), pair(arg(4), 0), pair(arg(5))
        kernel = _dilated(pair(list(weight.shape[2:])), dilation)
        if arg(6, False):  # transposed: each output is reached by ceil(k / s) inputs
            reach = _pair(lambda a: math.ceil(kernel[a] / stride[a]))
            out = field.window(reach, _pair(lambda a: 1 / stride[a]), (0, 0), extent)
            offset = _pair(lambda a: field.offset[a] + (padding[a] - (kernel[a] - 1) / 2) / stride[a] * field.stride[a])
            return replace(out, offset=offset)
        return field.window(kernel, stride, padding, extent)
    if op in ("max_pool2d_with_indices", "max_pool2d", "max_pool3d_with_indices", "mkldnn_max_pool2d"):
        kernel = pair(arg(1))
        return field.window(_dilated(kernel, pair(arg(4))), pair(arg(2) or kernel), pair(arg(3, 0), 0), extent)
    if op in ("avg_pool2d", "avg_pool3d"):
        kernel = pair(arg(1))
        return field.window(kernel, pair(arg(2) or kernel), pair(arg(3, 0), 0), extent)
    if "adaptive" in op:
        step = _pair(lambda a: field.extent[a] / extent[a])
        reach = _pair(lambda a: math.ceil(step[a]) + (not float(step[a]).is_integer()))
        return field.window(reach, step, (0, 0), extent)
    if op.startswith("upsample") or op.startswith("_upsample"):
        return field.enlarge(extent, 0 if "nearest" in op else 3 if "bicubic" in op else 1)
    if op == "pixel_shuffle":
        return field.enlarge(extent, 0)
    if op in ("constant_pad_nd", "reflection_pad2d", "replication_pad2d"):
        pads = [*arg(1), 0, 0, 0, 0]
        return field.shift((-pads[2], -pads[0]), (1, 1), extent) if len(shape) >= 4 else field
    if op == "slice" and len(shape) == 4 and tuple(shape[-2:]) == field.extent:
        axis = arg(1, 0) % 4 - 2
        if axis >= 0:
            start, skip = arg(2, 0), arg(4, 1)
            start = max(start + shape[axis + 2], 0) if start < 0 else start
            first = (start, 0) if axis == 0 else (0, start)
            return field.shift(first, (skip, 1) if axis == 0 else (1, skip), extent)
    if op in _REDUCTIONS and len(shape) == 4 and tuple(shape[-2:]) == field.extent:
        dims = arg(1)
        dims = [dims] if isinstance(dims, int) else list(dims) or [2, 3]
        return field.whole(tuple(d % 4 - 2 for d in dims if d % 4 >= 2))
    if op in _PRODUCTS:
        # rows that are positions (channels last) are combined over channels only; else over everything
        rows = shape[0] if len(shape) == 2 else 1
        return field if rows > 1 and rows == math.prod(field.extent) else field.whole()
    return field


_WINDOWS = {
    "convolution", "_convolution", "max_pool2d_with_indices", "max_pool2d", "mkldnn_max_pool2d",
    "max_pool3d_with_indices", "avg_pool2d",
}  # fmt: skip
_REDUCTIONS = {"mean", "sum", "amax", "amin", "max", "min", "logsumexp"}
_PRODUCTS = {
    "mm", "addmm", "bmm", "baddbmm", "matmul", "linear", "mv", "dot", "_scaled_dot_product_flash_attention_for_cpu",
    "scaled_dot_product_attention", "_scaled_dot_product_efficient_attention", "_scaled_dot_product_flash_attention",
    "_native_multi_head_attention", "_transformer_encoder_layer_fwd",
}  # fmt: skip
