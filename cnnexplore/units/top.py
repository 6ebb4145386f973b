"""The images, and the patches in them, to which units respond most: one pass over a data set for all units."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import checked, choice, flag, optional, whole
from ..data.images import BATCH, Images
from ..errors import SettingError, brief_value
from ..network import RULES, Layer, Network, as_maps, resolve_unit, resolve_units, unit_gradient, unit_name
from ..network.arguments import layer_name, network
from ..results import Result, images_to_python, unit_to_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_HOW_MANY = whole(1, what="how many images to keep")
_AT_A_TIME = whole(1, 10_000, "how many images to compute at a time")
_OUTSIDE = 128  # grey of a patch where it leaves the image
Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class TopPatches(Result):
    """The strongest responses of units over a data set, at most one per image; row j is of unit j of `units`.

    Attributes
    ----------
    values : np.ndarray
        (U, k), the responses, largest first.
    indices : np.ndarray
        (U, k) int, the images' numbers.
    positions : np.ndarray
        (U, k, 2) int, (row, column) of each response on the layer's map.
    units : list of int
        The units.
    layer : Layer
        Their layer.
    net : Network
        The network.
    images : Images
        The data set.
    seen : int
        How many images were computed.
    python : str
        The call that makes this result again.
    """

    values: np.ndarray = field(repr=False)
    indices: np.ndarray = field(repr=False)
    positions: np.ndarray = field(repr=False)
    units: list[int]
    layer: Layer
    net: Network = field(repr=False)
    images: Images = field(repr=False)
    seen: int = 0
    python: str = field(default="", repr=False)

    @checked(k=optional(whole(1, what="how many responses")))
    def only(self, unit: int | str, k: int | None = None) -> TopPatches:
        """One unit's part.

        Parameters
        ----------
        unit : int or str
            One of `units`, or its class label.
        k : int, optional
            Only the first k responses.

        Raises
        ------
        SettingError
            If the unit is none of `units`.
        """
        row = self._row(unit)
        rows, columns = slice(row, row + 1), slice(k)
        count = "" if k is None else f", {k}"
        python = f"{self.python}.only({self.units[row]}{count})" if self.python else ""
        return replace(
            self,
            values=self.values[rows, columns],
            indices=self.indices[rows, columns],
            positions=self.positions[rows, columns],
            units=[self.units[row]],
            python=python,
        )

    def _row(self, unit: int | str | None) -> int:
        if unit is None and len(self.units) == 1:
            return 0
        number = None if unit is None else resolve_unit(self.net, self.layer, unit)
        if number not in self.units:
            raise SettingError(f"{brief_value(unit)} is none of the {len(self.units)} units here; name one of them.")
        return self.units.index(number)

    def _pixels(self, row: int) -> torch.Tensor:
        return self.net.pixels_of([self.images[int(k)] for k in self.indices[row]])

    def pictures(self, unit: int | str | None = None) -> np.ndarray:
        """The whole images as the network saw them, (k, H, W, 3) uint8.

        Parameters
        ----------
        unit : int or str, optional
            One of `units`, or its class label; not needed for a single unit.

        Raises
        ------
        SettingError
            If the unit is none of `units`.
        """
        return self.net.pixels.decode(self._pixels(self._row(unit))).cpu().numpy()

    def boxes(self, unit: int | str | None = None) -> list[Box]:
        """The receptive field of each response, (top, left, bottom, right), half open; may leave the image.

        Parameters
        ----------
        unit : int or str, optional
            One of `units`, or its class label; not needed for a single unit.

        Raises
        ------
        SettingError
            If the unit is none of `units`.
        """
        found = []
        for row, column in self.positions[self._row(unit)].tolist():
            top, left, bottom, right = self.layer.rf_box(row, column)
            found.append((math.floor(top), math.floor(left), math.ceil(bottom) + 1, math.ceil(right) + 1))
        return found

    def patches(self, unit: int | str | None = None) -> np.ndarray:
        """What the unit saw, (k, h, w, 3) uint8 of the receptive field's size; grey where it leaves the image.

        Parameters
        ----------
        unit : int or str, optional
            One of `units`, or its class label; not needed for a single unit.

        Raises
        ------
        SettingError
            If the unit is none of `units`.
        """
        return _cut(self.pictures(unit), self.boxes(unit), self.net)

    @checked(rule=choice(RULES))
    def projections(self, unit: int | str | None = None, rule: str = "deconvnet") -> np.ndarray:
        """The patterns in the patches that excited the unit, (k, h, w, 3) uint8; zero in middle grey.

        The response at its position is sent back to the pixels; all other activations of the layer are set to zero.

        Parameters
        ----------
        unit : int or str, optional
            One of `units`, or its class label; not needed for a single unit.
        rule : str
            The backward rule of rectifiers, such as "deconvnet", "guided_backprop" or "gradient".

        Raises
        ------
        SettingError
            If the unit is none of `units`, or the rule is unknown.

        References
        ----------
        Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, section 2.1.
        """
        row = self._row(unit)
        x = self._pixels(row)
        positions = [(int(r), int(c)) for r, c in self.positions[row]]
        back = unit_gradient(self.net, self.layer.name, x, [self.units[row]] * len(x), positions, rule=rule)
        patterns = back.flip(1) if self.net.pixels.order == "BGR" else back
        return _cut(drawing.signed_picture(patterns.float().cpu().numpy(), 0.999), self.boxes(unit), self.net)

    @checked(rule=choice(RULES), most=whole(1, 64, "how many units at most"))
    def plot(self, rule: str = "deconvnet", most: int = 6) -> Figure:
        """A matplotlib figure: for each of the first units the patches, and below them their projections.

        Parameters
        ----------
        rule : str
            The backward rule of the projections.
        most : int
            How many units at most.
        """
        k = self.values.shape[1]
        pictures: list[np.ndarray] = []
        titles: list[str] = []
        for unit, values in zip(self.units[:most], self.values, strict=False):
            pictures += [*self.patches(unit), *self.projections(unit, rule)]
            name = unit_name(self.net, self.layer, unit)
            titles += [f"{value:.3g}" if j else f"{name}: {value:.3g}" for j, value in enumerate(values)]
            titles += [rule.replace("_", " "), *[""] * (k - 1)]
        title = f"{self.layer.name}: largest responses to {len(self.images)} images"
        return drawing.picture_grid(pictures, titles, k, 1.0, title)


def _cut(pictures: np.ndarray, boxes: list[Box], net: Network) -> np.ndarray:
    """Boxes cut out of pictures of a network's input; a side that is larger than the input is cut to the input's."""
    rows, columns = drawing.channel_grid(net.pixels.channels)
    n, (h, w) = len(pictures), net.size
    if rows * columns > 1:  # the box is cut out of each channel
        parts = pictures.reshape(n, rows, h, columns, w, 3).transpose(1, 3, 0, 2, 4, 5)
        patches = np.stack([np.stack([_cut_one(parts[i, j], boxes) for j in range(columns)]) for i in range(rows)])
        patches = patches.transpose(2, 0, 3, 1, 4, 5)
        return patches.reshape(n, rows * patches.shape[2], columns * patches.shape[4], 3)
    return _cut_one(pictures, boxes)


def _cut_one(pictures: np.ndarray, boxes: list[Box]) -> np.ndarray:
    out = []
    for picture, (top, left, bottom, right) in zip(pictures, boxes, strict=True):
        spans = []
        for low, high, side in ((top, bottom, picture.shape[0]), (left, right, picture.shape[1])):
            spans.append((0, side) if high - low >= side else (low, high))
        (r0, r1), (c0, c1) = spans
        patch = np.full((r1 - r0, c1 - c0, 3), _OUTSIDE, np.uint8)
        a, b, c, d = max(r0, 0), min(r1, picture.shape[0]), max(c0, 0), min(c1, picture.shape[1])
        if a < b and c < d:
            patch[a - r0 : b - r0, c - c0 : d - c0] = picture[a:b, c:d]
        out.append(patch)
    return np.stack(out)


@checked(net=network, layer=layer_name, k=_HOW_MANY, batch=_AT_A_TIME, progress=flag)
def top_patches(
    net: Network,
    layer: str,
    unit: object = None,
    images: object = None,
    *,
    k: int = 9,
    batch: int = BATCH,
    progress: bool = True,
) -> TopPatches:
    """Find the images of a data set to which units respond most, and where in them; one pass, constant memory.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer's name.
    unit : int, str, list, integer array or None
        The units: numbers, class labels where the layer is the class scores, or None (default) for all.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images: a list, a folder or a data set; read again for the pictures. Default: the bundled images.
    k : int
        How many images to keep for each unit, 1 or more.
    batch : int
        How many images to compute at a time.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    TopPatches
        Responses, images and positions, with patches and projections.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    SettingError
        If the layer has no such unit, `k` is below 1, or there is no image.
    ImageError
        If an image cannot be read.

    References
    ----------
    Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, section 4.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> scenes = [cx.scene(seed).image for seed in range(4)]
    >>> top = cx.top_patches(cx.load("worldnet"), "conv3", [5, 7], scenes, k=2, progress=False)
    >>> top.values.shape, len(top.patches(7))
    ((2, 2), 2)
    """
    source = Images.of(net, images)
    with tqdm(total=len(source), desc=f"top {k}, {layer}", unit="image", disable=not progress) as bar:
        for found in top_stream(net, layer, unit, source, k=k, batch=batch):
            bar.update(found.seen - bar.n)
    units = unit_to_python(unit, found.units)
    python = f"cx.top_patches({net.to_python()}, {found.layer.name!r}, {units}{images_to_python(images)}, k={k})"
    return replace(found, python=python)


@checked(net=network, layer=layer_name, k=_HOW_MANY, batch=_AT_A_TIME)
def top_stream(
    net: Network, layer: str, unit: object = None, images: object = None, *, k: int = 9, batch: int = BATCH
) -> Iterator[TopPatches]:
    """`top_patches` as a stream: what was found so far, after each batch of images.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer's name.
    unit : int, str, list, integer array or None
        The units: numbers, class labels where the layer is the class scores, or None (default) for all.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images: a list, a folder or a data set. Default: the bundled images.
    k : int
        How many images to keep for each unit, 1 or more.
    batch : int
        How many images to compute at a time.

    Yields
    ------
    TopPatches
        The largest responses to the images so far.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    SettingError
        If the layer has no such unit, `k` or `batch` is below 1, or there is no image.
    ImageError
        If an image cannot be read.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.units import top_stream
    >>> digits = [cx.digit(k) for k in range(4)]
    >>> [found.seen for found in top_stream(cx.load("lenet"), "conv2", 7, digits, batch=2)]
    [2, 4]
    """
    where = net.layers[layer]
    source = Images.of(net, images)
    units = resolve_units(net, where, unit)
    chosen = torch.tensor(units, device=net.device)
    probe, best = net.probe(where.name), None
    for first, x in source.batches(net, batch):
        with torch.no_grad():
            maps = as_maps(probe(net.feed(x))[where.name], where)
            columns = maps.shape[3]
            if unit is not None:
                maps = maps[:, chosen]
            peaks, flat = maps.flatten(2).float().max(2)  # numpy has no bfloat16
            numbers = torch.arange(first, first + len(x), device=peaks.device)
            best = _largest(best, (peaks.T, numbers.expand(len(units), -1), flat.T), k)
        values, indices, places = (one.cpu().numpy() for one in best)
        positions = np.stack([places // columns, places % columns], -1)
        yield TopPatches(values, indices, positions, units, where, net, source, first + len(x))


def _largest(
    known: tuple[torch.Tensor, ...] | None, found: tuple[torch.Tensor, ...], k: int
) -> tuple[torch.Tensor, ...]:
    """The k largest columns of two tables, largest first: (values (U, N), numbers beside each value (U, N), ...)."""
    if known is not None:
        found = tuple(torch.cat(pair, 1) for pair in zip(known, found, strict=True))
    _, which = found[0].topk(min(k, found[0].shape[1]), 1)
    return tuple(one.gather(1, which) for one in found)


def source_to_python(images: object) -> str:
    """The Python of an argument for images or for top patches, after a comma; nothing for None."""
    return ", top" if isinstance(images, TopPatches) else images_to_python(images)
