"""Filter decoding as the paper's pseudo-code has it, pixel by pixel and channel by channel, in float64: slow.

A network is a list of layers from the image up; positions are those of the maps, and what falls outside a map (into
padding) is dropped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass
class Conv:
    filters: np.ndarray  # (out, in / groups, rows, columns)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1


@dataclass
class Pool:
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)


@dataclass
class Scale:
    """Batch normalisation of a trained network: one factor per channel."""

    factors: np.ndarray


def subst(z, top, left, layer, shape):
    """Every pixel of z (C, h, w), at (top, left) of its map, replaced by the filter; overlaps are added."""
    out = np.zeros(shape)
    per_group_out, per_group_in = z.shape[0] // layer.groups, layer.filters.shape[1]
    for j in range(z.shape[0]):
        first = (j // per_group_out) * per_group_in
        for c in range(per_group_in):
            for y in range(z.shape[1]):
                for x in range(z.shape[2]):
                    for a in range(layer.filters.shape[2]):
                        for b in range(layer.filters.shape[3]):
                            row = (top + y) * layer.stride[0] - layer.padding[0] + a * layer.dilation[0]
                            column = (left + x) * layer.stride[1] - layer.padding[1] + b * layer.dilation[1]
                            if 0 <= row < shape[1] and 0 <= column < shape[2]:
                                out[first + c, row, column] += z[j, y, x] * layer.filters[j, c, a, b]
    return box(
        out,
        top,
        left,
        z,
        layer,
        [(k - 1) * d + 1 for k, d in zip(layer.filters.shape[2:], layer.dilation, strict=True)],
    )


def box(out, top, left, z, layer, kernel):
    """The part of a map that a patch reaches, and where it begins."""
    low, high = [], []
    for axis, place in enumerate((top, left)):
        first = place * layer.stride[axis] - layer.padding[axis]
        reach = (z.shape[1 + axis] - 1) * layer.stride[axis] + kernel[axis]
        low.append(max(0, first))
        high.append(min(out.shape[1 + axis], first + reach))
    return out[:, low[0] : high[0], low[1] : high[1]], low[0], low[1]


def weight(distance, method):
    d = abs(distance)
    if method == "nearest":
        return 1.0 if d <= 0.5 + 1e-9 else 0.0
    if method == "bilinear":
        return max(0.0, 1 - d)
    if d <= 1:
        return 1.5 * d**3 - 2.5 * d**2 + 1
    return -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def sample(line, u, method):
    """A line of numbers interpolated at position u; beyond its ends it goes on mirrored."""
    u = min(max(u, -0.5), len(line) - 0.5)
    total, weights = 0.0, 0.0
    for i in range(math.floor(u) - 2, math.floor(u) + 4):
        k = weight(u - i, method)
        m = i % (2 * len(line))
        total += k * line[m if m < len(line) else 2 * len(line) - 1 - m]
        weights += k
    return total / weights


def unpool(z, top, left, layer, shape, method):
    """z (C, h, w) up-sampled: pooled cell i is centred in the window that it was pooled from."""
    out = np.zeros(shape)
    for c in range(z.shape[0]):
        for row in range(shape[1]):
            for column in range(shape[2]):
                u = (row + layer.padding[0] - top * layer.stride[0] - (layer.kernel[0] - 1) / 2) / layer.stride[0]
                v = (column + layer.padding[1] - left * layer.stride[1] - (layer.kernel[1] - 1) / 2) / layer.stride[1]
                lines = [sample(z[c, y], v, method) for y in range(z.shape[1])]
                out[c, row, column] = sample(lines, u, method)
    return box(out, top, left, z, layer, layer.kernel)


def filter_decoding(layers, shapes, unit, method):
    """The decoded filter of a unit in the middle of the last map: (C, h, w) and where it begins.

    shapes: of the image, then of what each layer computes, (C, H, W).
    """
    z = np.zeros((shapes[-1][0], 1, 1))
    z[unit] = 1
    return carried(layers, shapes, z, shapes[-1][1] // 2, shapes[-1][2] // 2, method)


def carried(layers, shapes, z, top, left, method):
    """A patch z of the last map carried down to the image."""
    for layer, shape in zip(reversed(layers), reversed(shapes[:-1]), strict=True):
        if isinstance(layer, Conv):
            z, top, left = subst(z, top, left, layer, shape)
        elif isinstance(layer, Pool):
            z, top, left = unpool(z, top, left, layer, shape, method)
        elif isinstance(layer, Scale):
            z = z * layer.factors[:, None, None]
    return z, top, left
