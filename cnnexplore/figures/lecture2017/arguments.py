"""The images, layers and units that the figures of the lecture show when none are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...data import bundled_images, photograph
from ...errors import SettingError
from ...network import Network, bottleneck_layers
from ...units.top import TopPatches


def image_list(images: Any, default: Sequence[str] = ("cat", "astronaut", "coffee", "rocket")) -> list[Any]:
    """The images as a list, or bundled photographs for None."""
    if images is None:
        return [photograph(name) for name in default]
    several = list(images) if isinstance(images, (list, tuple)) else [images]
    if not several:
        raise SettingError("an empty list of images was given; expected at least one image.")
    return several


def data_set(net: Network, images: Any) -> Any:
    """The images, or the bundled ones for None."""
    return bundled_images(net) if images is None else images


def maps_before_scores(net: Network) -> list[str]:
    """The layers with a map that all paths to the class scores lead through."""
    return [layer.name for layer in bottleneck_layers(net, net.scores.name) if min(layer.size) > 1]


def chosen_layers(net: Network, layers: Sequence[str] | None, count: int) -> list[str]:
    """The layers asked for, or `count` convolutions and poolings from the first to the last."""
    if layers is not None:
        return [net.layers[name].name for name in layers]
    maps = maps_before_scores(net)
    linear = [name for name in maps if name.startswith(("conv", "pool"))] or maps
    return [linear[k] for k in sorted({round(i) for i in np.linspace(0, len(linear) - 1, count)})]


def most_active(top: TopPatches, count: int) -> list[int]:
    """The units of which even the k-th best patch responds strongly, most active first."""
    return np.argsort(-top.values[:, -1], kind="stable")[:count].tolist()
