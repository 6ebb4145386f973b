"""The network's responses beside those of decoded filters, and what units are made of."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.decoding import Comparison, compare, composition, contrast

RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (20, 20, 3), dtype=np.uint8) for _ in range(6)]


def as_maps(activations):
    return activations if activations.dim() == 4 else activations[:, :, None, None]


@pytest.fixture(scope="module")
def linear():
    """Nothing but convolutions without biases: there, a decoded filter is the unit."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 6, 3, 2, bias=False), nn.Conv2d(6, 5, 2, bias=False),
        nn.Flatten(), nn.Linear(5 * 49, 3, bias=False),
    )  # fmt: skip
    return cx.Network(module, size=20, pixels=cx.Pixels("BGR", (104.0, 117.0, 123.0), (50.0, 60.0, 70.0)))


@pytest.mark.parametrize("layer", ["conv1", "conv2", "conv3", "fc4"])
def test_where_all_is_linear_the_responses_are_the_same(linear, layer):
    found = compare(linear, layer, None, IMAGES)
    assert found.network.shape == found.filters.shape
    assert np.allclose(found.network, found.filters, atol=1e-3 * float(np.abs(found.network).max()))
    assert np.allclose(found.network, as_maps(linear.activations(IMAGES, layer)), rtol=1e-4, atol=1e-2)
    assert found.errors.shape == (6,)
    assert found.errors.max() < 1e-6
    top, again = found.top(2, 3)
    assert top == again


def test_a_layer_with_padding_agrees_in_the_middle():
    torch.manual_seed(1)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.Conv2d(4, 5, 5, 2, 2, bias=False))
    found = compare(cx.Network(module, size=20), "conv2", None, IMAGES)
    assert found.network.shape == (6, 5, 10, 10)
    inside = (..., slice(2, 8), slice(2, 8))
    assert np.allclose(found.network[inside], found.filters[inside], rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("size", [(5, 5), (1, 1)])
def test_the_error_is_the_papers(size):
    """Each response to 0..1 for itself: a unit's map, or the row of all units where each has one position."""
    network, filters = np.random.default_rng(0).normal(size=(2, 3, 4, *size))
    found = Comparison(None, [0, 1, 2, 3], "nearest", network, 7 * filters - 2)
    for k in range(3):
        total = 0.0
        rows = [(network[k, u], filters[k, u]) for u in range(4)] if size[0] > 1 else [(network[k], filters[k])]
        for one, other in rows:
            for a, b in zip(one.flatten(), other.flatten(), strict=True):
                a = (a - one.min()) / (one.max() - one.min())
                total += (a - (b - other.min()) / (other.max() - other.min())) ** 2
        assert float(found.errors[k]) == pytest.approx(float(total) / (4 * size[0] * size[1]))
    assert contrast(network).min() == 0
    assert contrast(network).max() == 1
    assert not contrast(np.ones((1, 2, *size))).any()


def test_some_units_are_the_same_as_all(linear):
    some = compare(linear, "conv2", [4, 1], IMAGES[:2], unpool="nearest")
    whole = compare(linear, "conv2", None, IMAGES[:2], unpool="nearest")
    assert some.units == [4, 1]
    assert np.allclose(some.filters, whole.filters[:, [4, 1]], atol=1e-4)
    assert np.array_equal(some.network, whole.network[:, [4, 1]])


def test_lenets_top_images_agree():
    """A filter of layer 7 finds its own digit among the others, as its unit does."""
    images, labels = cx.digits()
    net = cx.load("lenet", device="cpu")
    found = compare(net, "conv4", None, list(images[:200]))
    top = [[labels[k] for k in found.top(unit, 5)[0]] for unit in range(10)]
    assert sum(row.count(unit) for unit, row in enumerate(top)) >= 45


def test_a_unit_is_made_of_its_weights():
    net = cx.load("lenet", device="cpu")
    (made,) = composition(net, "conv4", 3)
    assert made.layer == "conv3"
    assert np.array_equal(made.weights[:, 0, 0], net.module.conv4.weight[3, :, 0, 0].detach())
    weights = net.module.conv4.weight[3].flatten().detach()
    assert [unit for unit, _ in made.strongest(5)] == weights.abs().topk(5).indices.tolist()
    assert made.strongest(1)[0][1] == pytest.approx(float(weights[made.strongest(1)[0][0]]))
    (made,) = composition(net, "relu3", 7, unpool="nearest")
    assert made.layer == "conv2"
    assert np.array_equal(made.weights[:, ::2, ::2], net.module.conv3.weight[7].detach())
    assert composition(net, "conv1", 3) == []


def test_a_character_is_made_of_its_parts():
    net = cx.load("characters", device="cpu")
    (made,) = composition(net, "conv3", "C", unpool="nearest")
    assert made.layer == "conv2"
    assert {unit + 1 for unit, _ in made.strongest(4)} == {1, 4, 9, 11}
    (bars,) = composition(net, "conv2", 0)
    assert bars.layer == "conv1"
    assert {unit + 1 for unit, _ in bars.strongest()} == {3, 4}


def test_branches_are_made_of_several():
    net = cx.load("squeezenet1_0", weights="random", device="cpu")
    assert [made.layer for made in composition(net, "fire3", 5)] == ["fire3/squeeze"]
    net = cx.load("resnet18", weights="random", device="cpu")
    layers = [made.layer for made in composition(net, "layer1.0", 5)]
    assert "layer1.0.conv1" in layers
    assert len(layers) == len(set(layers))


def test_what_is_wrong_gets_a_sentence(linear, refused):
    refused(cx.SettingError, lambda: compare(linear, "conv2", [9], IMAGES), "unit")
    refused(cx.ImageError, lambda: compare(linear, "conv2", None, ["nowhere.png"]), "nowhere.png")
    refused(cx.SettingError, lambda: compare(linear, "conv2", None, []), "empty list")
    refused(cx.SettingError, lambda: compare(linear, "conv2", [3], IMAGES[:1]).top(2), "unit 2")
