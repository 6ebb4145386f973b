"""A unit's receptive field measured on data: discrepancy maps of its top images, aligned and averaged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import checked, checked_integer, flag, seed
from ..errors import SettingError
from ..network import Layer, Network, layer_with_map, resolve_unit, unit_name
from ..network.arguments import layer_name, network
from ..results import Result, unit_to_python
from .discrepancy import DiscrepancyMaps, discrepancy_maps
from .top import TopPatches, source_to_python, top_patches

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NOTHING = 1e-4  # of the largest discrepancy: below it is rounding
_HALF = 0.5


@dataclass(frozen=True, eq=False)
class ReceptiveField(Result):
    """A unit's receptive field, measured.

    Attributes
    ----------
    map : np.ndarray
        (h, w), mean discrepancy by pixel, 0 to 1, on the canvas of the theoretical field.
    extent : tuple of int
        (rows, columns) of all that changed the response at all, a lower bound.
    size : float
        Side of the square that has the area where the discrepancy exceeds half its maximum.
    theoretical : tuple of float
        (rows, columns) by the closed formula.
    unit : int
        The unit.
    layer : Layer
        Its layer.
    top : TopPatches
        The images that it was measured on.
    python : str
        The call that makes this result again.
    """

    map: np.ndarray = field(repr=False)
    extent: tuple[int, int]
    size: float
    theoretical: tuple[float, float]
    unit: int
    layer: Layer
    top: TopPatches = field(repr=False)
    python: str = field(default="", repr=False)

    @property
    def mask(self) -> np.ndarray:
        """Where the discrepancy exceeds half its maximum, (h, w) bool."""
        return self.map > _HALF * self.map.max()

    def plot(self) -> Figure:
        """A matplotlib figure: the field, and the patches of the images that it was measured on."""
        pictures = [drawing.heat(self.map), *self.top.patches()]
        name = unit_name(self.top.net, self.layer, self.unit)
        titles = [f"field of {name}", *(f"{value:.3g}" for value in self.top.values[0])]
        rows, columns = (f"{v:g}" for v in self.theoretical)
        title = f"{self.layer.name}, {name}: {self.size:.0f} px wide measured, {rows} x {columns} in theory"
        return drawing.picture_grid(pictures, titles, 9, 1.2, title)


@checked(net=network, layer=layer_name, seed=seed, progress=flag)
def receptive_field(
    net: Network,
    layer: str,
    unit: int | str,
    images: object = None,
    *,
    k: int = 5,
    patch: int = 11,
    stride: int | None = None,
    seed: int = 0,
    progress: bool = True,
) -> ReceptiveField:
    """Measure the receptive field of a unit on the k images that excite it most.

    Each image's discrepancy map is divided by its largest value and shifted so that the fields lie on each other. The
    patches of each image begin one pixel later than those of the image before.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer's name; a layer with a map.
    unit : int or str
        The unit: a number, or a class label where the layer's units are classes.
    images : list, str, os.PathLike, torch data set, Images or TopPatches, optional
        A list, a folder or a data set, or the result of `top_patches`. Default: the bundled images.
    k : int
        How many images.
    patch : int
        The sliding patch's side in pixels; at most half the theoretical field is used.
    stride : int, optional
        The patch's steps in pixels. Default: half the layer's stride, 1 to 3.
    seed : int
        Of the patches' random pixels.
    progress : bool
        Whether to show progress bars.

    Returns
    -------
    ReceptiveField
        The field with its sizes.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer has no map.
    SettingError
        If the layer has no such unit, the unit responds to none of the images, or a setting is out of range.
    ImageError
        If an image cannot be read.

    References
    ----------
    Zhou, Khosla, Lapedriza, Oliva and Torralba, Object detectors emerge in deep scene CNNs, 2015, section 3.2.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> scenes = [cx.scene(seed).image for seed in range(4)]
    >>> found = cx.receptive_field(cx.load("worldnet"), "conv2", 3, scenes, k=2, progress=False)
    >>> found.extent[0] <= found.theoretical[0]
    True
    """
    where = layer_with_map(net, layer, "receptive_field")
    number = resolve_unit(net, where, unit)
    patch = checked_integer("patch", patch, 1, what="its side in pixels")
    if stride is not None:
        stride = checked_integer("stride", stride, 1, what="pixels")
    k = checked_integer("k", k, 1, what="how many images")
    top = top_of_unit(net, where, number, images, k, progress)
    patch = max(1, min(patch, math.ceil(min(where.rf_size) / 2), *net.size))
    step = min(max(1, round(min(where.rf_stride) / 2)), 3, patch) if stride is None else min(stride, patch)
    canvas = math.ceil(where.rf_size[0]), math.ceil(where.rf_size[1])
    total, count = np.zeros(canvas), np.zeros(canvas)
    edges = []
    pairs = list(zip(top.indices[0].tolist(), top.positions[0].tolist(), strict=True))
    bar = {"desc": f"receptive field, {where.name}", "unit": "image", "disable": not progress, "delay": 2}
    for j, (index, place) in enumerate(tqdm(pairs, **bar)):
        found = discrepancy_maps(
            net,
            top.images[index],
            where.name,
            number,
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
        box = where.rf_box(*place)
        corner = math.floor(box[0]), math.floor(box[1])
        _add(total, count, found.map(number) / values.max(), corner)
        changed = values > _NOTHING * values.max()
        edges.append([_span(changed.any(1 - a), found, corner[a], found.size[a]) for a in (0, 1)])
    if not edges:
        raise SettingError(
            f"{unit_name(net, where, number)} of {where.name} responds to none of the images by more than a patch can "
            "change; give others."
        )
    field_map = total / np.maximum(count, 1)
    field_map /= field_map.max() or 1
    rows, columns = (max(e[a][1] for e in edges) - min(e[a][0] for e in edges) + 1 for a in (0, 1))
    size = math.sqrt((field_map > _HALF * field_map.max()).sum())
    arguments = f"{where.name!r}, {unit_to_python(unit, [number])}{source_to_python(images)}, k={k}, patch={patch}"
    python = f"cx.receptive_field({net.to_python()}, {arguments}, stride={step}, seed={seed})"
    return ReceptiveField(field_map, (rows, columns), size, where.rf_size, number, where, top, python)


def top_of_unit(net: Network, layer: Layer, unit: int, images: object, k: int, progress: bool) -> TopPatches:
    """The k top patches of one unit: computed, or the first of those that were given instead of images."""
    if not isinstance(images, TopPatches):
        return top_patches(net, layer.name, unit, images, k=k, progress=progress)
    if images.layer != layer:
        raise SettingError(f"the top patches are of {images.layer.name}; expected {layer.name}'s.")
    return images.only(unit, k)


def _add(total: np.ndarray, count: np.ndarray, values: np.ndarray, corner: tuple[int, int]) -> None:
    """Add the part of an image's map that lies in the field with its first pixel at `corner`."""
    (h, w), (r, c) = total.shape, corner
    a, b, d, e = max(r, 0), min(r + h, values.shape[0]), max(c, 0), min(c + w, values.shape[1])
    total[a - r : b - r, d - c : e - c] += values[a:b, d:e]
    count[a - r : b - r, d - c : e - c] += 1


def _span(changed: np.ndarray, found: DiscrepancyMaps, corner: int, side: int) -> tuple[int, int]:
    """The first and last pixel of the field that patches prove to be in it, counted from its corner.

    The first patch that changes the response reaches the field with its last pixel; the last one with its first.
    """
    which = np.flatnonzero(changed)
    first = found.start + found.stride * int(which[0]) + found.patch - 1
    last = found.start + found.stride * int(which[-1])
    if first > last:  # patches larger than the field: all that is known is that it lies between
        first = last = (first + last) // 2
    return max(min(first, side - 1), 0) - corner, max(min(last, side - 1), 0) - corner
