"""What the figures are about: layers with filters of their own, images with their classes, and units by name."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ... import drawing, world
from ...data import digits
from ...errors import SettingError
from ...network import Network, unit_name
from ..sheet import Cell


def weighted(net: Network, layers: Sequence[str] | None = None) -> list[str]:
    """The layers asked for, or all with filters of their own."""
    if layers:
        return [net.layers[name].name for name in layers]
    found = [name for name, layer in net.layers.items() if layer.kind.lower().endswith(("conv2d", "linear"))]
    return found or list(net.layers)[-1:]


def labelled(net: Network, images=None) -> tuple[list, list[int]]:
    """Images and their classes: pairs as they are, a folder with MNIST, or what is always at hand for the network.

    Raises SettingError if nothing is at hand for it, or for anything else.
    """
    if isinstance(images, (list, tuple)) and len(images) == 1 and is_folder(images[0]):
        images = images[0]
    if is_folder(images):
        found, labels = digits(images)
    elif images is None and net.pixels.channels == 1 and net.size == (28, 28):
        found, labels = digits()
    elif images is None and net.labels == list(world.CLASSES):
        scenes = [(world.scene(seed, name).image, k) for k, name in enumerate(net.labels) for seed in range(10)]
        found, labels = zip(*scenes, strict=True)
    elif isinstance(images, (list, tuple)) and len(images) == 2 and len(images[0]) == len(images[1]) > 0:
        found, labels = images
    else:
        raise SettingError(
            f"figures of {net.name}'s classes need images and their classes: a pair (images, labels) of the same "
            "length, or a folder with MNIST in it."
        )
    return list(found), [int(k) for k in labels]


def is_folder(value) -> bool:
    """Whether it is a path to a folder."""
    return isinstance(value, (str, os.PathLike)) and os.path.isdir(value)


def row_of(net: Network, name: str, units: Sequence[int], filters: np.ndarray) -> list[Cell]:
    """Filters of units, (U, C, h, w), as a row of cells."""
    titles = [f"{name}\n{unit_name(net, net.layers[name], u)}" for u in units]
    return [Cell(p, title) for p, title in zip(drawing.signed_picture(filters), titles, strict=True)]


def picture(net: Network, image) -> np.ndarray:
    """An image as the network is fed it, (H, W, 3) uint8."""
    return net.picture(net.pixels_of(image))
