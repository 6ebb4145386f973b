"""Actual receptive fields of units, and segments by them.

In all functions: image, images: anything that `Network.pixels_of` takes, or a data set where a figure searches many
images (default: images that come with the package). layers: names of layers (default: some from first to last).
target: the class, an int or a label (default: the predicted one).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import drawing
from ...network import Network
from ...units import receptive_field, top_patches, unit_segments
from ..sheet import Cell, Sheet
from .arguments import chosen_layers, data_set, maps_before_scores, most_active


def fields(
    net: Network,
    images: Any = None,
    layers: Sequence[str] | None = None,
    units: int = 3,
    k: int = 5,
    progress: bool = True,
) -> Sheet:
    """Receptive fields of units of some layers by sliding-window discrepancy, beside the patches inside them."""
    pool, rows = data_set(net, images), []
    for name in chosen_layers(net, layers, 4):
        top = top_patches(net, name, None, pool, k=k, progress=progress)
        responsive = [unit for unit in most_active(top, len(top.values)) if top.values[unit, 0] > 0]
        for unit in responsive[:units]:
            found = receptive_field(net, name, unit, top, progress=progress)
            patches = [Cell(patch, "") for patch in top.patches(unit)]
            title = f"{name}, unit {unit}\n{found.size:.0f} of {found.theoretical[0]:g} px"
            rows.append([Cell(drawing.heat(found.map), title, result=found), *patches])
    return Sheet(f"Receptive fields in {net.name}", rows, inches=1.1)


def field_segments(
    net: Network, images: Any = None, layer: str | None = None, units: Sequence[int] | None = None, k: int = 5,
    estimate: bool = False, progress: bool = True,
) -> Sheet:  # fmt: skip
    """Segmentation by units' receptive fields: a row is a unit, with its most confident images."""
    name = layer or chosen_layers(net, None, 1 + len(maps_before_scores(net)))[-1]
    top = top_patches(net, name, None, data_set(net, images), k=k, progress=progress)
    chosen = most_active(top, 4) if units is None else list(units)
    rows = []
    for unit in chosen:
        field = receptive_field(net, name, unit, top, k=k, progress=progress) if estimate else None
        found = unit_segments(net, name, unit, top, k=k, field=field)
        titles = [f"{name}, unit {unit}", *[""] * (k - 1)]
        rows.append([Cell(cut, title, result=found) for cut, title in zip(found.cutouts(), titles, strict=False)])
    return Sheet(f"Segments by units of {net.name}", rows)
