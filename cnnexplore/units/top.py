"""The images, and the patches in them, to which units respond most: one pass over a data set, all units at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..data.images import BATCH, Images
from ..errors import SettingError
from ..network import Layer, Network, as_maps, resolve_units
from .projection import project
from .stream import largest


@dataclass(frozen=True)
class TopPatches:
    """The strongest responses of units over a data set, at most one per image; unit j of `units` is row j.

    seen: how many images were looked at; values: (U, k), largest first; indices: (U, k), the images' numbers;
    positions: (U, k, 2), (row, column) on the layer's map. `only(unit)` is one unit's part; it shows itself.
    """

    values: np.ndarray = field(repr=False)
    indices: np.ndarray = field(repr=False)
    positions: np.ndarray = field(repr=False)
    units: list[int]
    layer: Layer
    net: Network = field(repr=False)
    images: Images = field(repr=False)
    seen: int = 0

    def only(self, unit: int) -> TopPatches:
        """One unit's part. Raises SettingError if it was not looked at."""
        row = self._row(unit)
        rows = slice(row, row + 1)
        found = self.values[rows], self.indices[rows], self.positions[rows]
        return TopPatches(*found, [unit], self.layer, self.net, self.images, self.seen)

    def _row(self, unit: int | None) -> int:
        if unit is None and len(self.units) == 1:
            return 0
        if unit not in self.units:
            raise SettingError(f"{unit!r} is none of the {len(self.units)} units looked at; name one of them.")
        return self.units.index(unit)

    def pictures(self, unit: int | None = None) -> np.ndarray:
        """The whole images as the network saw them, (k, H, W, 3) uint8."""
        x = self.net.pixels_of([self.images[int(k)] for k in self.indices[self._row(unit)]])
        return self.net.picture(x).reshape(len(x), *x.shape[-2:], 3)

    def boxes(self, unit: int | None = None) -> list[tuple[int, int, int, int]]:
        """The receptive field of each response, (top, left, bottom, right), half open; may leave the image."""
        found = []
        for row, column in self.positions[self._row(unit)].tolist():
            top, left, bottom, right = self.layer.rf_box(row, column)
            found.append((math.floor(top), math.floor(left), math.ceil(bottom) + 1, math.ceil(right) + 1))
        return found

    def patches(self, unit: int | None = None) -> np.ndarray:
        """What the unit saw, (k, h, w, 3) uint8 of the receptive field's size; grey where it leaves the image."""
        return _cut(self.pictures(unit), self.boxes(unit), 128)

    def projections(self, unit: int | None = None, rule: str = "deconvnet") -> np.ndarray:
        """The patterns in the patches that excited the unit, by a backward rule; (k, h, w, 3) uint8, zero in grey."""
        row = self._row(unit)
        x = self.net.pixels_of([self.images[int(k)] for k in self.indices[row]])
        count, places = len(x), [tuple(p) for p in self.positions[row].tolist()]
        back = project(self.net, self.layer, x, [self.units[row]] * count, places, rule).cpu().numpy()
        return _cut(drawing.signed_picture(back, 0.999), self.boxes(unit), 128)

    def plot(self, rule: str = "deconvnet", most: int = 6):
        """A matplotlib figure: of each of the first units the patches, and below them their projections."""
        k = self.values.shape[1]
        pictures, titles = [], []
        for unit in self.units[:most]:
            row = self._row(unit)
            pictures += [*self.patches(unit), *self.projections(unit, rule)]
            titles += [
                f"unit {unit}: {value:.3g}" if not j else f"{value:.3g}" for j, value in enumerate(self.values[row])
            ]
            titles += [rule.replace("_", " "), *[""] * (k - 1)]
        return drawing.panels(
            pictures, titles, k, 1.0, f"{self.layer.name}: largest responses of {len(self.images)} images"
        )

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


def _cut(pictures: np.ndarray, boxes, paper: int) -> np.ndarray:
    """Boxes cut out of pictures of one size; a side that is larger than the picture is cut to the picture's."""
    out = []
    for picture, (top, left, bottom, right) in zip(pictures, boxes, strict=True):
        spans = []
        for low, high, side in ((top, bottom, picture.shape[0]), (left, right, picture.shape[1])):
            spans.append((0, side) if high - low >= side else (low, high))
        (r0, r1), (c0, c1) = spans
        patch = np.full((r1 - r0, c1 - c0, 3), paper, np.uint8)
        a, b, c, d = max(r0, 0), min(r1, picture.shape[0]), max(c0, 0), min(c1, picture.shape[1])
        if a < b and c < d:
            patch[a - r0 : b - r0, c - c0 : d - c0] = picture[a:b, c:d]
        out.append(patch)
    return np.stack(out)


def top_patches(
    net: Network,
    layer: str,
    unit: int | list[int] | None = None,
    images=None,
    k: int = 9,
    batch: int = BATCH,
    progress: bool = True,
) -> TopPatches:
    """The k images of a data set to which each unit responds most, and where in them; one pass, constant memory.

    unit: a channel, a list, or None for all; images: a list, a folder or a data set, read again for the pictures
    (default: the pictures at hand).
    Raises SettingError, LayerNotFound, ImageError.
    Source: Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, section 4.
    """
    source = Images.of(net, images)
    seen = top_stream(net, layer, unit, source, k, batch)
    with tqdm(total=len(source), desc=f"top {k}, {layer}", unit="image", disable=not progress) as bar:
        for found in seen:
            bar.update(found.seen - bar.n)
    return found


def top_stream(
    net: Network, layer: str, unit=None, images=None, k: int = 9, batch: int = BATCH
) -> Iterator[TopPatches]:
    """`top_patches` as a stream: what was found so far, after each batch of images."""
    where = net.layers[layer]
    source = Images.of(net, images)
    units = resolve_units(net, where, unit)
    if not isinstance(k, int) or k < 1:
        raise SettingError(f"k is {k!r}; expected how many images to keep, 1 or more.")
    chosen = torch.tensor(units, device=net.device)
    probe, best = net.probe(where.name), None
    for first, x in source.batches(net, batch):
        with torch.no_grad():
            code = as_maps(probe(net.feed(x))[where.name], where)
            columns = code.shape[3]
            if unit is not None:
                code = code[:, chosen]
            values, places = code.flatten(2).max(2)
            numbers = torch.arange(first, first + len(x), device=values.device)
            best = largest(best, (values.T, numbers.expand(len(units), -1), places.T), k)
        values, indices, places = (one.cpu().numpy() for one in best)
        positions = np.stack([places // columns, places % columns], -1)
        yield TopPatches(values, indices, positions, units, where, net, source, first + len(x))
