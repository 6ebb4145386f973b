"""Patch: part of a map and where it lies, for several units at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F


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
