"""Which part of the image each element of an operation's result depends on: one rule per kind of ATen operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map

from . import windows
from .origins import CENTRE, STRIDE, Origins, compress

Rule = Callable[[Origins, str, "Call"], torch.Tensor | None]


class Call:
    """One ATen call: its function, arguments and results.

    Parameters
    ----------
    func : callable
        The ATen overload.
    args, kwargs : tuple and dict
        Its arguments.
    out : torch.Tensor
        The result whose entries are asked for.
    index : int
        Which of several results it is.
    """

    def __init__(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any], out: torch.Tensor, index: int):
        self.func, self.args, self.kwargs, self.out, self.index = func, args, kwargs, out, index

    def arg(self, k: int, default: Any = ()) -> Any:
        """A positional argument, or a default where it is missing or None."""
        return self.args[k] if len(self.args) > k and self.args[k] is not None else default

    @property
    def shape(self) -> torch.Size:
        """The shape of the result."""
        return self.out.shape


def operation_name(func: Any) -> str:
    """The name of an ATen overload, without namespace, overload and trailing underscore."""
    name = func._schema.name.split("::")[-1]
    return name[:-1] if name.endswith("_") and not name.endswith("__") else name


def propagate(
    origins: Origins, func: Any, args: tuple, kwargs: dict[str, Any], outputs: Sequence[torch.Tensor]
) -> None:
    """Set the entries of what an ATen operation returned.

    Parameters
    ----------
    origins : Origins
        Those of the pass.
    func : callable
        The ATen overload.
    args, kwargs : tuple and dict
        Its arguments, at least one of which depends on the image.
    outputs : sequence of torch.Tensor
        Its results.
    """
    mutable = func._schema.is_mutable
    name = operation_name(func)
    for index, out in enumerate(outputs):
        if out.layout != torch.strided or (origins.knows(out) and not mutable):
            continue  # a view of what is known
        call = Call(func, args, kwargs, out, index)
        entries = None
        with suppress(RuntimeError, IndexError, TypeError, ValueError):  # of an unusual signature nothing is assumed
            entries = _rule(name, func)(origins, name, call)
        origins.write(out, _unknown(origins, name, call) if entries is None else entries)


def _rule(name: str, func: Any) -> Rule:
    if name in RULES:
        return RULES[name]
    if name.startswith(("upsample", "_upsample")):
        return _upsampled
    if "adaptive" in name:
        return _adaptive
    if "scaled_dot_product" in name:
        return _attention
    return _pointwise if torch.Tag.pointwise in func.tags else _unknown


def _known(origins: Origins, call: Call) -> list[torch.Tensor]:
    leaves = tree_leaves((list(call.args), call.kwargs))
    return [t for t in leaves if isinstance(t, torch.Tensor) and origins.knows(t)]


def _entries(origins: Origins, value: Any) -> torch.Tensor | None:
    return origins.of(value) if isinstance(value, torch.Tensor) and origins.knows(value) else None


def _pointwise(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    found = [origins.of(t) for t in _known(origins, call)]
    return origins.merge(*found).expand(call.shape)


def _moved(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    """Elements that are moved: the operation itself moves their entries."""

    def moved(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        if origins.knows(value):
            return origins.of(value)
        if value.is_floating_point() or value.is_complex():
            return torch.zeros(value.shape)
        return value.cpu()

    args, kwargs = tree_map(moved, (list(call.args), dict(call.kwargs)))
    kwargs = {key: value for key, value in kwargs.items() if key not in ("dtype", "device", "memory_format", "layout")}
    if call.func._schema.is_mutable:  # the target is among the arguments
        target = origins.of(call.args[0]) if origins.knows(call.args[0]) else torch.zeros(call.args[0].shape)
        args[0] = target.clone()
    if name == "scatter" and len(args) > 3 and not isinstance(args[3], torch.Tensor):
        args[3] = 0  # a constant is written
    return tree_leaves(call.func(*args, **kwargs))[call.index]


def _indexed(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    """Elements that are moved along a dimension, to or from places that the image may decide."""
    if not any(origins.knows(t) for t in call.args[2:3]):
        return _moved(origins, name, call)
    tensors = [t for t in (call.args[0], *call.args[2:]) if isinstance(t, torch.Tensor) and origins.knows(t)]
    parts = [origins.combine(origins.of(t), [call.args[1]]) for t in tensors]
    return origins.merge(*(part.expand(call.shape) for part in parts))


def _copied(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    source = call.args[1] if name == "copy" else call.args[0]
    return origins.of(source) if origins.knows(source) else torch.zeros(source.shape)


def _gated(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    entries = _entries(origins, call.args[0])
    return None if entries is None else origins.merge(*entries.chunk(2, call.arg(1, -1)))


def _filled(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    return torch.zeros(())


def _convolved(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    entries = _entries(origins, call.args[0])
    if entries is None or entries.dim() not in (4, 3) or call.args[1].dim() != 4:
        return None
    kernel, step = windows.pair(list(call.args[1].shape[2:])), windows.pair(call.arg(3))
    padding, dilation = windows.pair(call.arg(4), 0), windows.pair(call.arg(5))
    fields = windows.on_grid(origins.fields(compress_leading(origins.combine(entries, [-3]))), origins.size)
    size = call.shape[-2:]
    for a in (0, 1):
        along = windows.transposed if call.arg(6, False) else windows.slide
        fields = along(fields, a, kernel[a], step[a], padding[a], dilation[a], size[a])
    return origins.add(fields)


def compress_leading(entries: torch.Tensor) -> torch.Tensor:
    """The same entries, with a size of 1 along leading dimensions on which they do not depend."""
    for d in range(entries.dim() - 2):
        if entries.shape[d] > 1:
            first = entries.narrow(d, 0, 1)
            if bool((entries == first).all()):
                entries = first
    return entries


def _pooled(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    entries = _entries(origins, call.args[0])
    if entries is None:
        return None
    average = "avg" in name
    if "3d" in name:  # a window over channels as well, as in response normalisation
        entries = origins.combine(entries, [-3])
    kernel = windows.pair(call.arg(1))
    step, padding = windows.pair(call.arg(2) or kernel), windows.pair(call.arg(3, 0), 0)
    dilation = (1, 1) if average else windows.pair(call.arg(4))
    fields = windows.on_grid(origins.fields(compress_leading(entries)), origins.size)
    for a in (0, 1):
        fields = windows.slide(fields, a, kernel[a], step[a], padding[a], dilation[a], call.shape[a - 2])
    return origins.add(fields)


def _adaptive(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    entries = _entries(origins, call.args[0])
    if entries is None or "3d" in name:
        return None
    fields = windows.on_grid(origins.fields(compress_leading(entries)), origins.size)
    return origins.add(windows.both(fields, lambda f, a: windows.adaptive(f, a, call.shape[a - 2])))


def _upsampled(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    entries = _entries(origins, call.args[0])
    if entries is None or "3d" in name:
        return None
    mode = "nearest" if "nearest" in name else "cubic" if "cubic" in name or "lanczos" in name else "linear"
    align = mode != "nearest" and bool(call.arg(2, False))
    fields = windows.on_grid(origins.fields(compress_leading(entries)), origins.size)
    return origins.add(windows.both(fields, lambda f, a: windows.resampled(f, a, call.shape[a - 2], mode, align)))


def _unpooled(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    entries = _entries(origins, call.args[0])
    if entries is None:
        return None
    fields = windows.on_grid(origins.fields(compress_leading(entries)), origins.size)
    return origins.add(windows.both(fields, lambda f, a: windows.resampled(f, a, call.shape[a - 2], "nearest", False)))


def _shuffled(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    entries = _entries(origins, call.args[0])
    alike = entries is not None and compress(entries).shape[-3] == 1
    return _unpooled(origins, name, call) if alike else _moved(origins, name, call)


def _padded(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    entries = _entries(origins, call.args[0])
    pads = list(call.arg(1))
    if entries is None:
        return None
    grid = entries.dim() in (3, 4) and not origins.varies(entries, -3)
    grid = grid and (origins.varies(entries, -1) or origins.varies(entries, -2))
    if not grid or any(pads[4:]):
        return torch.nn.functional.pad(entries, pads) if name == "constant_pad_nd" else _moved(origins, name, call)
    fields = origins.fields(compress_leading(entries))
    for a in (0, 1):
        before = pads[2 - 2 * a] if len(pads) > 2 or a == 1 else 0
        fields = windows.take(fields, a, torch.arange(call.shape[a - 2]) - before)
    return origins.add(fields)


def _reduced(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    entries = _entries(origins, call.args[0])
    if entries is None:
        return None
    lengths = list(entries.shape)
    dims = call.arg(2 if "norm" in name else 1)
    dims = [dims] if isinstance(dims, int) and not isinstance(dims, bool) else list(dims) if dims != () else []
    dims = [d % len(lengths) for d in dims] or list(range(len(lengths)))
    if isinstance(call.arg(1), bool):  # var(x, unbiased)
        dims = list(range(len(lengths)))
    moving = [[d for d in dims if origins.varies(entries, d, (column,))] for column in CENTRE]
    fields = origins.fields(compress(origins.combine(entries, dims)))
    for a in (0, 1):  # one cell stands for all: what is upsampled from it spreads over them
        for d in moving[a]:
            fields[..., STRIDE[a]] = fields[..., STRIDE[a]] * lengths[d]
    found = origins.add(fields).expand([1 if d in dims else n for d, n in enumerate(lengths)])
    kept = [n for d, n in enumerate(lengths) if d not in dims]
    return found if found.dim() == len(call.shape) else found.reshape(kept) if kept else found.reshape(())


def _selected(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    """Sorting, top k and cumulative sums: each result depends on all along the dimension."""
    entries = _entries(origins, call.args[0])
    if entries is None:
        return None
    position = 2 if name in ("topk", "kthvalue") else 1
    dim = call.arg(position, -1)
    dim = dim if isinstance(dim, int) and not isinstance(dim, bool) else -1
    if entries.shape == call.shape:
        return origins.seeing(entries, [dim])
    return origins.combine(entries, [dim]).expand(call.shape)


def _softmax(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    entries = _entries(origins, call.args[0])
    if entries is None:
        return None
    dim = call.arg(1, -1)
    return origins.seeing(origins.settled(entries, dim), [dim])


def _normalised(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    """Layer, group and batch normalisation: all that is averaged over is seen."""
    entries = _entries(origins, call.args[0])
    if entries is None:
        return None
    if entries.shape != call.shape:  # the means and deviations
        return origins.combine(entries, range(entries.dim())).reshape(-1)[:1].expand(call.shape)
    if "layer_norm" in name or "rms_norm" in name:
        return origins.seeing(entries, range(-len(call.arg(1)), 0))
    if "group_norm" in name:
        return origins.seeing(entries, range(1, entries.dim()))
    if _averages_batch(name, call):
        return origins.seeing(entries, [d for d in range(entries.dim()) if d != 1])
    return entries


def _averages_batch(name: str, call: Call) -> bool:
    if "no_training" in name:
        return False
    if "no_stats" in str(call.func):
        return True
    names = [argument.name for argument in call.func._schema.arguments]
    given = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    if given.get("use_input_stats") is not None:
        return bool(given["use_input_stats"])
    return bool(given.get("training", given.get("train", False)))


def _multiplied(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    """Matrix products; the first argument of addmm and baddbmm is added."""
    first = 1 if name in ("addmm", "baddbmm", "addmv") else 0
    a, b = call.args[first], call.args[first + 1]
    left, right = _entries(origins, a), _entries(origins, b)
    if name == "linear":
        right = None if right is None else right.transpose(-1, -2)
    if name in ("mv", "addmv", "dot", "vdot"):
        right = None if right is None else right[:, None]
        left = left[None] if left is not None and left.dim() == 1 else left
        found = origins.product(left, right)
        return found[..., 0] if len(call.shape) else found.reshape(-1)[0]
    if name == "linear" and left is not None:
        found = origins.product(left, right)
    elif left is None and right is None:
        found = torch.zeros(())
    else:
        found = origins.product(left, right)
    added = _entries(origins, call.args[0]) if first else None
    found = found.expand(call.shape)
    return found if added is None else origins.merge(found, added.expand(call.shape))


def _attention(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    query, key, value = (_entries(origins, call.args[k]) for k in range(3))
    if len(call.shape) != 4:
        return torch.zeros(())
    seen = [origins.combine(one, [-1, -2]) for one in (key, value) if one is not None]
    if query is None:
        return origins.merge(*(one.expand(call.shape) for one in seen))
    own = origins.combine(query, [-1])
    fields = origins.fields(compress(own))
    wide = origins.fields(compress(origins.merge(*(one.expand(own.shape) for one in [own, *seen]))))
    shape = np.broadcast_shapes(fields.shape, wide.shape)
    fields = fields.expand(shape).clone()
    for column in (1, 2, 5, 6):
        fields[..., column] = wide[..., column]
    return origins.add(fields).expand(*call.shape[:-1], 1).expand(call.shape)


def _encoded(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    """torch's fused attention and transformer layers on (N, tokens, channels)."""
    entries = _entries(origins, call.args[0])
    if entries is None or entries.shape[:-1] != call.shape[:-1]:
        return None
    return origins.seeing(origins.combine(entries, [-1]).expand(call.shape), [-1, -2])


