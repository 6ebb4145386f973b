"""RISE beside a literal version: masks enlarged pixel by pixel, one pass for each."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.attribution import attribute_stream
from cnnexplore.attribution.rise import rise_masks

SIZE = (22, 17)
IMAGE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def enlarged(grid, rows, columns):
    """Bilinear interpolation between the centres of cells, a pixel at a time."""
    out = np.empty((rows, columns))
    side = len(grid)
    for i in range(rows):
        for j in range(columns):
            y, x = ((k + 0.5) * side / n - 0.5 for k, n in ((i, rows), (j, columns)))
            y, x = max(y, 0.0), max(x, 0.0)
            top, left = int(y), int(x)
            below, right = min(top + 1, side - 1), min(left + 1, side - 1)
            a, b = y - top, x - left
            upper = (1 - b) * grid[top][left] + b * grid[top][right]
            lower = (1 - b) * grid[below][left] + b * grid[below][right]
            out[i, j] = (1 - a) * upper + a * lower
    return out


def literal_masks(count, cells, share, seed):
    generator = torch.Generator().manual_seed(seed)
    height, width = -(-SIZE[0] // cells), -(-SIZE[1] // cells)
    for _ in range(count):
        grid = (torch.rand(cells, cells, generator=generator) < share).numpy().astype(float)
        row = int(torch.randint(height, (1,), generator=generator))
        column = int(torch.randint(width, (1,), generator=generator))
        large = enlarged(grid, (cells + 1) * height, (cells + 1) * width)
        yield large[row : row + SIZE[0], column : column + SIZE[1]]


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(1)
    module = nn.Sequential(nn.Conv2d(3, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(45, 4))
    pixels = cx.Pixels("RGB", mean=(120.0, 100.0, 90.0), std=(60.0, 50.0, 55.0))
    return cx.Network(module.eval(), size=SIZE, pixels=pixels)


def test_masks(net):
    found = rise_masks(3, 5, 0.4, SIZE, torch.Generator().manual_seed(2))
    for ours, theirs in zip(found[:, 0].numpy(), literal_masks(3, 5, 0.4, 2), strict=True):
        assert np.abs(ours - theirs).max() < 1e-5


@pytest.mark.parametrize(("cells", "share", "batch"), [(4, 0.5, 7), (7, 0.3, 32)])
def test_the_map(net, cells, share, batch):
    a = cx.attribute(net, IMAGE, 2, method="rise", masks=20, cells=cells, share=share, seed=3, batch=batch)
    module, x = copy.deepcopy(net.module).double(), net.pixels_of(IMAGE).double()
    masks = list(literal_masks(20, cells, share, 3))
    with torch.no_grad():
        scores = [float(module(net.pixels.feed(x * torch.from_numpy(mask)))[0, 2]) for mask in masks]
    mean = sum(scores) / 20
    theirs = sum((score - mean) * mask for score, mask in zip(scores, masks, strict=True)) / (20 * share)
    assert np.abs(a.map - theirs).max() <= 1e-4 * np.abs(theirs).max()
    assert a.signed
    again = eval(a.to_python(), {"cx": cx, "net": net, "image": IMAGE})
    assert np.array_equal(again.map, a.map)


def test_it_grows_and_explains_units(net):
    what = {"method": "rise", "masks": 20, "batch": 8, "layer": "conv1", "unit": 3, "position": (4, 5)}
    stream = list(attribute_stream(net, IMAGE, **what))
    assert [share for _, share in stream] == [0.4, 0.8, 1.0]
    assert np.array_equal(stream[-1][0].map, cx.attribute(net, IMAGE, **what).map)


def test_it_points_at_the_object():
    net, scene = cx.load("worldnet"), cx.scene(7)
    a = cx.attribute(net, scene.image, scene.name, method="rise", masks=200, progress=False)
    assert a.map[scene.mask].mean() > a.map[~scene.mask].mean()


def test_settings_are_checked(net, refused):
    for wrong in ({"masks": 1}, {"cells": 0}, {"share": 0}, {"share": 2}, {"batch": 0}, {"seed": -1}):
        refused(cx.SettingError, lambda w=wrong: cx.attribute(net, IMAGE, method="rise", **w), next(iter(wrong)))
