"""Segmentation by a unit: where in images it responds strongly, in the shape of its receptive field."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from .. import drawing
from ..errors import SettingError
from ..network import Layer, Network, as_maps, layer_with_map
from .receptive_field import ReceptiveField
from .top import TopPatches, top_patches


@dataclass(frozen=True)
class UnitSegments:
    """What a unit cuts out of the images it is most confident of. pictures: (k, H, W, 3) uint8; masks: (k, H, W) bool.

    responses: (k,), the largest in each image.
    """

    pictures: np.ndarray = field(repr=False)
    masks: np.ndarray = field(repr=False)
    responses: np.ndarray = field(repr=False)
    unit: int
    layer: Layer

    def cutouts(self) -> np.ndarray:
        """The images with all but the segment in the dark, (k, H, W, 3) uint8."""
        return np.where(self.masks[..., None], self.pictures, self.pictures // 5).astype(np.uint8)

    def plot(self):
        """A matplotlib figure of the cut-outs."""
        titles = [f"{response:.3g}" for response in self.responses]
        title = f"{self.layer.name}, unit {self.unit}: what it cuts out, and its response"
        return drawing.panels(list(self.cutouts()), titles, 8, 1.3, title)

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


def unit_segments(
    net: Network,
    layer: str,
    unit: int,
    images=None,
    k: int = 5,
    share: float = 0.5,
    field: ReceptiveField | None = None,
    progress: bool = True,
) -> UnitSegments:
    """What a unit segments in the k images of a data set that excite it most.

    images: a list, a folder or a data set (default: those at hand), or what `top_patches` found. share: a position
    counts where the response exceeds this share of the unit's largest; the segment is the union of their fields.
    field: the unit's estimated one (default: a disc of a third of the theoretical one's width, a usual size in effect).
    Raises SettingError, LayerError, LayerNotFound, ImageError.
    Source: Zhou et al., Object detectors emerge in deep scene CNNs, 2015, section 3.3.
    """
    where = layer_with_map(net, layer, "unit_segments")
    if not 0 < share < 1:
        raise SettingError(f"share is {share!r}; expected a share of the largest response, between 0 and 1.")
    if field is not None and (field.layer != where or field.unit != unit):
        raise SettingError(
            f"the field is of unit {field.unit} of {field.layer.name}; expected that of unit {unit} of {where.name}."
        )
    top = images if isinstance(images, TopPatches) else top_patches(net, layer, unit, images, k, progress=progress)
    top = top.only(unit)
    numbers = top.indices[0][:k].tolist()
    x = net.pixels_of([top.images[n] for n in numbers])
    with torch.no_grad():
        maps = as_maps(net.probe(where.name)(net.feed(x))[where.name], where)[:, unit].float().cpu().numpy()
    shape = _disc(where) if field is None else field.mask
    masks = np.stack([_stamped(one > share * top.values[0, 0], where, shape, x.shape[-2:]) for one in maps])
    return UnitSegments(net.picture(x).reshape(len(x), *x.shape[-2:], 3), masks, maps.max((1, 2)), unit, where)


def _disc(layer: Layer) -> np.ndarray:
    """A disc of a third of the theoretical field's width, on its canvas."""
    height, width = (math.ceil(side) for side in layer.rf_size)
    rows, columns = np.mgrid[:height, :width]
    middle = (height - 1) / 2, (width - 1) / 2
    radius = max(1.0, height / 6), max(1.0, width / 6)
    return ((rows - middle[0]) / radius[0]) ** 2 + ((columns - middle[1]) / radius[1]) ** 2 <= 1


def _stamped(counts: np.ndarray, layer: Layer, shape: np.ndarray, size) -> np.ndarray:
    """The union of a field's shape at every position that counts, (H, W) bool."""
    mask = np.zeros(size, bool)
    for row, column in np.argwhere(counts).tolist():
        top, left = (math.floor(v) for v in layer.rf_box(row, column)[:2])
        a, b = max(top, 0), min(top + shape.shape[0], size[0])
        c, d = max(left, 0), min(left + shape.shape[1], size[1])
        if a < b and c < d:
            mask[a:b, c:d] |= shape[a - top : b - top, c - left : d - left]
    return mask
