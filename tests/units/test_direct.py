"""What is looked at directly: filters are the weights, maps are the activations."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore import drawing

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU(), nn.Conv2d(4, 6, 3, groups=2), nn.Flatten(), nn.LazyLinear(3))
    net = cx.Network(module, size=20, pixels=cx.Pixels("BGR", (1, 2, 3), (40, 50, 60)), labels=list("abc"))
    module(torch.zeros(1, 3, 20, 20))
    return net


def test_first_filters_are_colours_in_the_screens_order(net):
    f = cx.filters(net)
    weight = net.module[0].weight.detach().numpy()
    assert np.array_equal(f.weights, weight[:, ::-1])
    assert f.of_pixels
    pictures = f.pictures()
    assert pictures.shape == (4, 5, 5, 3)
    for k in range(4):
        most = np.abs(weight[k]).max()
        expected = 127.5 + 127.5 * weight[k, ::-1].transpose(1, 2, 0) / most
        assert np.abs(pictures[k] - expected).max() <= 0.5
    assert f.mosaic().shape == (5, 4 * 6 - 1 + 12 * 6, 3)
    assert np.array_equal(f.mosaic()[:, :5], pictures[0])
    some = cx.filters(net, "conv1", np.array([2, 0]))
    assert some.units == [2, 0]
    assert np.array_equal(some.weights, f.weights[[2, 0]])
    assert np.array_equal(some.pictures(), pictures[[2, 0]])


def test_deeper_filters_are_tiles_of_their_group(net, refused):
    f = cx.filters(net, "conv2")
    assert f.weights.shape == (6, 2, 3, 3)
    assert not f.of_pixels
    tiles = f.tiles(5)
    assert tiles.shape == (2, 3, 3, 3)
    weight = f.weights[5]
    low, high = np.unravel_index(weight.argmin(), weight.shape), np.unravel_index(weight.argmax(), weight.shape)
    assert tiles[high][2] < tiles[high][0]  # orange
    assert tiles[low][2] > tiles[low][1]  # purple
    mosaic = f.mosaic(units=2)
    assert mosaic.shape == (2 * 4 - 1, 2 * 4 - 1, 3)
    assert np.array_equal(mosaic[4:, :3], f.tiles(1)[0])
    refused(cx.SettingError, lambda: cx.filters(net, "conv2", 3).tiles(5), "none of the 1 units")


@pytest.mark.parametrize("name", ["alexnet", "resnet18", "densenet121", "squeezenet1_1"])
def test_the_first_filters_of_any_network(name):
    net = cx.load(name, weights="random", device="cpu")
    first = next(part for part in net.module.modules() if isinstance(part, nn.Conv2d))
    assert np.array_equal(cx.filters(net).weights, first.weight.detach().numpy())


def test_maps_are_the_activations(net):
    a = cx.activation_maps(net, IMAGE, "conv1")
    expected = net.activations(IMAGE, "conv1")[0].numpy()
    assert np.array_equal(a.maps, expected)
    assert a.order[0] == expected.max((1, 2)).argmax()
    assert sorted(a.order) == list(range(4))
    mosaic = a.mosaic([2, 0], columns=1)
    assert mosaic.shape == (2 * 16 + 1, 16, 3)
    span = drawing.limits(expected[[2, 0]], signed=True)
    assert np.array_equal(mosaic[17:], drawing.heat(expected[0], True, span))
    titles = [axis.get_title() for axis in a.plot(count=3).axes[:4]]
    assert titles == ["image", *(f"unit {k}" for k in a.order[:3])]


def test_channels_last_layers():
    net = cx.load("swin_t", weights="random", device="cpu")
    name = next(n for n, layer in net.layers.items() if layer.kind == "Permute" or "LayerNorm" in layer.kind)
    a = cx.activation_maps(net, cx.photograph("cat"), name)
    assert a.maps.shape == (net.layers[name].channels, *net.layers[name].size)


def test_what_is_wrong_gets_a_sentence(net, refused):
    refused(cx.LayerError, lambda: cx.filters(net, "relu1"), "relu1", "conv1, conv2")
    refused(cx.LayerError, lambda: cx.filters(net, "conv2").pictures(), "tiles(unit)")
    refused(cx.SettingError, lambda: cx.filters(net, "conv2").tiles(6), "0 to 5")
    refused(
        cx.LayerError, lambda: cx.filters(cx.Network(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)), "no conv"
    )
    refused(cx.LayerError, lambda: cx.activation_maps(net, IMAGE, list(net.layers)[-1]), "a layer with a map")
    refused(cx.SettingError, lambda: cx.activation_maps(net, [IMAGE, IMAGE], "conv1"), "2 images")
