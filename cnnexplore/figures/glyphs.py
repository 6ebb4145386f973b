"""Pictures of HOG and dense SIFT descriptors: a star of bars per cell, one bar per orientation."""

from __future__ import annotations

import math

import numpy as np
import torch

from ..errors import SettingError
from ..network import Layer, Network

KINDS = {"HogDescriptor": "hog", "SiftDescriptor": "dsift"}


def descriptor_of(net: Network) -> Layer | None:
    """The layer with the descriptors of HOG or dense SIFT, or None in any other network."""
    last = list(net.layers.values())[-1]
    return last if last.kind in KINDS else None


def histograms(net: Network, image) -> np.ndarray:
    """What the descriptors say of each cell: (rows, columns, K), K directions from right to down, 180 degrees in all.

    HOG: its undirected orientations. Dense SIFT: opposite directions added, the mean over the descriptors that hold
    the cell, each of them without the weight of its window. Raises SettingError for another network.
    """
    layer = descriptor_of(net)
    if layer is None:
        raise SettingError(f"{net.name} has no descriptors to draw; expected HOG or dense SIFT.")
    code = net.activations(image, layer.name)[0].cpu()
    if KINDS[layer.kind] == "hog":
        count = (len(code) - 4) // 3
        return code[2 * count : 3 * count].permute(1, 2, 0).numpy()
    side, (rows, columns) = 4, code.shape[1:]
    apart = round(net.module.cell / layer.rf_stride[0]) or 1  # grid points from a cell to the next
    bins = code.view(side, side, -1, rows, columns)
    weights = net.module.blocks.weights.cpu().view(side, side)
    directed = bins.shape[2]
    total = torch.zeros(rows + (side - 1) * apart, columns + (side - 1) * apart, directed)
    count = torch.zeros(*total.shape[:2], 1)
    for y in range(side):
        for x in range(side):
            here = slice(y * apart, y * apart + rows), slice(x * apart, x * apart + columns)
            total[here] += bins[y, x].permute(1, 2, 0) / weights[y, x]
            count[here] += 1
    total = (total / count.clamp_min(1))[::apart, ::apart]
    half = directed // 2
    return (total[..., :half] + total[..., half : 2 * half] if directed % 2 == 0 else total).numpy()


def glyphs(net: Network, image, side: int = 22) -> np.ndarray:
    """A picture of an image's descriptors, (rows * side, columns * side, 3) uint8: bars along the edges in each cell.

    The brighter a bar, the more of the cell's gradient is at a right angle to it. Raises SettingError.
    """
    votes = histograms(net, image)
    bars = _bars(votes.shape[2], side)
    level = np.clip(votes / max(float(np.quantile(votes, 0.98)), 1e-9), 0, 1) ** 1.5
    star = (level[:, :, :, None, None] * bars).max(2)  # (rows, columns, side, side)
    rows, columns = votes.shape[:2]
    grey = star.transpose(0, 2, 1, 3).reshape(rows * side, columns * side)
    return np.repeat((255 * grey + 0.5).astype(np.uint8)[..., None], 3, 2)


def _bars(count: int, side: int) -> np.ndarray:
    """(count, side, side) in 0..1: a bar through the middle at a right angle to each direction, smooth at its edge."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    angle = np.arange(count) * math.pi / count
    cosine, sine = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    off, along = np.abs(x * cosine + y * sine), np.abs(y * cosine - x * sine)
    return np.clip(side / 20 + 0.5 - off, 0, 1) * np.clip(side / 2 - along, 0, 1)
