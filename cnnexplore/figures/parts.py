"""What the figures of both papers are put together from: which layers and images, and cells made of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from ..data import photograph
from ..errors import SettingError
from ..network import Layer, Network
from ..preimage import PreImage
from .sheet import Cell

_SAME = ("Dropout", "Flatten", "Softmax")  # layers that keep what the one before them kept


def layers_of(net: Network, linear: bool = False) -> list[str]:
    """The layers that a figure shows: the named ones, or only the convolutional and fully-connected ones."""
    names = [name for name, layer in net.layers.items() if layer.kind not in _SAME and "/" not in name]
    return [name for name in names if name.startswith(("conv", "fc"))] if linear else names


def chosen(net: Network, layers: Sequence[str] | None, linear: bool = False) -> list[str]:
    """The layers asked for, or those of `layers_of`. Raises LayerNotFound."""
    return [net.layers[name].name for name in layers] if layers else layers_of(net, linear)


def middle(net: Network, layer: str | None) -> Layer:
    """The layer asked for, or relu3, or one in the middle."""
    if layer is not None:
        return net.layers[layer]
    names = layers_of(net)
    return net.layers["relu3" if "relu3" in net.layers else names[len(names) // 2]]


def some_image(image):
    """The image given, or one that is always at hand."""
    return photograph("cat") if image is None else image


def several(images) -> dict[str, object]:
    """Images by a name that stays the same from run to run. Raises SettingError if there is none."""
    if images is None:
        return {name: photograph(name) for name in ("cat", "astronaut", "coffee", "rocket")}
    if not isinstance(images, (list, tuple)) or not images:
        raise SettingError("a table needs a list of images, one or more.")
    paths = all(isinstance(image, (str, os.PathLike)) for image in images)
    return {(os.fspath(image) if paths else str(k)): image for k, image in enumerate(images)}


def original(net: Network, image, title: str = "original") -> Cell:
    """The image as the network is given it."""
    return Cell(net.picture(net.pixels_of(image)), title)


def cell(result: PreImage, title: str, **more) -> Cell:
    """A result with its number under the title."""
    said = f"error {result.error:.2f}" if result.error == result.error else f"response {result.response:.1f}"
    return Cell(result.picture, f"{title}\n{said}", result=result, **more)


def in_rows(cells: list[Cell], columns: int) -> list[list[Cell]]:
    """Cells in rows of `columns`."""
    return [cells[k : k + columns] for k in range(0, len(cells), columns)]


def window_of(layer: Layer, size: tuple[int, int], window: int) -> tuple[float, float, float, float]:
    """What the central window's units see together, cut to the image: (top, left, bottom, right) in pixels."""
    top, left = ((side - window) // 2 for side in layer.size)
    first, last = layer.rf_box(top, left), layer.rf_box(top + window - 1, left + window - 1)
    return (max(first[0], 0), max(first[1], 0), min(last[2], size[0] - 1), min(last[3], size[1] - 1))


def stretched(picture: np.ndarray) -> np.ndarray:
    """A picture over the whole range from black to white but for its extremes: for codes that know no contrast."""
    low, high = np.quantile(picture, (0.005, 0.995))
    scaled = (picture - low) * (255 / max(float(high - low), 1.0))
    return np.clip(scaled + 0.5, 0, 255).astype(np.uint8)
