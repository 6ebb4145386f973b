"""Deletion, insertion and ROAD beside literal versions: pixel by pixel, with a dense system in float64."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.evaluation import deletion, impute, insertion, removal_order, removal_scores, road

SIZE = (9, 7)
IMAGE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
MAP = np.random.default_rng(1).normal(size=SIZE).round(1)  # with equal values


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(1)
    module = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(175, 4))
    pixels = cx.Pixels("RGB", mean=(120.0, 100.0, 90.0), std=(60.0, 50.0, 55.0))
    return cx.Network(module.eval(), size=SIZE, pixels=pixels, labels=["a", "b", "c", "d"])


def probability(net, x, target):
    module = copy.deepcopy(net.module).double()
    with torch.no_grad():
        return float(module(net.pixels.feed(x.double()))[0].softmax(0)[target])


def in_order(values, seed=0):
    """Pixels as (row, column) from the largest value; equal ones as a permutation says."""
    mixed = np.random.RandomState(seed).permutation(values.size).tolist()
    pixels = sorted(mixed, key=lambda k: -values.ravel()[k])
    return [divmod(k, values.shape[1]) for k in pixels]


def test_order():
    assert [divmod(int(k), SIZE[1]) for k in removal_order(MAP)] == in_order(MAP)


def test_deletion_and_insertion(net):
    x, pixels = net.pixels_of(IMAGE), in_order(MAP)
    ours = deletion(net, IMAGE, 2, MAP, steps=9)
    for k, value in enumerate(ours):
        one = x.clone()
        for row, column in pixels[: 7 * k]:
            one[0, :, row, column] = 0
        assert value == pytest.approx(probability(net, one, 2), abs=1e-5)
    sigma = 5 / 224 * 7
    blurred = torch.zeros_like(x).double()
    reach = int(4 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    for row in range(SIZE[0]):
        for column in range(SIZE[1]):
            for down in range(-reach, reach + 1):
                for across in range(-reach, reach + 1):
                    r, c = (mirrored(at, n) for at, n in ((row + down, SIZE[0]), (column + across, SIZE[1])))
                    weight = kernel[down + reach] * kernel[across + reach]
                    blurred[0, :, row, column] += weight * x[0, :, r, c].double()
    for k, value in enumerate(insertion(net, IMAGE, "c", MAP, steps=9)):
        one = blurred.clone()
        for row, column in pixels[: 7 * k]:
            one[0, :, row, column] = x[0, :, row, column].double()
        assert value == pytest.approx(probability(net, one, 2), abs=1e-5)


def mirrored(place, count):
    return -place - 1 if place < 0 else 2 * count - place - 1 if place >= count else place


def literal_imputation(x, gone):
    """All missing pixels from a dense system."""
    known = {at: k for k, at in enumerate(zip(*np.nonzero(gone), strict=True))}
    system, right = np.zeros((len(known), len(known))), np.zeros((len(known), 3))
    for (row, column), k in known.items():
        for down in (-1, 0, 1):
            for across in (-1, 0, 1):
                at = (row + down, column + across)
                if (down or across) and 0 <= at[0] < SIZE[0] and 0 <= at[1] < SIZE[1]:
                    weight = 1 / 12 if down and across else 1 / 6
                    system[k, k] += weight
                    if at in known:
                        system[k, known[at]] -= weight
                    else:
                        right[k] += weight * x[0, :, at[0], at[1]].double().numpy()
    found = x.double().clone()
    for (row, column), values in zip(known, np.linalg.solve(system, right), strict=True):
        found[0, :, row, column] = torch.from_numpy(values)
    return found


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_imputation(net, share):
    x, gone = net.pixels_of(IMAGE), np.random.default_rng(2).random(SIZE) < share
    ours = impute(x, gone, noise=0)
    assert torch.allclose(ours.double(), literal_imputation(x, gone), atol=1e-3)
    assert torch.equal(ours[..., ~torch.from_numpy(gone)], x[..., ~torch.from_numpy(gone)])
    noisy = impute(x, gone, noise=2.0, seed=4) - ours
    assert 0 < float(noisy.abs().max()) < 12
    assert torch.equal(impute(x, gone, noise=2.0, seed=4) - ours, noisy)


def test_imputation_is_that_of_pytorch_grad_cam(net):
    peer = pytest.importorskip("pytorch_grad_cam.metrics.road").NoisyLinearImputer(noise=0)
    x, gone = net.pixels_of(IMAGE), np.random.default_rng(3).random(SIZE) < 0.6
    theirs = peer(x[0].clone(), torch.from_numpy((~gone).astype(np.float32)))
    assert torch.allclose(impute(x, gone, noise=0)[0], theirs, atol=1e-3)


def test_road(net):
    x, pixels = net.pixels_of(IMAGE), in_order(MAP)
    found = road(net, IMAGE, 1, MAP, shares=[0.3, 0.7], seed=0)
    for row, order in enumerate((pixels, pixels[::-1])):
        for column, share in enumerate((0.3, 0.7)):
            gone = np.zeros(SIZE, bool)
            for at in order[: round(share * 63)]:
                gone[at] = True
            filled = literal_imputation(x, gone)
            noise = 0.6 * np.random.RandomState(0).normal(size=(gone.sum(), 3))
            filled[0][:, torch.from_numpy(gone)] += torch.from_numpy(noise.T)
            assert found[row, column] == pytest.approx(probability(net, filled, 1), abs=1e-4)


def test_the_truth_is_better_than_chance_on_worldnet():
    net, scene = cx.load("worldnet"), cx.scene(7)
    target = net.labels.index(scene.name)
    good = removal_scores(net, scene.image, target, scene.mask.astype(float))
    bad = removal_scores(net, scene.image, target, 1.0 - scene.mask)
    assert good[0] < bad[0]
    assert good[1] > bad[1]
    assert good[2] > 0 > bad[2]


def test_the_card(net):
    worldnet = cx.load("worldnet")
    card = cx.score(worldnet, removed=["gradient", "gradcam"], n=2, progress=False)
    rows = card["removed pixels"]
    assert list(rows) == ["gradient", "gradcam", "a random map", "the image's edges"]
    line = f"cx.score(cx.load('worldnet'), removed=['gradient', 'gradcam'], n=2, seed={cx.world.HELD_OUT_SEED})"
    assert card.to_python() == line
    scenes = [cx.world.dataset(2, cx.world.HELD_OUT_SEED, 96).scene(k) for k in range(2)]
    expected = [
        removal_scores(worldnet, s.image, worldnet.labels.index(s.name),
                       cx.attribute(worldnet, s.image, s.name, "gradcam").map)
        for s in scenes
    ]  # fmt: skip
    assert np.allclose(list(rows["gradcam"].values()), np.mean(expected, 0), atol=1e-6)


def test_what_is_refused(net, refused):
    refused(cx.SettingError, lambda: deletion(net, IMAGE, 1, MAP[:4]), "9 x 7")
    refused(cx.SettingError, lambda: road(net, IMAGE, 1, MAP * np.nan), "finite")
    refused(cx.SettingError, lambda: road(net, IMAGE, 1, MAP, shares=[1.0]), "all pixels")
    refused(cx.SettingError, lambda: insertion(net, [IMAGE] * 2, 1, MAP), "2 images")
    refused(cx.SettingError, lambda: insertion(net, IMAGE, "e", MAP))
    refused(cx.SettingError, lambda: insertion(net, IMAGE, 1, MAP, steps=0), "steps")
