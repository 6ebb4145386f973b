"""Segmentation by a unit: the places where it responds strongly, in the shape of its receptive field."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from .. import drawing
from ..arguments import checked, checked_integer, flag, fraction, instance, optional
from ..errors import SettingError
from ..network import Layer, Network, as_maps, layer_with_map, resolve_unit, unit_name
from ..network.arguments import layer_name, network
from ..results import Result, unit_to_python
from .receptive_field import ReceptiveField, top_of_unit
from .top import source_to_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class UnitSegments(Result):
    """The segments of a unit in the images that excite it most.

    Attributes
    ----------
    pictures : np.ndarray
        (k, H, W, 3) uint8, the images as the network saw them.
    masks : np.ndarray
        (k, H, W) bool, the segments.
    responses : np.ndarray
        (k,), the unit's largest response to each image.
    unit : int
        The unit.
    name : str
        Its name: a class label, or "unit 7".
    layer : Layer
        Its layer.
    python : str
        The call that makes this result again.
    """

    pictures: np.ndarray = field(repr=False)
    masks: np.ndarray = field(repr=False)
    responses: np.ndarray = field(repr=False)
    unit: int
    name: str = field(repr=False)
    layer: Layer
    python: str = field(default="", repr=False)

    def cutouts(self) -> np.ndarray:
        """The images, dark outside the segment, (k, H, W, 3) uint8."""
        masks = np.stack([drawing.repeated(m, p) for m, p in zip(self.masks, self.pictures, strict=True)])
        return np.where(masks[..., None], self.pictures, self.pictures // 5).astype(np.uint8)

    def plot(self) -> Figure:
        """A matplotlib figure of the cut-outs."""
        titles = [f"{response:.3g}" for response in self.responses]
        title = f"{self.layer.name}, {self.name}: segments, and the largest responses"
        return drawing.picture_grid(list(self.cutouts()), titles, 8, 1.3, title)


@checked(
    net=network,
    layer=layer_name,
    field=optional(instance(lambda: ReceptiveField, "what cx.receptive_field gives")),
    progress=flag,
)
def unit_segments(
    net: Network,
    layer: str,
    unit: int | str,
    images: object = None,
    *,
    k: int = 5,
    share: float = 0.5,
    field: ReceptiveField | None = None,
    progress: bool = True,
) -> UnitSegments:
    """Segment the k images that excite a unit most by the places where it responds strongly.

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
    share : float
        A position counts where the response exceeds this share of the unit's largest, between 0 and 1; the segment is
        the union of the receptive fields of these positions.
    field : ReceptiveField, optional
        The unit's measured field. Default: a disc a third as wide as the theoretical field, a usual size.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    UnitSegments
        Images, segments and responses.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer has no map.
    SettingError
        If the layer has no such unit, `share` is out of range, or `field` is another unit's.
    ImageError
        If an image cannot be read.

    References
    ----------
    Zhou, Khosla, Lapedriza, Oliva and Torralba, Object detectors emerge in deep scene CNNs, 2015, section 3.3.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> scenes = [cx.scene(seed).image for seed in range(4)]
    >>> found = cx.unit_segments(cx.load("worldnet"), "conv3", 5, scenes, k=2, progress=False)
    >>> found.masks.shape == found.pictures.shape[:3]
    True
    """
    where = layer_with_map(net, layer, "unit_segments")
    number = resolve_unit(net, where, unit)
    count = checked_integer("k", k, 1, what="how many images")
    share = fraction("a share of the largest response, between 0 and 1")("share", share)
    if not 0 < share < 1:
        raise SettingError(f"share is {share:g}; expected a share of the largest response, between 0 and 1.")
    if field is not None and (field.layer != where or field.unit != number):
        raise SettingError(
            f"the field is of unit {field.unit} of {field.layer.name}; expected that of unit {number} of {where.name}."
        )
    top = top_of_unit(net, where, number, images, count, progress)
    x = net.pixels_of([top.images[int(n)] for n in top.indices[0]])
    with torch.no_grad():
        maps = as_maps(net.probe(where.name)(net.feed(x))[where.name], where)[:, number].float().cpu().numpy()
    shape = _disc(where) if field is None else field.mask
    size = x.shape[-2], x.shape[-1]
    masks = np.stack([_stamped(one > share * top.values[0, 0], where, shape, size) for one in maps])
    arguments = (
        f"{where.name!r}, {unit_to_python(unit, [number])}{source_to_python(images)}, k={count}, share={share:g}"
    )
    python = f"cx.unit_segments({net.to_python()}, {arguments}{'' if field is None else ', field=field'})"
    pictures = net.pixels.decode(x).cpu().numpy()
    return UnitSegments(pictures, masks, maps.max((1, 2)), number, unit_name(net, where, number), where, python)


def _disc(layer: Layer) -> np.ndarray:
    """A disc of a third of the theoretical field's width, on its canvas."""
    height, width = (math.ceil(side) for side in layer.rf_size)
    rows, columns = np.mgrid[:height, :width]
    middle = (height - 1) / 2, (width - 1) / 2
    radius = max(1.0, height / 6), max(1.0, width / 6)
    return ((rows - middle[0]) / radius[0]) ** 2 + ((columns - middle[1]) / radius[1]) ** 2 <= 1


def _stamped(counts: np.ndarray, layer: Layer, shape: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The union of a field's shape at every position that counts, (H, W) bool."""
    mask = np.zeros(size, bool)
    for row, column in np.argwhere(counts).tolist():
        top, left = (math.floor(v) for v in layer.rf_box(row, column)[:2])
        a, b = max(top, 0), min(top + shape.shape[0], size[0])
        c, d = max(left, 0), min(left + shape.shape[1], size[1])
        if a < b and c < d:
            mask[a:b, c:d] |= shape[a - top : b - top, c - left : d - left]
    return mask
