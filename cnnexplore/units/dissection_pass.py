"""The pass of network dissection: a network runs over images; what may be above the thresholds goes to disk in blocks.

The layers of a pass, as they are and rotated, share it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from ..data.concepts import ConceptData, LabelMaps, labelled, labelled_batches
from ..errors import LayerError
from ..network import Layer, Network, as_maps
from ..network.precision import full_precision
from ..network.probe import Probe
from ..sweep import in_pieces
from .dissection_blocks import Blocks
from .rotation import random_rotation
from .tally import Grid
from .thresholds import LowerBound, rank_of


@dataclass
class Site:
    """A layer whose units are dissected, as they are or rotated."""

    key: str
    layer: Layer
    basis: np.ndarray | None
    grid: Grid
    bound: LowerBound
    rank: int
    count: int  # activations of a unit

    def maps(self, found: torch.Tensor) -> torch.Tensor:
        """The maps as they are counted: float32, rotated, rows and columns in the order of their centres."""
        maps = as_maps(found, self.layer).float() + 0.0  # -0.0 is 0.0
        if self.basis is not None:
            with full_precision():
                weights = torch.as_tensor(self.basis, dtype=maps.dtype, device=maps.device)
                maps = torch.einsum("uc,nchw->nuhw", weights, maps)
        for axis, order in enumerate(self.grid.orders):
            if (np.diff(order) != 1).any():
                maps = maps.index_select(axis + 2, torch.as_tensor(order, device=maps.device))
        return maps


def sites_of(
    net: Network, layers: list[Layer], images: int, quantile: float, reduce: int, null: str | None, power: float,
    seed: int,
) -> list[Site]:  # fmt: skip
    sites = []
    for j, layer in enumerate(layers):
        bases: dict[str, np.ndarray | None] = {f"{j}": None}
        if null == "rotation":
            bases[f"{j}n"] = random_rotation(layer.channels, power, seed)
        for key, basis in bases.items():
            count = images * layer.size[0] * layer.size[1]
            rank = rank_of(quantile, count)
            grid = Grid(layer, layer.size, net.size, reduce)
            sites.append(Site(key, layer, basis, grid, LowerBound(layer.channels, rank), rank, count))
    return sites


def run_pass(
    net: Network, data: ConceptData, sites: list[Site], blocks: Blocks, size: int, batch: int, k: int, executor: Any,
    resumes: bool, progress: bool,
) -> Iterator[tuple[int, int]]:  # fmt: skip
    """Run the network over the blocks that are missing; write them."""
    count = len(data)
    starts = list(range(0, count, size))
    there = [first for first in starts if blocks.has(first)]
    for site in sites:
        for first in there:
            bound = blocks.read(first, f"{site.key}_bound")[f"{site.key}_bound"]
            site.bound.bound = np.maximum(site.bound.bound, bound)
        for first in there:
            unit, values = kept(blocks, first, site)
            keep = values > site.bound.bound[unit]
            site.bound.count(unit[keep], values[keep])
    missing = [first for first in starts if first not in there]
    names = list(dict.fromkeys(site.layer.name for site in sites))
    done = sum(min(size, count - first) for first in there)
    if executor is None:
        computed = _here(net, data, sites, size, batch, missing)
    else:
        computed = _elsewhere(net, data, sites, size, batch, missing, executor, resumes)
    bar = {"desc": f"dissection, {', '.join(names)}", "unit": "image", "disable": not progress}
    with tqdm(total=count, initial=done, **bar) as shown, closing(computed) as found:
        for first, parts, labels in found:
            arrays: dict[str, np.ndarray] = {}
            for site in sites:
                arrays |= {f"{site.key}_{name}": value for name, value in _block(parts[site.key], first, k).items()}
                arrays[f"{site.key}_bound"] = site.bound.bound
            blocks.write(first, arrays, labels)
            done += len(labels)
            shown.update(len(labels))
            yield done, count


_Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
_Parts = dict[str, list[_Part]]
"""By site, a part for each batch of a block."""
_Blocks = Generator[tuple[int, _Parts, LabelMaps], None, None]
"""The number of the first image of a block, its parts, and its concepts."""


def _here(net: Network, data: ConceptData, sites: list[Site], size: int, batch: int, starts: list[int]) -> _Blocks:
    """Blocks that this thread computes, while another one reads the images of the next block."""
    probe = net.probe(*dict.fromkeys(site.layer.name for site in sites))
    for first, x, labels in labelled_batches(data, net, size, starts, sites[0].grid.size):
        found: _Parts = {site.key: [] for site in sites}
        for low in range(0, len(x), batch):
            for site, part in zip(sites, _batch(net, probe, sites, x, low, batch, _bounds(sites)), strict=True):
                _count(site, part)  # the next batch has the higher bound
                found[site.key].append(part)
        yield first, found, labels


def _elsewhere(
    net: Network, data: ConceptData, sites: list[Site], size: int, batch: int, starts: list[int], executor: Any,
    resumes: bool,
) -> _Blocks:  # fmt: skip
    """Blocks that the workers of an executor compute. Each is sent the bounds as they are when it is sent."""
    empty = LowerBound(0, 1)  # its counts would take as much memory as a network
    work = _Pass(net, data, [replace(site, bound=empty) for site in sites], size, batch)
    pieces = ((first, _bounds(sites)) for first in starts)
    with in_pieces(work, pieces, executor, kept=resumes) as computed:
        for (first, _), (found, labels) in computed:
            for site in sites:
                for part in found[site.key]:
                    _count(site, part)
            yield first, found, labels


@dataclass(frozen=True)
class _Pass:
    """A pass as it is sent to workers."""

    net: Network
    data: ConceptData
    sites: list[Site]
    size: int
    batch: int

    def prepare(self) -> Callable[[tuple[int, list[np.ndarray]]], tuple[_Parts, LabelMaps]]:
        """The function of a block: the number of its first image, and the bounds of the sites."""
        net, sites = self.net, self.sites
        probe = net.probe(*dict.fromkeys(site.layer.name for site in sites))

        def block(given: tuple[int, list[np.ndarray]]) -> tuple[_Parts, LabelMaps]:
            first, bounds = given
            pairs = [self.data.concepts(k) for k in range(first, min(first + self.size, len(self.data)))]
            x, labels = labelled(pairs, net, sites[0].grid.size)
            found: _Parts = {site.key: [] for site in sites}
            for low in range(0, len(x), self.batch):
                for site, part in zip(sites, _batch(net, probe, sites, x, low, self.batch, bounds), strict=True):
                    found[site.key].append(part)
            return found, labels

        return block


def _bounds(sites: list[Site]) -> list[np.ndarray]:
    return [site.bound.bound for site in sites]


def _batch(
    net: Network, probe: Probe, sites: list[Site], x: torch.Tensor, low: int, batch: int, bounds: list[np.ndarray]
) -> list[_Part]:
    """The parts of a batch of a block, which begins at its image `low`."""
    with torch.no_grad():
        found = probe(net.feed(x[low : low + batch]))
        return [
            _part(site, site.maps(found[site.layer.name]), low, bound)
            for site, bound in zip(sites, bounds, strict=True)
        ]


def _part(site: Site, maps: torch.Tensor, first: int, bound: np.ndarray) -> _Part:
    """Of a batch: indices and values of activations near what may be above the threshold; each map's extremes."""
    most, least = maps.amax((2, 3)), maps.amin((2, 3))
    if not (torch.isfinite(most).all() and torch.isfinite(least).all()):
        raise LayerError(
            f"the activation of {site.layer.name!r} is not finite for one of the images; look at the weights."
        )
    near = F.max_pool2d(maps, 3, 1, 1) > torch.as_tensor(bound, device=maps.device).view(1, -1, 1, 1)
    index = near.flatten().nonzero()[:, 0]
    values, cells = maps.flatten()[index].cpu().numpy(), index.cpu().numpy()
    return cells + first * maps[0].numel(), values, most.cpu().numpy(), least.cpu().numpy()


