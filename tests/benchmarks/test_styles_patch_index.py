"""Dense matching of a photograph against 100,000 patches, beside a search that compares principal components alone."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

import cnnexplore as cx
from cnnexplore.styles.patch_index import cut, dense_positions, normalized

SIDE, MANY, STRIDE = 227, 100_000, 4
SOME = slice(None, None, 8)  # of the photograph's patches: comparing all pairs in full takes long
COMPONENTS, RERANKED = 64, 8


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


def parts(index: cx.PatchIndex) -> list[np.ndarray]:
    return np.array_split(np.arange(len(index)), -(-len(index) * int(np.prod(index.size)) * 3 // (1 << 24)))


def brute(index: cx.PatchIndex, mine: np.ndarray) -> np.ndarray:
    """The nearest patch of each, all compared in full by matrix products, a block at a time."""
    mine = torch.from_numpy(mine)
    best, which = torch.full((len(mine),), torch.inf), torch.zeros(len(mine), dtype=torch.long)
    for some in parts(index):
        theirs = torch.from_numpy(index.patches(some)).flatten(1)
        least, found = torch.addmm(theirs.square().sum(1), mine, theirs.T, alpha=-2).min(1)
        which = torch.where(least < best, found + int(some[0]), which)
        best = torch.minimum(least, best)
    return which.numpy()


class Components:
    """Principal components and the length of what they leave out are searched; a few candidates are compared."""

    def __init__(self, index: cx.PatchIndex):
        from sklearn.decomposition import PCA
        from sklearn.neighbors import NearestNeighbors

        self.index = index
        sample = index.patches(np.random.default_rng(0).permutation(len(index))[:1500])
        self.fitted = PCA(COMPONENTS, svd_solver="randomized", random_state=0).fit(sample.reshape(1500, -1))
        self.axes = self.fitted.components_.T
        described = []
        for some in parts(index):
            flat = index.patches(some).reshape(len(some), -1) - self.fitted.mean_
            shown = flat @ self.axes
            left = np.einsum("ij,ij->i", flat, flat) - np.einsum("ij,ij->i", shown, shown)
            described.append(np.hstack([shown, np.sqrt(np.maximum(left, 0))[:, None]]).astype(np.float32))
        self.search = NearestNeighbors(algorithm="brute").fit(np.concatenate(described))

    def __call__(self, mine: np.ndarray) -> np.ndarray:
        shown = np.hstack([(mine - self.fitted.mean_) @ self.axes, np.zeros((len(mine), 1), np.float32)])
        found = self.search.kneighbors(shown, RERANKED, return_distance=False)
        best = []
        for k in range(0, len(mine), 256):
            theirs = self.index.patches(found[k : k + 256].ravel()).reshape(-1, RERANKED, mine.shape[1])
            apart = np.square(theirs - mine[k : k + 256, None]).sum(2)
            best.append(found[np.arange(k, k + len(theirs)), apart.argmin(1)])
        return np.concatenate(best)


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
    mine = cut(picture, dense, (side, side)).reshape(len(dense), -1)
    began = time.perf_counter()
    components = Components(index)
    other_built = time.perf_counter() - began
    others = []

    def before() -> None:
        began = time.perf_counter()
        others.append((components(mine), time.perf_counter() - began))

    found = benchmark.pedantic(lambda: index.nearest(picture, dense)[0][:, 0], setup=before, rounds=2)
    seconds, other = benchmark.stats.stats.min, min(spent for _, spent in others)
    nearest = brute(index, mine[SOME])
    how = f"{len(dense)} in {len(index)}: {seconds:.1f} s over {other:.1f} s"
    report(f"matching {side} x {side} / components alone", how, seconds / other, "<= 3")
    how = f"{built:.0f} s over {other_built:.0f} s"
    report("... what is done once", how, built / other_built, "<= 2")
    how = f"{len(nearest)} of them; components alone {np.mean(others[0][0][SOME] == nearest):.3f}"
    report("... recall", how, float(np.mean(found[SOME] == nearest)), ">= 1")
