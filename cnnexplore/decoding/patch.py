"""Patch: part of a map and where it lies, for several units at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..errors import LayerError
from ..network import Layer, as_maps
from ..network.upsample import from_maps


class Patch(NamedTuple):
    """Part of the result of an operation, for K units at once.

    values: (K, C, h, w) at rows from `top` and columns from `left` of a map of shape (1, C, H, W); for results of other
    shapes (K, *shape), the whole result.
    """

    values: torch.Tensor
    top: int = 0
    left: int = 0


def is_map(shape: tuple[int, ...]) -> bool:
    """Whether a result of this shape is one image's map, (1, C, H, W)."""
    return len(shape) == 4 and shape[0] == 1


def whole(patch: Patch, shape: tuple[int, ...]) -> torch.Tensor:
    """The patch at its position in zeros: (K, *shape)."""
    values = patch.values
    if not is_map(shape):
        return values
    h, w = values.shape[-2:]
    sides = (patch.left, shape[3] - patch.left - w, patch.top, shape[2] - patch.top - h)
    return F.pad(values, sides)[:, None]


def of_whole(values: torch.Tensor, shape: tuple[int, ...]) -> Patch:
    """(K, *shape) as a patch."""
    return Patch(values[:, 0] if is_map(shape) else values)


def patch_of_maps(maps: torch.Tensor, layer: Layer, shape: tuple[int, ...]) -> Patch:
    """A layer's maps (K, C, h, w) as a patch of the operation of this shape that computes the layer, in its layout."""
    return patch_of_activations(from_maps(maps, layer, shape_of_one(layer, shape)), layer, shape)


def patch_of_activations(activations: torch.Tensor, layer: Layer, shape: tuple[int, ...]) -> Patch:
    """A layer's activations (K, ...), with the images along the first axis, as a patch of the layer's operation."""
    axis = layer.layout.image
    if axis is None:
        raise LayerError(f"the activations of {layer.name} are not told by image; choose a layer where they are.")
    return of_whole(torch.stack([axis.back(one[None]) for one in activations]), shape)


def maps_of_patch(patch: Patch, layer: Layer, shape: tuple[int, ...]) -> torch.Tensor:
    """A patch of a layer's operation as the layer's maps, (K, C, h, w); without a map (K, C, 1, 1)."""
    axis = layer.layout.image
    if axis is None:
        raise LayerError(f"the activations of {layer.name} are not told by image; choose a layer where they are.")
    return torch.cat([as_maps(axis.first(one, 1), layer) for one in whole(patch, shape)])


def shape_of_one(layer: Layer, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one image's activations, of an operation's result of this shape."""
    axis, result = layer.layout.image, torch.empty(shape, device="meta")
    return tuple((result if axis is None else axis.first(result, 1)).shape[1:])


def cut(values: torch.Tensor, top: int, left: int, shape: tuple[int, ...]) -> Patch:
    """The part of (K, C, h, w) at (top, left) that lies inside a map of this shape; the part in padding is dropped."""
    first = max(0, -top), max(0, -left)
    last = min(values.shape[2], shape[2] - top), min(values.shape[3], shape[3] - left)
    if last[0] <= first[0] or last[1] <= first[1]:  # all of it in padding
        return Patch(values.new_zeros(*values.shape[:2], 1, 1))
    return Patch(values[:, :, first[0] : last[0], first[1] : last[1]], top + first[0], left + first[1])


def added(one: Patch | None, other: Patch) -> Patch:
    """The sum of two patches of one map, each at its position; branches that meet."""
    if one is None:
        return other
    if one.values.dim() != 4 or (one.top, one.left, one.values.shape) == (other.top, other.left, other.values.shape):
        return Patch(one.values + other.values, one.top, one.left)
    top, left = min(one.top, other.top), min(one.left, other.left)
    bottom = max(p.top + p.values.shape[2] for p in (one, other))
    right = max(p.left + p.values.shape[3] for p in (one, other))
    total = one.values.new_zeros(*one.values.shape[:2], bottom - top, right - left)
    for p in (one, other):
        h, w = p.values.shape[2:]
        total[:, :, p.top - top : p.top - top + h, p.left - left : p.left - left + w] += p.values
    return Patch(total, top, left)
