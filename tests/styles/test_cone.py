"""The convex cone of a class: between the activations of two images of one class, all have that class."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.styles.cone import readout


class Ends(nn.Module):
    """Ends in a linear function called by hand, after dropout and reshaping."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.drop = nn.Conv2d(3, 5, 4, 4), nn.ReLU(), nn.Dropout()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 45)), nn.Parameter(torch.randn(4))

    def forward(self, x):
        return F.linear(self.drop(self.relu(self.conv(x))).flatten(1), self.weight, self.bias)


@pytest.fixture(scope="module")
def found():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        net = cx.Network(Ends(), 12, cx.Pixels("RGB", (), (50.0,) * 3))
    images = [np.random.default_rng(k).integers(0, 256, (12, 12, 3), dtype=np.uint8) for k in range(60)]
    return cx.features(net, images, "relu1", cache=False, dtype="float32", progress=False)


def test_the_readout_is_the_networks(found):
    weight, bias = readout(found.net, "relu1")
    assert np.allclose(weight, found.net.module.weight.detach().numpy())
    images = [found.image(k) for k in range(60)]
    scores = found.net.activations(images, found.net.scores.name).numpy()
    assert np.allclose(np.asarray(found, np.float64) @ weight.T + bias, scores, atol=1e-3)


def test_between_two_codes_of_a_class_there_is_only_that_class(found):
    """lambda = 1: a theorem. For other lambdas: what the network itself says of those codes."""
    cone = cx.cone(found, 300, scales=(0.1, 0.5, 1.0, 3.0))
    assert cone.held[:, :, 2].all()
    assert cone.share[1.0] == 1
    weight, bias = (np.asarray(t.detach(), np.float64) for t in (found.net.module.weight, found.net.module.bias))
    codes = np.asarray(found, np.float64)
    for p in range(0, 300, 17):
        first, second = codes[cone.pairs[p]]
        own = (weight @ first + bias).argmax()
        assert own == (weight @ second + bias).argmax()
        for a, alpha in enumerate(cone.alphas):
            for s, scale in enumerate(cone.scales):
                top = (weight @ (scale * ((1 - alpha) * first + alpha * second)) + bias).argmax()
                assert cone.held[p, a, s] == (top == own)
                assert cone.held[p, a, s] == (cone.least[p, a] <= scale <= cone.most[p, a])


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(1e-3, 1e3))
def test_without_biases_the_whole_cone_has_the_class(seed, alpha, scale):
    """The fact as the paper states it, a linear property of any weights."""
    random = np.random.default_rng(seed)
    weight = random.normal(size=(4, 6))
    codes = np.maximum(random.normal(size=(40, 6)), 0)
    tops = (codes @ weight.T).argmax(1)
    first, second = codes[tops == tops[0]][[0, -1]]
    scores = weight @ (scale * ((1 - alpha) * first + alpha * second))
    assert scores[tops[0]] >= scores.max() - 1e-9 * scale


def test_what_is_no_cone_gets_a_sentence(found, refused):
    classes = found.predicted
    different = (0, int(np.flatnonzero(classes != classes[0])[0]))
    refused(cx.SettingError, lambda: cx.cone(found, [different]), "same top-1 class")
    refused(cx.SettingError, lambda: cx.cone(found.only([0])), "more images")
    refused(cx.SettingError, lambda: cx.cone(found, 5, scales=[-1]), "above 0")
    deeper = cx.features(found.net, [found.image(0)] * 3, "conv1", cache=False, progress=False)
    refused(cx.LayerError, lambda: cx.cone(deeper), "conv1")