def _count(site: Site, part: _Part) -> None:
    """Count the activations of a part that are above the bound."""
    index, values, *_ = part
    unit = _units_of(site, index)
    above = values > site.bound.bound[unit]
    site.bound.count(unit[above], values[above])


def _units_of(site: Site, index: np.ndarray) -> np.ndarray:
    return index // (site.layer.size[0] * site.layer.size[1]) % site.layer.channels


def _block(parts: list[_Part], first: int, k: int) -> dict[str, np.ndarray]:
    index, values, most, least = (np.concatenate(column) for column in zip(*parts, strict=True))
    kind = np.uint32 if index.size == 0 or index[-1] < 2**32 else np.uint64
    order = np.argsort(-most, 0, kind="stable")[:k].T
    return {
        "index": index.astype(kind),
        "values": values,
        "top_values": np.take_along_axis(most.T, order, 1),
        "top_images": (order + first).astype(np.int64),
        "minimum": least.min(0),
    }


def kept(blocks: Blocks, first: int, site: Site) -> tuple[np.ndarray, np.ndarray]:
    """Units and activations of a block."""
    found = blocks.read(first, f"{site.key}_index", f"{site.key}_values")
    unit = _units_of(site, found[f"{site.key}_index"]).astype(np.int64)
    return unit, found[f"{site.key}_values"]
