"""Pictures of HOG and dense SIFT descriptors: a star of bars per cell, one bar per orientation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ..errors import SettingError
from ..network import Layer, Network
from ..zoo.architectures.dsift import Dsift

KINDS = {"HogDescriptor": "hog", "SiftDescriptor": "dsift"}


def has_descriptors(net: Network) -> bool:
    """Whether the network is HOG or dense SIFT."""
    return list(net.layers.values())[-1].kind in KINDS


def descriptor_layer(net: Network) -> Layer:
    """The layer with the descriptors of HOG or dense SIFT. Raises SettingError for another network."""
    if not has_descriptors(net):
        raise SettingError(f"{net.name} has no descriptors to draw; expected HOG or dense SIFT.")
    return list(net.layers.values())[-1]


def histograms(net: Network, image: Any) -> np.ndarray:
    """The histogram of gradient directions of each cell: (rows, columns, K), K directions in 180 degrees.

    Directions run from right to down. HOG: its undirected orientations. Dense SIFT: opposite directions are added,
    averaged over the descriptors that contain the cell, each without the weight of its window. Raises SettingError
    for another network.
    """
    layer = descriptor_layer(net)
    activation = net.activations(image, layer.name)[0].cpu()
    if KINDS[layer.kind] == "hog":
        undirected = (len(activation) - 4) // 3
        return activation[2 * undirected : 3 * undirected].permute(1, 2, 0).numpy()
    side, (rows, columns) = 4, activation.shape[1:]
    assert isinstance(net.module, Dsift)
    apart = round(net.module.cell / layer.rf_stride[0]) or 1  # grid points from a cell to the next
    bins = activation.view(side, side, -1, rows, columns)
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


def glyphs(net: Network, image: Any, side: int = 22) -> np.ndarray:
    """A picture of an image's descriptors, (rows * side, columns * side, 3) uint8: bars along the edges in each cell.

    The brightness of a bar is the share of the cell's gradient at a right angle to it. Raises SettingError.
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
