"""Nearest neighbours: against comparing all pairs."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx

SIDE = 24
IMAGES = list(np.random.default_rng(0).integers(0, 256, (23, SIDE, SIDE, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 5, 5, 2, 1), nn.ReLU(), nn.Conv2d(5, 7, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4)
    )
    module(torch.zeros(1, 3, SIDE, SIDE))
    return cx.Network(module, size=SIDE, pixels=cx.Pixels("BGR", (10, 20, 30), (4, 5, 6)))


def test_neighbours_by_looking_at_all(net):
    for layer in (None, "conv1"):
        n = cx.neighbours(net, IMAGES[5], layer, IMAGES, k=4, batch=5, progress=False)
        x = net.pixels_of(IMAGES).flatten(1)
        activations = net.activations(IMAGES, n.layer).flatten(1)
        for found, distances, all_ in (
            (n.in_pixels, n.pixel_distances, x),
            (n.in_layer, n.layer_distances, activations),
        ):
            expected = (all_ - all_[5]).double().norm(dim=1)
            assert found.tolist() == expected.argsort()[:4].tolist()
            assert found[0] == 5
            assert np.allclose(distances, expected.sort().values[:4], rtol=1e-4, atol=1e-3)
    shown = [axis.get_images()[0].get_array() for axis in n.plot().axes]
    assert len(shown) == 10
    assert np.array_equal(shown[5], n.image)
    assert np.array_equal(shown[6], IMAGES[n.in_layer[0]])


def test_neighbours_compare_the_features_by_default(net):
    assert cx.neighbours(net, IMAGES[0], None, IMAGES[:2], k=1, progress=False).layer == "relu2"
    assert cx.neighbours(cx.load("worldnet"), IMAGES[0], None, IMAGES[:2], k=1, progress=False).layer == "relu7"


def test_few_images_and_wrong_settings(net, refused):
    assert len(cx.neighbours(net, IMAGES[0], None, IMAGES[:3], k=np.int64(9), progress=False).in_pixels) == 3
    refused(cx.SettingError, lambda: cx.neighbours(net, IMAGES[0], None, IMAGES, k=0), "k is 0")
    refused(cx.SettingError, lambda: cx.neighbours(net, IMAGES[:2], None, IMAGES), "2 images")
