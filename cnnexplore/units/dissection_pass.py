"""The pass of network dissection: a network runs over images; what may be above the thresholds goes to disk in blocks.

The layers of a pass, as they are and rotated, share it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from ..data.concepts import ConceptData, labelled_batches
from ..errors import LayerError
from ..network import Layer, Network, as_maps
from ..network.precision import full_precision
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
    net: Network, data: ConceptData, sites: list[Site], blocks: Blocks, size: int, batch: int, k: int, progress: bool
) -> Iterator[tuple[int, int]]:
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
    probe, done = net.probe(*names), sum(min(size, count - first) for first in there)
    bar = {"desc": f"dissection, {', '.join(names)}", "unit": "image", "disable": not progress}
    with tqdm(total=count, initial=done, **bar) as shown:
        for first, x, labels in labelled_batches(data, net, size, missing, sites[0].grid.size):
            found: dict[str, list[_Part]] = {site.key: [] for site in sites}
            for low in range(0, len(x), batch):
                with torch.no_grad():
                    activations = probe(net.feed(x[low : low + batch]))
                    for site in sites:
                        found[site.key].append(_part(site, site.maps(activations[site.layer.name]), low))
            arrays: dict[str, np.ndarray] = {}
            for site in sites:
                arrays |= {f"{site.key}_{name}": value for name, value in _block(found[site.key], first, k).items()}
                arrays[f"{site.key}_bound"] = site.bound.bound
            blocks.write(first, arrays, labels)
            done += len(x)
            shown.update(len(x))
            yield done, count


_Part = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def _part(site: Site, maps: torch.Tensor, first: int) -> _Part:
    """Of a batch: indices and values of activations near what may be above the threshold; each map's extremes."""
    most, least = maps.amax((2, 3)), maps.amin((2, 3))
    if not (torch.isfinite(most).all() and torch.isfinite(least).all()):
        raise LayerError(
            f"the activation of {site.layer.name!r} is not finite for one of the images; look at the weights."
        )
    bound = torch.as_tensor(site.bound.bound, device=maps.device).view(1, -1, 1, 1)
    near = F.max_pool2d(maps, 3, 1, 1) > bound
    index = near.flatten().nonzero()[:, 0]
    values, cells = maps.flatten()[index].cpu().numpy(), index.cpu().numpy()
    unit = cells // maps[0, 0].numel() % maps.shape[1]
    above = values > site.bound.bound[unit]
    site.bound.count(unit[above], values[above])
    return cells + first * maps[0].numel(), values, most.cpu().numpy(), least.cpu().numpy()


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
    cells = site.layer.size[0] * site.layer.size[1]
    unit = (found[f"{site.key}_index"] // cells % site.layer.channels).astype(np.int64)
    return unit, found[f"{site.key}_values"]
