"""What these figures share: layers with filters of their own, labelled images, and rows of decoded filters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import drawing, world
from ...data import digits
from ...errors import SettingError
from ...network import Network, unit_name
from ...units.filters import layers_with_convolutions
from ..sheet import Cell

WIDEST = 8  # pictures side by side: titles of a wider sheet cannot be read in a notebook


def layers_with_filters(net: Network, layers: Sequence[str] | None = None) -> list[str]:
    """The layers asked for, or all with filters of their own."""
    if layers:
        return [net.layers[name].name for name in layers]
    convolutions = layers_with_convolutions(net.operations())
    found = [n for n, layer in net.layers.items() if n in convolutions or layer.kind.lower().endswith("linear")]
    return found or list(net.layers)[-1:]


def labelled_images(net: Network, images: Any = None) -> tuple[list[Any], list[int]]:
    """Images and their classes: from a pair (images, labels), a folder with MNIST, or bundled ones for None.

    Raises SettingError for anything else, and for None if no bundled images suit the network.
    """
    found: Any
    labels: Any
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


def is_folder(value: Any) -> bool:
    """Whether a value is the path of a folder."""
    return isinstance(value, (str, os.PathLike)) and os.path.isdir(value)


def filter_cells(net: Network, name: str, units: Sequence[int], filters: np.ndarray) -> list[Cell]:
    """Filters of units, (U, C, h, w), as a row of cells."""
    titles = [f"{name}\n{unit_name(net, net.layers[name], u)}" for u in units]
    return [Cell(p, title) for p, title in zip(drawing.signed_picture(filters), titles, strict=True)]


def wrapped(*rows: list[Cell]) -> list[list[Cell]]:
    """Rows that belong together, column by column, in pieces of at most `WIDEST` columns, below each other."""
    return [row[k : k + WIDEST] for k in range(0, len(rows[0]), WIDEST) for row in rows]


def input_picture(net: Network, image: Any) -> np.ndarray:
    """An image as the network receives it, (H, W, 3) uint8."""
    return net.picture(net.pixels_of(image))
