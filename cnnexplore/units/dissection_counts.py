"""What a pass of network dissection came to: thresholds, counts of pixels and the strongest images, from its blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch

from ..data.concepts import LabelMaps
from ..errors import SettingError
from .dissection_blocks import Blocks
from .dissection_pass import Site, kept
from .tally import Counts, Tally, counted
from .thresholds import exact_thresholds

_THREADS = 4  # at most; a block is in memory for each

T = TypeVar("T")
Top = tuple[np.ndarray, np.ndarray, np.ndarray]
"""(units, k) the largest activations of units, the numbers of their images, and (units,) the smallest activation."""


def write_result(blocks: Blocks, sites: list[Site], size: int, count: int, null: str | None, seed: int, k: int) -> None:
    """Find the thresholds, count the pixels, write what the pass came to."""
    starts = list(range(0, count, size))
    thresholds = {site.key: _thresholds(blocks, site, starts) for site in sites}
    keys = {site.key: site for site in sites}
    if null == "masks":
        keys |= {f"{site.key}n": site for site in sites}
    order = np.random.default_rng(seed).permutation(len(starts))
    other = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))

    def read(b: int) -> tuple[dict[str, Counts], dict[str, np.ndarray], dict[str, Top]]:
        labels = blocks.labels(starts[b])
        shuffled = None
        if null == "masks":
            shuffled = _others(labels, blocks.labels(starts[other[b]]), seed, b, len(starts) == 1)
        counts, exceed, tops = {}, {}, {}
        for site in sites:
            names = [f"{site.key}_{one}" for one in ("index", "values", "top_values", "top_images", "minimum")]
            index, values, *top = blocks.read(starts[b], *names).values()
            maps, limit = (index.astype(np.int64), values), thresholds[site.key]
            unit = maps[0] // (site.layer.size[0] * site.layer.size[1]) % site.layer.channels
            exceed[site.key] = np.bincount(unit[values > limit[unit]], minlength=site.layer.channels)
            tops[site.key] = (top[0], top[1], top[2])
            counts[site.key] = counted(maps, limit, site.grid, labels)
            if shuffled is not None:
                counts[f"{site.key}n"] = counted(maps, limit, site.grid, shuffled)
        return counts, exceed, tops

    tallies = {key: Tally(site.layer.channels) for key, site in keys.items()}
    exceed = {site.key: np.zeros(site.layer.channels, np.int64) for site in sites}
    tops: dict[str, Top] = {}
    for counts, above, top in _in_order(read, range(len(starts))):
        for key, tally in tallies.items():
            tally.add(counts[key])
        for site in sites:
            exceed[site.key] += above[site.key]
            tops[site.key] = _merged(tops.get(site.key), top[site.key], k)
    arrays: dict[str, np.ndarray] = {}
    words: dict[str, Any] = {}
    for key, site in keys.items():
        arrays[f"{key}_thresholds"], arrays[f"{key}_share"] = thresholds[site.key], exceed[site.key] / site.count
        for name, value in zip(("top_values", "top_images", "minimum"), tops[site.key], strict=True):
            arrays[f"{key}_{name}"] = value
        tally = tallies[key]
        concepts, categories = sorted(tally.concepts), sorted(tally.categories)
        columns = [tally.concepts[one] for one in concepts]
        arrays[f"{key}_intersection"] = tally.intersection[:, columns]
        arrays[f"{key}_truth"] = tally.truth[columns]
        arrays[f"{key}_activation"] = tally.activation[:, [tally.categories[one] for one in categories]]
        words[key] = {"concepts": concepts, "categories": categories}
    if not words["0"]["concepts"]:
        raise SettingError("dataset has no mask with a pixel that the network sees; expected images with concepts.")
    blocks.write_result(arrays, words)


def _thresholds(blocks: Blocks, site: Site, starts: list[int]) -> np.ndarray:
    bound = site.bound.bound
    for first in starts:
        bound = np.maximum(bound, blocks.read(first, f"{site.key}_bound")[f"{site.key}_bound"])
    return exact_thresholds(bound, site.rank, lambda: (kept(blocks, first, site) for first in starts))


def _in_order(function: Callable[[int], T], items: Iterable[int]) -> Iterator[T]:
    """The function of each item, in order; threads work a few items ahead."""
    threads = min(_THREADS, torch.get_num_threads())
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _others(labels: LabelMaps, others: LabelMaps, seed: int, block: int, alone: bool) -> LabelMaps:
    """For each image of a block the masks of another image, in random order.

    others: those of another block; alone: whether it is the same block, since there is no other.
    """
    order = np.random.default_rng([seed, block]).permutation(len(others))
    if alone:  # a cycle, so that no image keeps its masks
        order = np.roll(order, 1)[np.argsort(order)]
    return others.only(np.resize(order, len(labels)))


def _merged(known: Top | None, found: Top, k: int) -> Top:
    """The largest activations of two blocks with their images, and the smallest activation."""
    values, images, least = found
    if known is not None:
        values, images = np.concatenate([known[0], values], 1), np.concatenate([known[1], images], 1)
        least = np.minimum(known[2], least)
    order = np.argsort(-values, 1, kind="stable")[:, :k]
    return np.take_along_axis(values, order, 1), np.take_along_axis(images, order, 1), least
