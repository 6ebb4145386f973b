"""What the figures of several papers share: which layers and images they show, and cells of results."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

from ..data import photograph
from ..errors import SettingError
from ..network import Layer, Network
from ..preimage import PreImage
from .sheet import Cell

R = TypeVar("R")

PAPER = {"preset": "paper2016"}  # of a maximisation: the paper's method, unless another is asked for
_PASS_ON = ("Dropout", "Flatten", "Softmax")  # layers that keep the information of the layer before


def figure_layers(net: Network, layers: Sequence[str] | None = None, linear: bool = False) -> list[str]:
    """The layers asked for, else all named ones. linear: only the convolutional and fully-connected ones."""
    if layers:
        return [net.layers[name].name for name in layers]
    names = [name for name, layer in net.layers.items() if layer.kind not in _PASS_ON and "/" not in name]
    return [name for name in names if name.startswith(("conv", "fc"))] if linear else names


def windowed_layers(net: Network, layers: Sequence[str] | None, window: int) -> list[str]:
    """The layers asked for, else all with at least `window` rows and columns."""
    return figure_layers(net, layers or [n for n in figure_layers(net) if min(net.layers[n].size) >= window])


def image_or_default(image: Any) -> Any:
    """The image, or a photograph of a cat for None."""
    return photograph("cat") if image is None else image


def named_images(images: Any) -> dict[str, Any]:
    """Images by a name that is the same in each run. Raises SettingError if there is none."""
    if images is None:
        return {name: photograph(name) for name in ("cat", "astronaut", "coffee", "rocket")}
    if not isinstance(images, (list, tuple)) or not images:
        raise SettingError("a table needs a list of images, one or more.")
    paths = all(isinstance(image, (str, os.PathLike)) for image in images)
    return {(os.fspath(image) if paths else str(k)): image for k, image in enumerate(images)}


def single(results: R | list[R]) -> R:
    """The result of one run. Raises SettingError for the list of a batch."""
    if isinstance(results, list):
        raise SettingError("a picture of this figure shows one run; give a single seed and a single pathway.")
    return results


def batch(results: R | list[R]) -> list[R]:
    """The results of a batch as a list."""
    return results if isinstance(results, list) else [results]


def input_cell(net: Network, image: Any, title: str = "original") -> Cell:
    """The image as the network receives it."""
    return Cell(net.picture(net.pixels_of(image)), title)


def result_cell(
    result: PreImage, title: str, box: tuple[float, float, float, float] | None = None, framed: bool = False
) -> Cell:
    """A pre-image with its error or response under the title."""
    is_inversion = result.error == result.error  # NaN otherwise
    number = f"error {result.error:.2f}" if is_inversion else f"response {result.response:.1f}"
    return Cell(result.picture, f"{title}\n{number}", box, result, framed)


def in_rows(cells: list[Cell], columns: int) -> list[list[Cell]]:
    """Cells in rows of `columns`."""
    return [cells[k : k + columns] for k in range(0, len(cells), columns)]


def window_box(layer: Layer, size: tuple[int, int], window: int) -> tuple[float, float, float, float]:
    """The receptive field of the central window's units, cut to the image: (top, left, bottom, right) in pixels."""
    top, left = ((side - window) // 2 for side in layer.size)
    first, last = layer.rf_box(top, left), layer.rf_box(top + window - 1, left + window - 1)
    return (max(first[0], 0), max(first[1], 0), min(last[2], size[0] - 1), min(last[3], size[1] - 1))
