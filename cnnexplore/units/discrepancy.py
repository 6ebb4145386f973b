"""Discrepancy maps: how much a small random patch, slid over an image, changes a unit's response."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import checked, checked_integer, flag, place, seed, several, whole
from ..data.images import one_image
from ..errors import SettingError
from ..network import (
    Layer,
    Network,
    PatchedActivations,
    as_maps,
    resolve_position,
    resolve_units,
    unit_name,
)
from ..network.arguments import layer_name, network
from ..results import Result, image_to_python, unit_to_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class DiscrepancyMaps(Result):
    """The absolute change of units' responses to one image, by the place of the patch.

    Attributes
    ----------
    values : np.ndarray
        (U, rows, columns), for patches with their first pixel at `start` + `stride` times the row and column; these may
        leave the image.
    positions : np.ndarray
        (U, 2) int, the position (row, column) on the layer's map of each response.
    units : list of int
        The units.
    names : list of str
        The units' names: class labels, or "unit 7".
    layer : Layer
        Their layer.
    image : np.ndarray
        (H, W, 3) uint8, the image as the network saw it.
    patch, stride, start : int
        The patch's side, its steps and its first place, in pixels.
    size : tuple of int
        (H, W) of the network's input.
    python : str
        The call that makes this result again.
    """

    values: np.ndarray = field(repr=False)
    positions: np.ndarray = field(repr=False)
    units: list[int]
    names: list[str] = field(repr=False)
    layer: Layer
    image: np.ndarray = field(repr=False)
    patch: int
    stride: int
    start: int
    size: tuple[int, int]
    python: str = field(default="", repr=False)

    def map(self, unit: int) -> np.ndarray:
        """One unit's map at the image's size, (H, W): at each pixel the mean over the patches that covered it.

        Parameters
        ----------
        unit : int
            One of `units`.

        Raises
        ------
        SettingError
            If the unit is none of `units`.
        """
        unit = whole(0, what="the number of a unit")("unit", unit)
        if unit not in self.units:
            raise SettingError(f"unit {unit} is none of the {len(self.units)} units here; name one of them.")
        values = self.values[self.units.index(unit)]
        total, count = (np.zeros(self.size) for _ in range(2))
        for i, row in enumerate(self.start + self.stride * np.arange(values.shape[0])):
            for j, column in enumerate(self.start + self.stride * np.arange(values.shape[1])):
                where = slice(max(row, 0), row + self.patch), slice(max(column, 0), column + self.patch)
                total[where] += values[i, j]
                count[where] += 1
        return total / np.maximum(count, 1)

    @checked(most=whole(0, 64, "how many units at most"))
    def plot(self, most: int = 8) -> Figure:
        """A matplotlib figure: the image, and the first units' maps over it.

        Parameters
        ----------
        most : int
            How many units at most.
        """
        pictures = [self.image, *(drawing.overlay(self.image, self.map(unit), 0.8) for unit in self.units[:most])]
        return drawing.picture_grid(
            pictures, ["image", *self.names[:most]], 9, 1.3, f"{self.layer.name}: discrepancy maps"
        )


@checked(net=network, layer=layer_name, start=whole(-4096, 0, "the first row and column"), seed=seed, progress=flag)
def discrepancy_maps(
    net: Network,
    image: object,
    layer: str,
    unit: object = None,
    *,
    patch: int = 11,
    stride: int = 3,
    positions: Sequence[tuple[int, int]] | np.ndarray | None = None,
    start: int = 0,
    seed: int = 0,
    batch: int = 32,
    progress: bool = True,
) -> DiscrepancyMaps:
    """Measure how much units' responses change when a random patch lies on the image, for patches all over it.

    Only patches that touch the receptive field of a response are computed, as the others change nothing.

    Parameters
    ----------
    net : Network
        The network.
    image : array, PIL.Image.Image, str or os.PathLike
        One image, as `Network.pixels_of` takes it.
    layer : str
        The layer's name.
    unit : int, str, list, integer array or None
        The units: numbers, class labels where the layer is the class scores, or None (default) for all.
    patch : int
        The patch's side in pixels.
    stride : int
        The patch's steps in pixels, 1 to `patch`.
    positions : (U, 2) sequence of int, optional
        One (row, column) on the layer's map per unit. Default: the position of the unit's strongest response.
    start : int
        The first patch's row and column in pixels, 0 or less.
    seed : int
        Of the patches' random pixels.
    batch : int
        How many patches to compute at a time.
    progress : bool
        Whether to show a progress bar if it takes longer than 2 seconds.

    Returns
    -------
    DiscrepancyMaps
        The changes, by unit and place of the patch.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    SettingError
        If the layer has no such unit or position, a setting is out of range, or several images were given.
    ImageError
        If the image cannot be read.

    References
    ----------
    Zhou, Khosla, Lapedriza, Oliva and Torralba, Object detectors emerge in deep scene CNNs, 2015, section 3.2.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> found = cx.discrepancy_maps(cx.load("lenet"), cx.digit(3), "conv2", 7, patch=5)
    >>> found.values.shape, found.map(7).shape
    ((1, 10, 10), (28, 28))
    """
    where = net.layers[layer]
    units = resolve_units(net, where, unit)
    x = one_image(net, image)
    height, width = x.shape[-2:]
    patch = checked_integer("patch", patch, 1, min(height, width), what="its side in pixels")
    stride = checked_integer("stride", stride, 1, patch, what="pixels, no more than the patch")
    batch = checked_integer("batch", batch, 1, 10_000, what="how many patches to compute at a time")
    patched = PatchedActivations(net, x, where.name, (patch, patch), batch, seed)
    base = as_maps(patched.base, where)
    chosen = torch.tensor(units, device=base.device)
    if positions is None:
        places = base[0, chosen].flatten(1).argmax(1)
    else:
        given = several(place, "one (row, column) for each unit")("positions", positions)
        if len(given) != len(units):
            raise SettingError(f"{len(given)} positions were given for {len(units)} units; expected one for each.")
        pairs = [resolve_position(where, position) for position in given]
        places = torch.tensor([row * base.shape[3] + column for row, column in pairs], device=base.device)
    watched = torch.stack([places // base.shape[3], places % base.shape[3]], 1).cpu().numpy()
    rows, columns = np.arange(start, height, stride), np.arange(start, width, stride)
    inside = _touching(patched, watched, rows, columns)
    corners = [(int(rows[i]), int(columns[j])) for i, j in np.argwhere(inside)]
    generator = torch.Generator()

    def noise(first: int, last: int) -> torch.Tensor:
        if first == 0:
            generator.manual_seed(seed)
        rgb = 255 * torch.rand(
            last - first, net.pixels.image_channels, patch, patch, generator=generator, dtype=torch.float32
        )
        return net.pixels.encode(rgb).to(x)

    values = torch.zeros(len(units), len(corners), device=base.device, dtype=torch.float32)
    before = base[0, chosen].flatten(1).gather(1, places[:, None])[:, 0]
    bar = {"desc": f"discrepancy, {where.name}", "unit": "patch", "disable": not progress, "delay": 2}
    with tqdm(total=len(corners), **bar) as shown:
        for first, found in patched.activations(corners, noise):
            maps = as_maps(found, where)[:, chosen].flatten(2)
            after = maps.gather(2, places[None, :, None].expand(len(maps), -1, 1))[..., 0]
            values[:, first : first + len(maps)] = (after - before).abs().T
            shown.update(first + len(maps) - shown.n)
    full = np.zeros((len(units), len(rows), len(columns)), np.float32)
    full[:, inside] = values.cpu().numpy()
    names = [unit_name(net, where, one) for one in units]
    settings = f"{unit_to_python(unit, units)}, patch={patch}, stride={stride}, seed={seed}"
    if positions is not None:
        settings += f", positions={watched.tolist()}"
    if start:
        settings += f", start={start}"
    python = f"cx.discrepancy_maps({net.to_python()}, {image_to_python(image)}, {where.name!r}, {settings})"
    return DiscrepancyMaps(full, watched, units, names, where, net.picture(x), patch, stride, start, net.size, python)


def _touching(patched: PatchedActivations, watched: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Which patches, (rows, columns), can change the response at any of the positions."""
    layer, side, size = patched.layer, patched.window[0], patched.net.size
    inside = np.zeros((len(rows), len(columns)), bool)
    positions = np.unique(watched, axis=0)
    if patched.is_local:
        for row, column in positions.tolist():
            top, left, bottom, right = layer.rf_box(row, column)
            down = (rows <= bottom) & (rows + side > top)
            across = (columns <= right) & (columns + side > left)
            inside |= down[:, None] & across[None, :]
        return inside
    # Where the fields are not those of the formula, they are measured: by rows and by columns of patches.
    index = [torch.arange(n) for n in size]
    stripes = [
        (index[a] >= torch.from_numpy(first)[:, None]) & (index[a] < torch.from_numpy(first)[:, None] + side)
        for a, first in enumerate((rows, columns))
    ]
    by_row = patched.dependent(stripes[0][:, :, None].expand(-1, -1, size[1])).cpu().numpy()
    by_column = patched.dependent(stripes[1][:, None, :].expand(-1, size[0], -1)).cpu().numpy()
    for row, column in positions.tolist():
        inside |= by_row[:, None, row, column] & by_column[None, :, row, column]
    return inside
