"""Dense nearest patches against brute force written out, and pictures put together from them."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnexplore as cx
from cnnexplore.styles.patch_index import PatchIndex, cut, dense_positions, normalized, statistics


def pictures(count=3, side=40, seed=0, channels=3):
    """Smooth random pictures: patches of noise would all be as far from each other."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).normal(size=(count, side, side, channels))
    smooth = gaussian_filter(noise, (0, 3, 3, 0))
    return np.clip(128 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def brute(known, picture, size, stride, places):
    """For each patch of the picture the nearest of all, by loops in float64."""

    def norm(p):
        p = p.astype(np.float64)
        return (p - p.mean((0, 1))) / p.std((0, 1))

    everything = []
    for p, corners in zip(known, places, strict=True):
        n = norm(p)
        everything += [n[t : t + size, x : x + size] for t, x in corners]
    n, best, least = norm(picture), [], []
    for t, x in dense_positions(picture.shape[:2], (size, size), stride):
        distances = [float(((n[t : t + size, x : x + size] - e) ** 2).sum()) for e in everything]
        best.append(int(np.argmin(distances)))
        least.append(min(distances))
    return np.array(best), np.array(least)


def test_all_compared_is_exact():
    known, picture = pictures(), pictures(1, 30, seed=9)[0]
    places = [dense_positions((40, 40), (9, 9), 6)] * 3
    index = PatchIndex(known, 6, 9, rerank=10**6, components=4)
    found, distance = index.nearest(normalized(picture), dense_positions((30, 30), (9, 9), 5))
    best, least = brute(known, picture, 9, 5, places)
    assert np.array_equal(found[:, 0], best)
    assert np.allclose(distance[:, 0], least, rtol=1e-3)


def test_few_compared_are_nearly_always_right():
    known, picture = pictures(6, 60), pictures(1, 60, seed=9)[0]
    index = PatchIndex(known, 2, 15, components=24)
    places = dense_positions((60, 60), (15, 15), 3)
    found, distance = index.nearest(normalized(picture), places)
    every, true = PatchIndex(known, 2, 15, rerank=10**6).nearest(normalized(picture), places)
    assert np.mean(found == every) >= 0.95
    assert (distance >= true - 1e-2).all()


def test_the_mean_of_several_and_their_order():
    known, picture = pictures(), pictures(1, 30, seed=9)[0]
    index = PatchIndex(known, 6, 9, rerank=10**6)
    places = dense_positions((30, 30), (9, 9), 5)
    found, distance = index.nearest(normalized(picture), places, 4)
    assert found.shape == (len(places), 4)
    assert (np.diff(distance, axis=1) >= 0).all()
    assert all(len(set(row)) == 4 for row in found.tolist())
    assert np.array_equal(found[:, :1], index.nearest(normalized(picture), places)[0])


@settings(max_examples=15)
@given(st.integers(3, 12), st.integers(1, 7), st.integers(0, 5))
def test_a_picture_of_the_database_is_put_together_from_itself(size, stride, seed):
    stride = min(stride, size)  # a larger one leaves gaps
    known = pictures(2, 24, seed)
    index = PatchIndex(known, 1, size)
    matched = index.match(known[1], stride=stride)
    assert np.allclose(matched.mean, normalized(known[1]), atol=1e-3)
    assert (matched.count >= 1).all()
    assert matched.distance.max() < 1e-2
    in_colour = index.match(known[1], stride=stride, original_colours=True)
    assert np.allclose(in_colour.mean, known[1], atol=0.1)


def test_sum_count_and_square_say_the_distance_of_all_patches():
    known, picture = pictures(), pictures(1, 33, seed=4)[0]
    index = PatchIndex(known, 4, 10)
    matches = index.match(picture, stride=4, count=2)
    mine = normalized(picture).astype(np.float64)
    written = 0.0
    for (t, x), which in zip(matches.positions, matches.indices, strict=True):
        matched = index.patches(which).astype(np.float64).mean(0)
        written += ((mine[t : t + 10, x : x + 10] - matched) ** 2).sum()
    short = (matches.count[..., None] * mine**2).sum() - 2 * (matches.sum * mine).sum() + matches.square
    assert short == pytest.approx(written, rel=1e-4)


def test_the_colours_and_contrast_of_a_picture_do_not_matter():
    known, picture = pictures(), pictures(1, 30, seed=9)[0].astype(np.float32)
    index = PatchIndex(known, 4, 9)
    other = picture * np.array([0.2, 1.5, 0.7]) + np.array([10, -300, 40])
    assert np.array_equal(index.match(picture).indices, index.match(other).indices)


def test_a_place_far_away_costs():
    flat = np.tile(pictures(1, 9, seed=2)[0], (4, 4, 1))  # the same patch again and again
    index = PatchIndex([flat], 9, 9, norms=[statistics(flat)], position_cost=1.0, rerank=10**6)
    found, _ = index.nearest(normalized(flat), dense_positions((36, 36), (9, 9), 9))
    assert np.array_equal(index.positions[found[:, 0]], dense_positions((36, 36), (9, 9), 9))
    _, away = index.nearest(normalized(flat), dense_positions((36, 36), (9, 9), 9), 2)
    assert np.allclose(away[:, 1], 9 * 9 * 3, rtol=1e-3)  # one side away: one squared deviation per number


def test_the_grid_reaches_the_last_row():
    assert dense_positions((10, 7), (4, 4), 5).tolist() == [[0, 0], [0, 3], [5, 0], [5, 3], [6, 0], [6, 3]]
    assert np.array_equal(
        cut(np.arange(12).reshape(3, 4, 1), np.array([[1, 2]]), (2, 2))[0, ..., 0], [[6, 7], [10, 11]]
    )


def test_wrong_input(refused):
    refused(cx.SettingError, lambda: PatchIndex(pictures(), 4, 41), "41 x 41", "40 x 40")
    refused(cx.SettingError, lambda: PatchIndex(pictures(), 0, 4), "positions is 0")
    refused(cx.SettingError, lambda: PatchIndex(pictures(), 4, 0), "size is 0")
    refused(cx.SettingError, lambda: PatchIndex(pictures(), 4, 4, components=0), "components is 0")
    refused(cx.ImageError, lambda: PatchIndex([], 4, 4), "no pictures")
    index = PatchIndex(pictures(), 10, 9)
    refused(cx.ImageError, lambda: index.match(pictures(1, channels=1)[0]), "1 channels")
    refused(cx.SettingError, lambda: index.match(pictures()[0], count=10**6), "count is 1000000")


@pytest.mark.slow
@pytest.mark.parametrize("first", ["torch", "sklearn.neighbors"])
def test_the_order_of_imports_does_not_matter(first):
    """Two OpenMP libraries in one process have crashed others: both are used, in either order."""
    code = (
        f"import {first}, torch, numpy as np; from cnnexplore.styles import PatchIndex\n"
        "p = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3)).astype('uint8')\n"
        "a = torch.randn(200, 200); a = a @ a\n"
        "print(PatchIndex(p, 2, 9).match(p[0]).mean.shape, float((a @ a).isfinite().all()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "(40, 40, 3) 1.0" in done.stdout
