"""A unit's receptive field as data show it: discrepancy maps of its top images, laid over each other and summed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from .. import drawing
from ..errors import SettingError
from ..network import Layer, Network, layer_with_map
from .discrepancy import discrepancy_maps
from .top import TopPatches, top_patches

_NOTHING = 1e-4  # of the largest discrepancy: below it is rounding
_HALF = 0.5


@dataclass(frozen=True)
class ReceptiveField:
    """What a unit looks at. map: (h, w), mean discrepancy by pixel, on the canvas of the theoretical field, 0 to 1.

    extent: (rows, columns) of all that changed the response at all, from below; size: of the square with the area in
    which the discrepancy exceeds half its maximum; theoretical: (rows, columns) by the closed formula.
    """

    map: np.ndarray = field(repr=False)
    extent: tuple[int, int]
    size: float
    theoretical: tuple[float, float]
    unit: int
    layer: Layer
    top: TopPatches = field(repr=False)

    @property
    def mask(self) -> np.ndarray:
        """Where the discrepancy exceeds half its maximum, (h, w) bool."""
        return self.map > _HALF * self.map.max()

    def plot(self):
        """A matplotlib figure: the field, and the patches of the images that showed it."""
        patches = self.top.patches()
        pictures = [drawing.heat(self.map), *patches]
        titles = [f"field of unit {self.unit}", *(f"{value:.3g}" for value in self.top.values[0])]
        rows, columns = (f"{v:g}" for v in self.theoretical)
        said = f"{self.layer.name}, unit {self.unit}: {self.size:.0f} px wide in effect, {rows} x {columns} in theory"
        return drawing.panels(pictures, titles, 9, 1.2, said)

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


def receptive_field(
    net: Network,
    layer: str,
    unit: int,
    images=None,
    k: int = 5,
    patch: int = 11,
    stride: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> ReceptiveField:
    """The receptive field of a unit, from the k images that excite it most.

    images: a list, a folder or a data set (default: those at hand), or what `top_patches` found. patch: of the sliding
    window, cut to half the theoretical field; stride: in pixels (default: half the layer's, 1 to 3). Each image's map
    is divided by its largest value and shifted so that the fields lie on each other; the windows of each begin a
    pixel later.
    Raises SettingError, LayerError, LayerNotFound, ImageError.
    Source: Zhou et al., Object detectors emerge in deep scene CNNs, 2015, section 3.2.
    """
    where = layer_with_map(net, layer, "receptive_field")
    top = (
        images.only(unit)
        if isinstance(images, TopPatches)
        else top_patches(net, layer, unit, images, k, progress=progress)
    )
    if top.layer != where:
        raise SettingError(f"the top patches are of {top.layer.name}; expected {where.name}'s.")
    patch = max(1, min(patch, math.ceil(min(where.rf_size) / 2), *net.size))
    step = min(
        max(1, round(min(where.rf_stride) / 2)) if stride is None else stride, 3 if stride is None else patch, patch
    )
    canvas = tuple(math.ceil(side) for side in where.rf_size)
    total, count = np.zeros(canvas), np.zeros(canvas)
    edges = []
    for j, (number, place) in enumerate(zip(top.indices[0], top.positions[0].tolist(), strict=True)):
        found = discrepancy_maps(
            net,
            top.images[int(number)],
            where.name,
            unit,
            patch=patch,
            stride=step,
            positions=[place],
            start=-(j % step),
            seed=seed + j,
            progress=False,
        )
        values = found.values[0]
        if not values.max() > 0:
            continue
        corner = [math.floor(v) for v in where.rf_box(*place)[:2]]
        _add(total, count, found.map(unit) / values.max(), corner)
        changed = values > _NOTHING * values.max()
        edges.append([_span(changed.any(1 - a), found, corner[a], net.size[a], canvas[a]) for a in (0, 1)])
    if not edges:
        raise SettingError(
            f"unit {unit} of {where.name} responds to none of the images by more than a patch can change; give others."
        )
    field_map = total / np.maximum(count, 1)
    field_map /= field_map.max() or 1
    extent = tuple(max(e[a][1] for e in edges) - min(e[a][0] for e in edges) + 1 for a in (0, 1))
    size = math.sqrt((field_map > _HALF * field_map.max()).sum())
    return ReceptiveField(field_map, extent, size, where.rf_size, unit, where, top)


def _add(total: np.ndarray, count: np.ndarray, values: np.ndarray, corner: list[int]) -> None:
    """Adds the part of an image's map that lies in the field whose first pixel is at `corner`."""
    (h, w), (r, c) = total.shape, corner
    a, b, d, e = max(r, 0), min(r + h, values.shape[0]), max(c, 0), min(c + w, values.shape[1])
    total[a - r : b - r, d - c : e - c] += values[a:b, d:e]
    count[a - r : b - r, d - c : e - c] += 1


def _span(changed: np.ndarray, found, corner: int, side: int, length: int) -> tuple[int, int]:
    """The first and last pixel of the field that patches prove to be in it, counted from its corner.

    The first patch that changes the response reaches the field with its last pixel; the last one with its first.
    """
    which = np.flatnonzero(changed)
    first = found.start + found.stride * int(which[0]) + found.patch - 1
    last = found.start + found.stride * int(which[-1])
    if first > last:  # patches larger than the field: all that is known is that it lies between
        first = last = (first + last) // 2
    return max(min(first, side - 1), 0) - corner, max(min(last, side - 1), 0) - corner
