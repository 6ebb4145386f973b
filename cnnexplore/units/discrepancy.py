"""Discrepancy maps: how much a small random patch, slid over an image, changes a unit's response."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..errors import SettingError
from ..network import Layer, Network, PatchedActivations, as_maps, resolve_units


@dataclass(frozen=True)
class DiscrepancyMaps:
    """The absolute change of units' responses to one image, by where the patch lay.

    values: (U, rows, columns), for patches whose first pixels are at `start` + `stride` times the row and column, and
    may lie outside the image; positions: (U, 2), the place on the layer's map that was watched, the unit's strongest.
    """

    values: np.ndarray = field(repr=False)
    positions: np.ndarray = field(repr=False)
    units: list[int]
    layer: Layer
    image: np.ndarray = field(repr=False)
    patch: int
    stride: int
    start: int

    def map(self, unit: int) -> np.ndarray:
        """One unit's map at the image's size, (H, W): each pixel the mean over the patches that covered it."""
        values = self.values[self.units.index(unit)]
        total, count = (np.zeros(self.image.shape[:2]) for _ in range(2))
        for i, row in enumerate(self.start + self.stride * np.arange(values.shape[0])):
            for j, column in enumerate(self.start + self.stride * np.arange(values.shape[1])):
                where = slice(max(row, 0), row + self.patch), slice(max(column, 0), column + self.patch)
                total[where] += values[i, j]
                count[where] += 1
        return total / np.maximum(count, 1)

    def plot(self, most: int = 8):
        """A matplotlib figure: the image, and the first units' maps over it."""
        chosen = self.units[:most]
        pictures = [self.image, *(drawing.overlay(self.image, self.map(unit), 0.8) for unit in chosen)]
        titles = ["image", *(f"unit {unit}" for unit in chosen)]
        return drawing.panels(pictures, titles, 9, 1.3, f"{self.layer.name}: discrepancy maps")

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


def discrepancy_maps(
    net: Network,
    image,
    layer: str,
    unit: int | list[int] | None = None,
    *,
    patch: int = 11,
    stride: int = 3,
    positions=None,
    start: int = 0,
    seed: int = 0,
    batch: int = 32,
    progress: bool = False,
) -> DiscrepancyMaps:
    """How much each unit's strongest response changes when a random patch lies on the image, for patches all over it.

    unit: a channel, a list, or None for all of the layer; patch, stride: in pixels; positions: one (row, column) per
    unit instead of its strongest; start: of the first patch, 0 or less. Only patches that touch a watched unit's field
    are tried, as the others change nothing. Raises SettingError, LayerNotFound, ImageError.
    Source: Zhou et al., Object detectors emerge in deep scene CNNs, 2015, section 3.2 (patch 11, stride 3).
    """
    where = net.layers[layer]
    units = resolve_units(net, where, unit)
    x = net.pixels_of(image)
    if len(x) != 1:
        raise SettingError(f"{len(x)} images were given; expected one.")
    size = tuple(x.shape[-2:])
    if not isinstance(patch, int) or not 1 <= patch <= min(size):
        raise SettingError(f"patch is {patch!r}; expected its side in pixels, 1 to {min(size)}.")
    if not isinstance(stride, int) or not 1 <= stride <= patch:
        raise SettingError(
            f"stride is {stride!r}; expected pixels, 1 to the patch's {patch}, so that none is left out."
        )
    patched = PatchedActivations(net, x, where.name, (patch, patch), batch)
    base = as_maps(patched.base, where)
    chosen = torch.tensor(units, device=base.device)
    if positions is None:
        places = base[0, chosen].flatten(1).argmax(1)
    else:
        places = torch.tensor([row * base.shape[3] + column for row, column in positions], device=base.device)
    watched = torch.stack([places // base.shape[3], places % base.shape[3]], 1).cpu().numpy()
    rows, columns = (np.arange(start, side, stride) for side in size)
    inside = _touching(where, watched, rows, columns, patch)
    corners = [(int(rows[i]), int(columns[j])) for i, j in np.argwhere(inside)]
    generator = torch.Generator().manual_seed(seed)
    values = torch.zeros(len(units), len(corners), device=base.device)
    before = base[0, chosen].flatten(1).gather(1, places[:, None])[:, 0]
    done = 0
    with tqdm(total=len(corners), desc=f"discrepancy, {where.name}", unit="patch", disable=not progress) as bar:
        while done < len(corners):
            some = corners[done : done + batch]
            noise = 255 * torch.rand(len(some), 3, patch, patch, generator=generator)
            (code,) = patched.activations(some, net.pixels.encode(noise).to(x))
            code = as_maps(code, where)[:, chosen].flatten(2)
            after = code.gather(2, places[None, :, None].expand(len(some), -1, 1))[..., 0]
            values[:, done : done + len(some)] = (after - before).abs().T
            done += len(some)
            bar.update(len(some))
    full = np.zeros((len(units), len(rows), len(columns)), np.float32)
    full[:, inside] = values.cpu().numpy()
    return DiscrepancyMaps(full, watched, units, where, net.picture(x), patch, stride, start)


def _touching(layer: Layer, watched: np.ndarray, rows: np.ndarray, columns: np.ndarray, patch: int) -> np.ndarray:
    """Which patches, (rows, columns), touch the field of any watched place."""
    inside = np.zeros((len(rows), len(columns)), bool)
    for row, column in np.unique(watched, axis=0).tolist():
        top, left, bottom, right = layer.rf_box(row, column)
        down = (rows <= bottom) & (rows + patch > top)
        across = (columns <= right) & (columns + patch > left)
        inside |= down[:, None] & across[None, :]
    return inside
