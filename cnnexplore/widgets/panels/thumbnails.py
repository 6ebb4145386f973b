"""Thumbnails of a layer's units: what excites each most, its weights, or its map of an image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ... import drawing
from ...errors import LayerError
from ...network import Layer, Network
from ...reports.parts import filter_picture
from ...units import ActivationMaps, Filters, TopPatches, filters

Some = dict[int, np.ndarray]  # unit -> picture
_CHUNK = 8  # thumbnails in one step


def kinds(net: Network, layer: Layer) -> list[str]:
    """What thumbnails a layer's units have."""
    offered = ["top patches"]
    if filters_of(net, layer) is not None:
        offered.append("filters")
    if layer.has_map:
        offered.append("maps")
    return offered


def filters_of(net: Network, layer: Layer) -> Filters | None:
    """The layer's filters, if it is a convolution."""
    try:
        return filters(net, layer.name)
    except LayerError:
        return None


def of_patches(top: TopPatches, units: list[int]) -> Iterator[Some]:
    """The patch that excites each unit most, some units at a time."""
    for first in range(0, len(units), _CHUNK):
        yield {unit: top.only(unit, 1).patches()[0] for unit in units[first : first + _CHUNK]}


def of_filters(found: Filters, units: list[int]) -> Iterator[Some]:
    """Every unit's filter."""
    if found.of_pixels:
        pictures = found.pictures()
        yield {unit: pictures[unit] for unit in units}
        return
    for first in range(0, len(units), _CHUNK):
        yield {unit: filter_picture(found, unit) for unit in units[first : first + _CHUNK]}


def of_maps(found: ActivationMaps, units: list[int]) -> Iterator[Some]:
    """Every unit's map of one image, in one range of values."""
    signed = bool((found.maps < 0).any())
    pictures = drawing.heat(found.maps, signed, drawing.limits(found.maps, signed))
    yield {unit: pictures[unit] for unit in units}


def side_of(kind: str, layer: Layer, size: tuple[int, int]) -> int:
    """The pixels of a thumbnail: a whole multiple of a small patch or map, or 64."""
    side = max(layer.size) if kind == "maps" else 64 if kind == "filters" else round(min(max(layer.rf_size), max(size)))
    return 64 if side > 64 else side * -(-48 // side)
