"""Receptive fields from data: never more than there is, and as much as there is, to a stride."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore import drawing
from cnnexplore.evaluation import measures

SIDE = 40
IMAGES = list(np.random.default_rng(0).integers(0, 256, (12, SIDE, SIDE, 3), dtype=np.uint8))


def network(*parts):
    torch.manual_seed(0)
    return cx.Network(nn.Sequential(*parts).eval(), size=SIDE, pixels=cx.Pixels("RGB", (128, 120, 110), (3, 2, 1)))


@pytest.fixture(scope="module")
def net():
    return network(nn.Conv2d(3, 4, 5, 2, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, 1, 1))


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2"])
def test_discrepancy_maps_patch_by_patch(net, layer):
    d = cx.discrepancy_maps(
        net, IMAGES[0], layer, np.array([2, 0]), patch=np.int64(7), stride=np.int32(5), start=-3, seed=4, batch=6
    )
    x = net.pixels_of(IMAGES[0])
    base = net.activations(IMAGES[0], layer)[0]
    generator = torch.Generator().manual_seed(4)
    tried = 0
    for i, row in enumerate(range(-3, SIDE, 5)):
        for j, column in enumerate(range(-3, SIDE, 5)):
            touches = False
            for u in range(2):
                top, left, bottom, right = net.layers[layer].rf_box(*d.positions[u].tolist())
                touches |= row <= bottom and row + 7 > top and column <= right and column + 7 > left
            covered = x.clone()
            if touches:
                tried += 1
                noise = net.pixels.encode(255 * torch.rand(1, 3, 7, 7, generator=generator))[0]
                a, b = max(row, 0), max(column, 0)
                part = noise[:, a - row : SIDE - row, b - column : SIDE - column]
                covered[0, :, a : row + 7, b : column + 7] = part
            with torch.no_grad():
                activation = net.probe(layer)(net.feed(covered))[layer][0]
            for u, unit in enumerate([2, 0]):
                r, c = d.positions[u]
                assert base[unit, r, c] == base[unit].max()
                expected = float((activation[unit, r, c] - base[unit, r, c]).abs())
                assert d.values[u, i, j] == pytest.approx(expected, rel=1e-3, abs=1e-4 * float(base.abs().max()))
    assert 0 < tried < d.values[0].size


def test_a_map_is_the_mean_over_the_patches_on_a_pixel(net):
    d = cx.discrepancy_maps(net, IMAGES[0], "conv2", 1, patch=6, stride=4)
    m = d.map(1)
    for row, column in [(0, 0), (7, 22), (39, 39), (20, 3)]:
        over = [
            d.values[0, i, j]
            for i, r in enumerate(range(0, SIDE, 4))
            for j, c in enumerate(range(0, SIDE, 4))
            if r <= row < r + 6 and c <= column < c + 6
        ]
        assert m[row, column] == pytest.approx(np.mean(over))
    first, second = (axis.get_images()[0].get_array() for axis in d.plot().axes)
    assert np.array_equal(first, d.image)
    assert np.array_equal(second, drawing.overlay(d.image, m, 0.8))


KNOWN = {
    "3 x 3": ([nn.Conv2d(3, 2, 3)], "conv1"),
    "5 x 5 stride 2": ([nn.Conv2d(3, 2, 5, 2)], "conv1"),
    "11 x 11 stride 4": ([nn.Conv2d(3, 2, 11, 4)], "conv1"),
    "pooled": ([nn.Conv2d(3, 2, 5, 2), nn.ReLU(), nn.MaxPool2d(3, 2)], "pool1"),
    "two of them": ([nn.Conv2d(3, 4, 5, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 3, 3)], "conv2"),
    "oblong": ([nn.Conv2d(3, 2, (3, 9))], "conv1"),
    "dilated": ([nn.Conv2d(3, 2, 3, dilation=3), nn.ReLU(), nn.Conv2d(2, 2, 3)], "conv2"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_fields(name):
    parts, layer = KNOWN[name]
    net = network(*parts)
    found = cx.receptive_field(net, layer, 1, IMAGES, k=6, progress=False)
    for a in (0, 1):
        assert found.extent[a] <= found.theoretical[a]
        assert found.extent[a] >= found.theoretical[a] - net.layers[layer].rf_stride[a]
    assert 0 < found.size <= np.sqrt(np.prod(found.theoretical)) + 1
    assert found.map.shape == found.theoretical
    assert found.map.max() == pytest.approx(1)


def test_the_middle_of_a_field_that_looks_at_its_middle_only():
    """A 9 x 9 filter that is zero but for its central 3 x 3: the field in effect is that."""
    net = network(nn.Conv2d(3, 1, 9))
    with torch.no_grad():
        weight = torch.zeros(1, 3, 9, 9)
        weight[..., 3:6, 3:6] = 1
        net.module[0].weight.copy_(weight)
    found = cx.receptive_field(net, "conv1", 0, IMAGES, k=6, patch=1, stride=1, progress=False)
    assert found.extent == (3, 3)
    assert np.array_equal(found.mask.nonzero()[0].min() >= 3, True)
    assert found.mask[3:6, 3:6].sum() == found.mask.sum()
    assert found.size <= 3
    top = cx.top_patches(net, "conv1", None, IMAGES, k=6, progress=False)
    two = cx.receptive_field(net, "conv1", 0, top, k=2, progress=False)
    assert two.top.indices.tolist() == [top.indices[0, :2].tolist()]


@pytest.mark.parametrize("layer", ["conv1", "pool1", "conv2", "pool2"])
def test_the_worlds_network(layer):
    net = cx.load("worldnet")
    images = [cx.scene(k).image for k in range(6)]
    top = cx.top_patches(net, layer, [0, 1, 2], images, k=3, progress=False)
    errors = []
    for unit in range(3):
        found = cx.receptive_field(net, layer, unit, top, progress=False)
        assert all(e <= t for e, t in zip(found.extent, found.theoretical, strict=True))
        assert found.size < max(found.theoretical)
        errors.append(measures.field_error(found.extent, net.layers[layer]))
    assert np.median(errors) <= 1


def test_segments_are_the_fields_of_what_responds():
    net = network(nn.Conv2d(3, 1, 5, 2))
    with torch.no_grad():
        net.module[0].weight.fill_(1 / 75)
        net.module[0].bias.zero_()
    image = np.full((SIDE, SIDE, 3), 128, np.uint8)
    image[10:20, 24:30] = 255
    s = cx.unit_segments(net, "conv1", 0, [image, IMAGES[0]], k=np.int64(1), share=0.9, progress=False)
    field = cx.receptive_field(net, "conv1", 0, [image], progress=False)
    t = cx.unit_segments(net, "conv1", 0, [image, IMAGES[0]], k=1, share=0.9, field=field, progress=False)
    activation = net.activations(image, "conv1")[0, 0]
    expected = np.zeros((SIDE, SIDE), bool)
    for row, column in (activation > 0.9 * activation.max()).nonzero().tolist():
        for r, c in np.argwhere(field.mask).tolist():
            expected[2 * row + r, 2 * column + c] = True
    assert np.array_equal(t.masks[0], expected)
    assert s.masks[0][10:20, 24:30].any()
    assert not s.masks[0][:, :22].any()
    assert s.responses[0] == pytest.approx(float(activation.max()))
    assert np.array_equal(s.cutouts()[0][s.masks[0]], image[s.masks[0]])
    assert np.array_equal(s.cutouts()[0][~s.masks[0]], image[~s.masks[0]] // 5)


def test_what_is_wrong_gets_a_sentence(net, refused):
    refused(cx.SettingError, lambda: cx.discrepancy_maps(net, IMAGES[0], "conv1", patch=0), "patch")
    refused(cx.SettingError, lambda: cx.discrepancy_maps(net, IMAGES[0], "conv1", patch=3, stride=4), "stride")
    refused(cx.SettingError, lambda: cx.discrepancy_maps(net, IMAGES[:2], "conv1"), "2 images")
    refused(cx.SettingError, lambda: cx.unit_segments(net, "conv1", 0, IMAGES, share=1), "share")
    top = cx.top_patches(net, "conv1", 0, IMAGES[:2], progress=False)
    refused(cx.SettingError, lambda: cx.receptive_field(net, "conv2", 0, top), "conv1", "conv2")
    field = cx.receptive_field(net, "conv1", 0, top)
    refused(cx.SettingError, lambda: cx.unit_segments(net, "conv1", 1, IMAGES, field=field), "unit 0")
    dead = network(nn.Conv2d(3, 2, 3), nn.ReLU())
    with torch.no_grad():
        dead.module[0].bias.fill_(-1e6)
    refused(cx.SettingError, lambda: cx.receptive_field(dead, "relu1", 0, IMAGES, progress=False), "none of the images")
    flat = network(nn.Flatten(), nn.Linear(4800, 3))
    refused(cx.LayerError, lambda: cx.receptive_field(flat, list(flat.layers)[-1], 0, IMAGES), "a layer with a map")
