"""Dense matching of a photograph against 100,000 patches, beside comparing every patch with every other."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

import cnnexplore as cx
from cnnexplore.styles.patch_index import dense_positions, normalized

SIDE, MANY, STRIDE = 227, 100_000, 4
SOME = slice(None, None, 8)  # of the photograph's patches: brute force takes minutes for all


@pytest.fixture(scope="module")
def pictures(shared) -> list[np.ndarray]:
    """The first is matched, the others are what it is matched with."""
    paths = sorted((shared / "data" / "imagenet-sample").glob("*.jpg"))
    net = cx.Network(torch.nn.Conv2d(3, 1, 3), size=SIDE)
    return [net.picture(net.pixels_of(path)) for path in paths]


@pytest.fixture(autouse=True)
def two_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def brute(index: cx.PatchIndex, picture: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The nearest patch of each, all compared in full by matrix products, a block at a time."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, index.size, (0, 1))
    mine = torch.from_numpy(np.moveaxis(windows[places[:, 0], places[:, 1]], 1, -1).reshape(len(places), -1).copy())
    best = torch.full((len(places),), torch.inf)
    which = torch.zeros(len(places), dtype=torch.long)
    for some in np.array_split(np.arange(len(index)), -(-len(index) * mine.shape[1] // (1 << 26))):
        theirs = torch.from_numpy(index.patches(some)).flatten(1)
        least, found = torch.addmm(theirs.square().sum(1), mine, theirs.T, alpha=-2).min(1)
        which = torch.where(least < best, found + int(some[0]), which)
        best = torch.minimum(least, best)
    return which.numpy()


@pytest.mark.parametrize("side", [32, 67])
def test_a_photograph_against_100000_patches(side, pictures, benchmark, report):
    first, *known = pictures
    whole, random = dense_positions((SIDE, SIDE), (side, side), 1), np.random.default_rng(0)
    each = -(-MANY // len(known))
    places = [whole[random.permutation(len(whole))[:each]] for _ in known]
    began = time.perf_counter()
    index = cx.PatchIndex(known, places, side)
    built = time.perf_counter() - began
    assert len(index) >= MANY
    picture, dense = normalized(first), dense_positions((SIDE, SIDE), (side, side), STRIDE)
    found = benchmark.pedantic(lambda: index.nearest(picture, dense)[0][:, 0], rounds=3, warmup_rounds=1)
    seconds = benchmark.stats.stats.median
    began = time.perf_counter()
    nearest = brute(index, picture, dense[SOME])
    slow = time.perf_counter() - began
    count = f"{len(dense)} in {len(index)}"
    how = f"{count}, built in {built:.0f} s; {len(nearest)} by brute force: {slow:.0f} s"
    report(f"matching {side} x {side}, seconds", how, seconds, "<= 3")
    report(f"matching {side} x {side}, recall", how, float(np.mean(found[SOME] == nearest)), ">= 0.95")
