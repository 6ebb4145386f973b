"""Receptive fields by the closed formula, carried through the operations that a forward pass performs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

Pair = tuple[float, float]


@dataclass(frozen=True)
class Field:
    """What one unit of a map sees of the input, per axis (rows, columns), in input pixels.

    extent: the map's own size; size, stride, offset: the receptive field's (offset: centre of unit (0, 0)'s).
    """

    extent: tuple[int, int]
    size: Pair = (1, 1)
    stride: Pair = (1, 1)
    offset: Pair = (0, 0)

    def window(self, kernel: Pair, stride: Pair, padding: Pair, extent: tuple[int, int]) -> Field:
        """After a sliding window; kernel is the dilated size, padding what is added before the first row and column.

        Formula: size + (k - 1) stride; offset + ((k - 1) / 2 - p) stride; stride s.
        """
        size, step, offset = [], [], []
        for a in (0, 1):
            size.append(self.size[a] + (kernel[a] - 1) * self.stride[a])
            offset.append(self.offset[a] + ((kernel[a] - 1) / 2 - padding[a]) * self.stride[a])
            step.append(self.stride[a] * stride[a])
        return Field(extent, tuple(size), tuple(step), tuple(offset))

    def whole(self, axes: tuple[int, ...] = (0, 1)) -> Field:
        """After an operation that sees the whole map along the given axes; the stride stays."""
        kernel = tuple(self.extent[a] if a in axes else 1 for a in (0, 1))
        extent = tuple(1 if a in axes else self.extent[a] for a in (0, 1))
        return self.window(kernel, (1, 1), (0, 0), extent)

    def enlarge(self, extent: tuple[int, int], reach: int) -> Field:
        """After up-sampling to `extent`; reach: how many more cells a unit mixes (0 nearest, 1 bilinear, 3 bicubic)."""
        factor = [extent[a] / self.extent[a] for a in (0, 1)]
        return Field(
            extent,
            tuple(self.size[a] + reach * self.stride[a] for a in (0, 1)),
            tuple(self.stride[a] / factor[a] for a in (0, 1)),
            tuple(self.offset[a] + (1 / (2 * factor[a]) - 0.5) * self.stride[a] for a in (0, 1)),
        )

    def shift(self, start: tuple[int, int], step: tuple[int, int], extent: tuple[int, int]) -> Field:
        """After slicing away (or, with a negative start, padding) rows and columns."""
        return replace(
            self,
            extent=extent,
            stride=tuple(s * k for s, k in zip(self.stride, step, strict=True)),
            offset=tuple(o + k * s for o, k, s in zip(self.offset, start, self.stride, strict=True)),
        )

    def union(self, other: Field) -> Field:
        """Where branches meet: the smallest field that holds both (along each axis)."""
        if self == other:
            return self
        if self.extent != other.extent:  # broadcast: the larger map's grid, the larger field
            large, small = (self, other) if math.prod(self.extent) >= math.prod(other.extent) else (other, self)
            return replace(large, size=tuple(map(max, large.size, small.size)))
        size, offset = [], []
        for a in (0, 1):
            low = min(f.offset[a] - (f.size[a] - 1) / 2 for f in (self, other))
            high = max(f.offset[a] + (f.size[a] - 1) / 2 for f in (self, other))
            size.append(high - low + 1)
            offset.append((low + high) / 2)
        return replace(self, size=tuple(size), offset=tuple(offset))


def pair(value, default: int = 1) -> tuple[int, int]:
    """The (rows, columns) part of a window argument, which may be one number, empty, or of more dimensions."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values:
        return (default, default)
    return tuple((values * 2)[:2] if len(values) == 1 else values[-2:])


def _dilated(kernel, dilation) -> tuple[int, int]:
    return tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))


def propagate(op: str, inputs: list[Field], args: tuple, shapes: list[tuple], out_shape: tuple) -> Field:
    """The field of an ATen operation's output.

    op: its name without overload; inputs: fields of its tracked tensor arguments, shapes: their shapes;
    args: its positional arguments; out_shape: the shape of its (first) output.
    """
    field = inputs[0]
    for other in inputs[1:]:
        field = field.union(other)
    shape = shapes[0]
    extent = tuple(out_shape[-2:]) if len(out_shape) >= 2 else (1, 1)

    def arg(k, default=()):
        return args[k] if len(args) > k and args[k] is not None else default

    windowed = op in _WINDOWS or "adaptive" in op or "upsample" in op
    if windowed and tuple(shape[-2:]) != field.extent:
        field = replace(field.whole(), extent=tuple(shape[-2:]))  # the grid was rearranged: each cell may see all
    if op == "convolution" or op == "_convolution":
        weight, stride, padding, dilation = arg(1), pair(arg(3)), pair(arg(4), 0), pair(arg(5))
        kernel = _dilated(pair(list(weight.shape[2:])), dilation)
        if arg(6, False):  # transposed: each output is reached by ceil(k / s) inputs
            reach = tuple(math.ceil(k / s) for k, s in zip(kernel, stride, strict=True))
            out = field.window(reach, tuple(1 / s for s in stride), (0, 0), extent)
            offset = tuple(
                field.offset[a] + (padding[a] - (kernel[a] - 1) / 2) / stride[a] * field.stride[a] for a in (0, 1)
            )
            return replace(out, offset=offset)
        return field.window(kernel, stride, padding, extent)
    if op in ("max_pool2d_with_indices", "max_pool2d", "max_pool3d_with_indices", "mkldnn_max_pool2d"):
        kernel = pair(arg(1))
        return field.window(_dilated(kernel, pair(arg(4))), pair(arg(2) or kernel), pair(arg(3, 0), 0), extent)
    if op in ("avg_pool2d", "avg_pool3d"):
        kernel = pair(arg(1))
        return field.window(kernel, pair(arg(2) or kernel), pair(arg(3, 0), 0), extent)
    if "adaptive" in op:
        stride = tuple(i / o for i, o in zip(field.extent, extent, strict=True))
        kernel = tuple(math.ceil(s) + (not float(s).is_integer()) for s in stride)
        return field.window(kernel, stride, (0, 0), extent)
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
            start, step = arg(2, 0), arg(4, 1)
            start = max(start + shape[axis + 2], 0) if start < 0 else start
            here = tuple(start if a == axis else 0 for a in (0, 1))
            return field.shift(here, tuple(step if a == axis else 1 for a in (0, 1)), extent)
    if op in _REDUCTIONS and len(shape) == 4 and tuple(shape[-2:]) == field.extent:
        dims = arg(1)
        dims = [dims] if isinstance(dims, int) else list(dims) or [2, 3]
        return field.whole(tuple(d % 4 - 2 for d in dims if d % 4 >= 2))
    if op in _PRODUCTS:
        # rows that are positions (channels last) are mixed over channels only; else the product sees everything
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