def _folded(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    """Overlapping blocks that are summed: the mean of their centres; what they see is taken to be everything."""
    entries = _entries(origins, call.args[0])
    if entries is None:
        return None
    fields = origins.fields(entries)
    placed = (~fields[..., 0].isnan()).double()
    fold = lambda values: call.func(values, *call.args[1:], **call.kwargs)  # noqa: E731
    count = fold(placed)
    whole = origins.fields(origins.combine(entries, range(entries.dim())).reshape(-1)[:1])[0]
    out = whole.expand(*count.shape, len(whole)).clone()
    for column in (*CENTRE, *STRIDE):
        out[..., column] = fold(fields[..., column].nan_to_num(0) * placed) / count
    return origins.add(out)


def _sampled(origins: Origins, name: str, call: Call) -> torch.Tensor | None:
    """Sampling at a grid: the centres are sampled like values; what is seen is taken to be everything."""
    entries, grid = _entries(origins, call.args[0]), call.args[1]
    if entries is None or grid.dim() != 4:
        return None
    fields = origins.fields(compress_leading(origins.combine(entries, [1]))).expand(
        len(entries), 1, *entries.shape[2:], 10
    )
    whole = origins.fields(origins.combine(entries, range(entries.dim())).reshape(-1)[:1])[0]
    centres = fields[:, 0, :, :, list(CENTRE)].permute(0, 3, 1, 2)
    where, align = grid.detach().cpu().double(), bool(call.arg(4, False))
    sampled = torch.nn.functional.grid_sample(centres, where, "bilinear", "border", align_corners=align)
    out = whole.expand(len(entries), 1, *sampled.shape[2:], len(whole)).clone()
    for k, column in enumerate(CENTRE):
        out[..., column] = sampled[:, k : k + 1]
    return origins.add(out)


def _unknown(origins: Origins, name: str, call: Call) -> torch.Tensor:
    """Any other operation: everything may depend on everything; a map of the same grid keeps its centres."""
    found = [origins.of(t) for t in _known(origins, call)]
    if not found:
        return torch.zeros(())
    whole = [origins.combine(one, range(one.dim())).reshape(-1)[0] for one in found]
    everything = origins.merge(*whole)
    alike = next((one for one in found if one.shape == call.shape), None)
    if alike is None and len(call.shape) == 4:
        grid = next((one for one in found if one.dim() == 4 and one.shape[-2:] == call.shape[-2:]), None)
        alike = None if grid is None else origins.combine(grid, [1]).expand(len(grid), *call.shape[1:])
    wide = origins.fields(everything)
    small = None if alike is None else compress(alike)
    fields = wide.clone() if small is None else origins.fields(small)
    if small is None:
        for column in CENTRE:
            fields[..., column] = math.nan
    for column in (1, 2, 5, 6):
        fields[..., column] = wide[..., column]
    return origins.add(fields).expand(call.shape)


_NAMES: dict[Rule, tuple[str, ...]] = {
    _convolved: ("convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution", "conv2d"),
    _pooled: (
        "max_pool2d_with_indices", "max_pool2d", "mkldnn_max_pool2d", "avg_pool2d", "avg_pool3d",
        "max_pool3d_with_indices", "quantized_max_pool2d",
    ),
    _unpooled: ("max_unpool2d",),
    _shuffled: ("pixel_shuffle",),
    _padded: ("constant_pad_nd", "reflection_pad2d", "replication_pad2d", "pad"),
    _reduced: (
        "mean", "sum", "amax", "amin", "max", "min", "logsumexp", "var", "std", "prod", "median", "nansum",
        "linalg_vector_norm", "norm", "any", "all", "var_mean", "std_mean", "argmax", "argmin", "nanmedian", "mode",
    ),
    _selected: ("sort", "topk", "kthvalue", "cumsum", "cumprod", "cummax", "cummin", "argsort", "logcumsumexp"),
    _softmax: ("_softmax", "softmax", "_log_softmax", "log_softmax", "_safe_softmax"),
    _normalised: (
        "native_layer_norm", "native_group_norm", "native_batch_norm", "_native_batch_norm_legit",
        "_native_batch_norm_legit_no_training", "_batch_norm_with_update", "_batch_norm_no_update",
        "_batch_norm_impl_index", "cudnn_batch_norm", "miopen_batch_norm", "batch_norm", "layer_norm", "group_norm",
        "instance_norm", "_fused_rms_norm", "rms_norm",
    ),
    _multiplied: ("mm", "addmm", "bmm", "baddbmm", "matmul", "linear", "mv", "addmv", "dot", "vdot"),
    _encoded: ("_native_multi_head_attention", "_transformer_encoder_layer_fwd"),
    _indexed: ("gather", "scatter", "scatter_add", "take_along_dim"),
    _folded: ("col2im",),
    _gated: ("glu",),
    _sampled: ("grid_sampler_2d", "grid_sampler", "cudnn_grid_sampler"),
    _copied: ("copy", "clone", "_to_copy", "contiguous", "_unsafe_view", "native_dropout", "alias_copy"),
    _filled: ("fill", "zero", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like",
              "new_zeros", "new_ones", "new_empty", "new_full", "bernoulli", "shape_as_tensor"),
    _pointwise: (
        "relu", "gelu", "silu", "mish", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu", "elu", "sigmoid", "tanh",
        "_prelu_kernel", "prelu", "threshold", "clamp", "where", "add", "sub", "mul", "div", "pow", "exp", "log",
        "rrelu_with_noise", "masked_fill", "lerp", "addcmul", "addcdiv", "softplus", "log_sigmoid_forward", "glu_jvp",
        "dropout", "alpha_dropout", "celu", "selu", "erf", "sqrt", "rsqrt", "abs", "neg",
        "fake_quantize_per_tensor_affine",
    ),
    _moved: (
        "cat", "stack", "index_select", "index", "_unsafe_index", "take", "repeat", "roll",
        "flip", "rot90", "channel_shuffle", "native_channel_shuffle", "pixel_unshuffle", "tril", "triu",
        "select_scatter", "slice_scatter", "index_put", "_unsafe_index_put", "masked_scatter",
        "view_copy", "permute_copy", "transpose_copy", "slice_copy", "select_copy", "expand_copy", "unsqueeze_copy",
        "squeeze_copy", "unbind_copy", "split_copy", "split_with_sizes_copy", "as_strided_copy", "index_copy",
        "repeat_interleave", "chunk_cat", "diag", "hstack", "unsafe_split", "unsafe_chunk", "unsafe_split_with_sizes",
        "masked_select", "im2col", "unfold_copy",
    ),
}  # fmt: skip
RULES: dict[str, Rule] = {name: rule for rule, names in _NAMES.items() for name in names}
