"""Refusal: why a module does not run on an image, in a sentence whose advice was tried where that is possible."""

from __future__ import annotations

import inspect
import re
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from ..errors import brief
from .copying import weight_sharing_copy

Shape = tuple[int, ...]

_SIDES = (224, 32, 28, 64, 256, 384, 299, 96, 128, 299, 227, 240, 288, 320, 448, 480, 512, 112, 160, 192, 48, 16)
_SIDE_NAMES = ("image_size", "img_size", "input_size", "size")
_PATIENCE = 4.0  # seconds that a search for the size may last
_TEXT = ("input_ids", "tokens", "token_ids", "text", "src")


def why_it_does_not_run(module: nn.Module, shape: Shape, error: BaseException, *, search: bool = True) -> str:
    """The sentence for a module that raised an error: what it said, and what helps, if that is known.

    Parameters
    ----------
    module : nn.Module
        The module; it is unchanged. Copies of it may be run to find what helps.
    shape : tuple of int
        (N, C, H, W) of what it was given.
    error : BaseException
        What it raised.
    search : bool
        Whether to run copies of the module on other sizes, for some seconds at most, to find one that it takes.

    Returns
    -------
    str
        One sentence.
    """
    said = brief(error).rstrip(".") or type(error).__name__
    advice = next((found for find in _EXPLANATIONS if (found := find(module, tuple(shape), error, search))), "")
    sentence = f"{type(module).__name__} does not run on an input of shape {tuple(shape)}: {said}"
    return f"{sentence}; {advice}." if advice else f"{sentence}."


def _arguments(module: nn.Module, shape: Shape, error: BaseException, search: bool) -> str:
    try:
        parameters = list(inspect.signature(_innermost(module).forward).parameters.values())
    except (TypeError, ValueError):
        return ""
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    takes_one = any(p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_KEYWORD for p in parameters)
    names = ", ".join(p.name for p in needed)
    first = needed[0].name if needed else ""
    if first in _TEXT or (isinstance(error, RuntimeError) and _has(error, "scalar types: Long, Int")):
        takes = f"takes {first}, numbers" if first else "takes whole numbers"
        return f"it {takes} of words or codes and not an image: give cx.Network the part of it that sees the image"
    if not isinstance(error, TypeError):
        return ""
    if len(needed) > 1:
        return (
            f"its forward takes {len(needed)} arguments ({names}) and cnnexplore gives it one image: wrap it in an "
            f"nn.Module whose forward(self, {first}) calls it with the others filled in"
        )
    if not takes_one:
        return "its forward takes no image: wrap it in an nn.Module whose forward(self, x) calls it as it is meant"
    return ""


def _innermost(module: nn.Module) -> nn.Module:
    """The module inside wrappers such as nn.DataParallel, whose own forward takes anything."""
    while True:
        inside = vars(module).get("_modules", {})
        name = next((n for n in ("_orig_mod", "module") if set(inside) == {n}), "")
        if not name or not isinstance(inside[name], nn.Module):
            return module
        module = inside[name]


def _memory(module: nn.Module, shape: Shape, error: BaseException, search: bool) -> str:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or _has(
        error, "out of memory", "can't allocate memory"
    ):
        return "the memory is too small for this input: give a smaller size= or fewer images at once"
    return ""


def _numbers(module: nn.Module, shape: Shape, error: BaseException, search: bool) -> str:
    tensors = [*module.parameters(), *module.buffers()]
    kinds = sorted({str(t.dtype).removeprefix("torch.") for t in tensors if t.is_floating_point()})
    places = sorted({str(t.device) for t in tensors})
    if len(places) > 1 and _has(error, "device"):
        return f"its weights lie on {' and '.join(places)}: bring them together, such as with module.to({places[0]!r})"
    about_kinds = _has(error, "dtype", "scalar type", "should be the same", "same dtype", "not implemented for")
    if len(kinds) > 1 and about_kinds:
        return f"its weights are {' and '.join(kinds)}: give it one number type, for instance with module.float()"
    if kinds in (["float16"], ["bfloat16"]) and (about_kinds or _has(error, "Half", "BFloat16")):
        return f"{places[0]} does not compute all of it in {kinds[0]}: give cx.Network module.float()"
    if kinds == ["float64"] and about_kinds:
        return "it makes tensors of another number type than its float64 weights: give cx.Network module.float()"
    return ""


