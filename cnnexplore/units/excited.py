"""The images, or the patches of them, that excite one unit: their activations, and what the unit sees of each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from ..errors import LayerError, SettingError
from ..network import Layer, Network, as_maps, features_layer, has_class_units
from ..preimage.unit_canvas import unit_canvas
from ..representations.features import Features
from .top import TopPatches

Pair = tuple[int, int]

LEAST = 3  # images without which there is no plane of them
_OUTSIDE = 128  # grey of a patch where it leaves the image


@dataclass(frozen=True, eq=False)
class Excited:
    """The patches that excite a unit; whole images where its layer has no map.

    Attributes
    ----------
    top : TopPatches
        The unit's N strongest responses, with their images and positions.
    features : Features
        The N activations that describe them.
    size : tuple of int
        (H, W) of a patch: of the image on which the unit is maximised.
    position : tuple of int
        (row, column) of the unit on the layer's map for such an image.
    deviation : float
        Root mean squared difference of the patches' pixels from their mean, 0..255.
    """

    top: TopPatches
    features: Features
    size: Pair
    position: Pair
    deviation: float = field(default=math.nan)

    @property
    def net(self) -> Network:
        """The network."""
        return self.top.net

    def patches(self, which: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Some patches in the network's units, (n, C, H, W), and where they are inside their image, (n, 1, H, W) bool.

        Outside they are 0, the network's mean.
        """
        x = self.net.pixels_of([self.top.images[int(self.top.indices[0, k])] for k in which])
        return cut_patches(self.top.layer, x, self.top.positions[0][list(which)], self.size, self.position)

    def pictures(self, which: Sequence[int]) -> np.ndarray:
        """Some patches, (n, H, W, 3) uint8; grey where they leave their image."""
        x, inside = self.patches(which)
        pictures = self.net.pixels.decode(x).cpu().numpy()
        outside = ~inside[:, 0].cpu().numpy()
        times = [pictures.shape[a + 1] // self.size[a] for a in (0, 1)]  # channels side by side
        pictures[np.tile(outside, (1, *times))] = _OUTSIDE
        return pictures

    def mean(self, which: Sequence[int]) -> tuple[torch.Tensor, float]:
        """The mean of some patches over those pixels that are inside an image, (C, H, W), and the deviation from it."""
        x, inside = self.patches(which)
        count = inside.sum(0).clamp_min(1)
        mean = x.double().sum(0) / count
        squares = ((x - mean) * inside).square().sum() / (inside.sum() * x.shape[1]).clamp_min(1)
        return mean.float(), float(squares.sqrt())


def described_by(net: Network, layer: Layer, by: str | None) -> Layer:
    """The layer whose activations describe what excites a unit. Raises LayerNotFound, LayerError."""
    if by is None:
        return features_layer(net) if has_class_units(net, layer) and not layer.has_map else layer
    where = net.layers[by]
    if layer.has_map and not where.has_map:
        raise LayerError(
            f"by is {where.name!r}, which sees the whole image, and the units of {layer.name} see a patch of it; "
            "expected a layer with a map."
        )
    return where


def cut_patches(
    layer: Layer, x: torch.Tensor, positions: np.ndarray, size: Pair, position: Pair
) -> tuple[torch.Tensor, torch.Tensor]:
    """What units see of images, cut so that a unit lies in each patch as it does on the canvas of the unit.

    layer: of the units; x: (N, C, H, W); positions: (N, 2) on the layer's map for x; size, position: of `unit_canvas`.
    Returns the patches (N, C, *size), 0 outside the image, and a mask (N, 1, *size) of what is inside.
    """
    whole = (x.shape[2], x.shape[3])
    patches = x.new_zeros(len(x), x.shape[1], *size)
    inside = torch.zeros(len(x), 1, *size, dtype=torch.bool, device=x.device)
    if not layer.has_map:
        return x, ~inside
    for k, place in enumerate(np.asarray(positions).tolist()):
        there, here = [], []
        for a in (0, 1):
            on_canvas = (
                layer.centres(a)
                if size[a] == whole[a]
                else layer.rf_offset[a] + layer.rf_stride[a] * np.arange(position[a] + 1)
            )
            first = round(float(layer.centres(a)[place[a]] - on_canvas[position[a]]))
            low, high = max(first, 0), max(min(first + size[a], whole[a]), max(first, 0))
            there.append(slice(low, high))
            here.append(slice(low - first, high - first))
        patches[k, :, here[0], here[1]] = x[k, :, there[0], there[1]]
        inside[k, :, here[0], here[1]] = True
    return patches, inside


def excited(top: TopPatches, by: Layer, batch: int) -> Iterator[tuple[int, int] | Excited]:
    """The images of one unit's top patches that excite it, with their activations; first how many are done.

    Images that excite a class are those that the network gives to that class; others those with a response above 0.
    Raises SettingError if they are fewer than three.
    """
    net, layer, unit = top.net, top.layer, top.units[0]
    size, position = unit_canvas(net, layer)
    classes = has_class_units(net, layer) and not layer.has_map
    probe = net.probe(*dict.fromkeys((by.name, layer.name)))
    count = len(top.indices[0])
    rows, predicted = [], []
    for first in range(0, count, batch):
        which = slice(first, first + batch)
        x = net.pixels_of([top.images[int(k)] for k in top.indices[0, which]])
        with torch.no_grad():
            found = probe(net.feed(x))
        maps = as_maps(found[by.name], by).float()
        places = _nearest(layer, by, top.positions[0, which])
        rows.append(maps[torch.arange(len(x)), :, places[:, 0], places[:, 1]] if layer.has_map else maps.flatten(1))
        predicted.append(
            as_maps(found[layer.name], layer)[:, :, 0, 0].argmax(1) if classes else x.new_full((len(x),), -1)
        )
        yield min(first + batch, count), count
    activations, labels = torch.cat(rows).cpu().numpy(), torch.cat(predicted).cpu().numpy().astype(np.int32)
    kept = np.flatnonzero(labels == unit if classes else top.values[0] > 0)
    if len(kept) < LEAST:
        raise SettingError(_too_few(top, len(kept), classes))
    top = replace(top, values=top.values[:, kept], indices=top.indices[:, kept], positions=top.positions[:, kept])
    numbers = top.indices[0]
    of_images = np.array([top.images.item(int(k))[1] for k in numbers], np.int32)
    features = Features(
        activations[kept], of_images, labels[kept].astype(np.int32), numbers, net, by, top.images, Path()
    )
    found_ = Excited(top, features, size, position)
    yield replace(found_, deviation=_deviation(found_, batch))


def _nearest(layer: Layer, by: Layer, positions: np.ndarray) -> torch.Tensor:
    """The places on another layer's map whose centres are nearest to those of some positions, (n, 2)."""
    if not by.has_map or by.name == layer.name:
        return torch.from_numpy(np.array(positions))
    found = []
    for a in (0, 1):
        centres = layer.centres(a)[positions[:, a]]
        found.append(np.abs(by.centres(a)[None] - centres[:, None]).argmin(1))
    return torch.from_numpy(np.stack(found, 1))


def _deviation(found: Excited, batch: int) -> float:
    """The root mean squared difference of all patches from their mean, in constant memory."""
    total = len(found.features)
    shape = (found.net.pixels.channels, *found.size)
    sums, squares = torch.zeros(2, *shape, dtype=torch.float64, device=found.net.device)
    count = torch.zeros(1, *found.size, dtype=torch.int64, device=found.net.device)
    for first in range(0, total, batch):
        x, inside = found.patches(range(first, min(first + batch, total)))
        sums += x.double().sum(0)
        squares += x.double().square().sum(0)
        count += inside.sum(0)
    within = squares - sums.square() / count.clamp_min(1)
    return float((within.sum() / (count.sum() * sums.shape[0]).clamp_min(1)).clamp_min(0).sqrt())


def _too_few(top: TopPatches, count: int, classes: bool) -> str:
    net, layer, unit = top.net, top.layer, top.units[0]
    said = {0: "none of the images", 1: "one of the images"}.get(count, f"{count} of the images")
    if classes:
        return (
            f"{net.name} takes {said} for {net.labels[unit]!r}; expected at least {LEAST}: give images of that class."
        )
    return f"{said.capitalize()} excites unit {unit} of {layer.name}; expected at least {LEAST}: give other images."