def _dimensions(module: nn.Module, shape: Shape, error: BaseException, search: bool) -> str:
    weight = re.search(r"weight of size \[([\d, ]+)\]", str(error))
    axes = len(weight[1].split(",")) if weight else 4
    if axes == 5 or _has(error, "input to conv3d", "pool3d", "expected 5D input", "5D input"):
        return "it takes volumes or video (N, C, T, H, W), and cnnexplore shows networks of images (N, C, H, W)"
    if axes == 3 or _has(error, "input to conv1d", "pool1d", "2D or 3D input"):
        return "it takes sequences (N, C, T), and cnnexplore shows networks of images (N, C, H, W)"
    return ""


def _channels(module: nn.Module, shape: Shape, error: BaseException, search: bool) -> str:
    found = re.search(r"expected input\[([\d, ]+)\] to have (\d+) channels, but got (\d+)", str(error))
    wanted = int(found[2]) if found else _first_channels(module)
    if wanted is None or wanted == shape[1] or (found and int(found[3]) != shape[1]):
        return ""
    at = (shape[0], wanted, *shape[2:])
    size: Shape | None = at
    if search and not _runs(module, at):
        size = _size_that_runs(module, at)
    if (size is None or not search) and not found:
        return ""
    also = f" and size={_side(size)}" if size is not None and size != at else ""
    channels = "one channel" if wanted == 1 else f"{wanted} channels"
    return f"its first convolution takes {channels}, not {shape[1]}: give {_pixels_of(wanted)}{also}"


def _first_channels(module: nn.Module) -> int | None:
    return next((p.in_channels for p in module.modules() if isinstance(p, nn.Conv2d)), None)


def _pixels_of(channels: int) -> str:
    if channels in (1, 3):
        return f"pixels=cx.Pixels({'grey' if channels == 1 else 'RGB'!r})"
    return f"pixels=cx.Pixels('channels', mean=(128.0,) * {channels}) and images of {channels} channels"


def _sizes(module: nn.Module, shape: Shape, error: BaseException, search: bool) -> str:
    if isinstance(error, (TypeError, AttributeError, NameError, KeyError, NotImplementedError)):
        return ""
    if not search or _runs(module, shape):  # the second: another time it does not fail
        return ""
    found = _size_that_runs(module, shape, error)
    return f"it runs at size={_side(found)}: give cx.Network that" if found is not None else ""


def _side(shape: Shape) -> str:
    return str(shape[2]) if shape[2] == shape[3] else str(tuple(shape[2:]))


def _candidates(module: nn.Module, shape: Shape, error: BaseException | None) -> Iterator[tuple[int, int]]:
    for part in module.modules():  # those that the module names itself
        for name in _SIDE_NAMES:
            side = vars(part).get(name)
            if isinstance(side, int) and not isinstance(side, bool):
                yield side, side
            elif isinstance(side, (tuple, list)) and len(side) >= 2 and all(isinstance(s, int) for s in side[-2:]):
                yield side[-2], side[-1]
    product = re.search(r"\(\d+x(\d+) and (\d+)x\d+\)", str(error))
    if product:  # a linear map of a flattened map: the side goes with the root of the length
        side = round(shape[2] * (int(product[2]) / int(product[1])) ** 0.5)
        for step in sorted(range(-16, 17), key=abs):
            yield side + step, side + step
    for side in _SIDES:
        yield side, side


def _size_that_runs(module: nn.Module, shape: Shape, error: BaseException | None = None) -> Shape | None:
    end = time.monotonic() + _PATIENCE
    for rows, columns in dict.fromkeys(_candidates(module, shape, error)):
        if not (0 < rows <= 1024 and 0 < columns <= 1024) or (rows, columns) == shape[2:]:
            continue
        if time.monotonic() > end:
            return None
        if _runs(module, (1, shape[1], rows, columns)):
            return (1, shape[1], rows, columns)
    return None


def _runs(module: nn.Module, shape: Shape) -> bool:
    tensor = next((t for t in [*module.parameters(), *module.buffers()]), torch.zeros(0))
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
    devices = [tensor.device] if tensor.is_cuda else []
    try:
        with torch.random.fork_rng(devices), torch.no_grad():
            weight_sharing_copy(module)(torch.zeros(shape, dtype=dtype, device=tensor.device))
    except Exception:
        return False
    return True


def _training(module: nn.Module, shape: Shape, error: BaseException, search: bool) -> str:
    if _has(error, "more than 1 value per channel when training"):
        return (
            "a batch normalisation is in training mode although the module is run for evaluation: register it as an "
            "attribute of the module, and let its forward use self.training"
        )
    return ""


def _has(error: BaseException, *words: str) -> bool:
    return any(word in str(error) for word in words)


_EXPLANATIONS: tuple[Any, ...] = (_memory, _arguments, _numbers, _training, _dimensions, _channels, _sizes)
