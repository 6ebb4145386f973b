"""The convex cone of a class: the weights of the scores, the theorem at lambda = 1, and the fact without biases."""

import csv

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx
from cnnexplore.styles.cone import score_weights
from cnnexplore.styles.topics import features_to_python


class LinearByHand(nn.Module):
    """Ends in a linear function called by hand, after dropout and reshaping."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.drop = nn.Conv2d(3, 5, 4, 4), nn.ReLU(), nn.Dropout()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 45)), nn.Parameter(torch.randn(4))

    def forward(self, x):
        return F.linear(self.drop(self.relu(self.conv(x))).flatten(1), self.weight, self.bias)


def features_of(module):
    net = cx.Network(module, size=12, pixels=cx.Pixels("RGB", (110.0, 100.0, 90.0), (50.0, 40.0, 60.0)))
    images = [np.random.default_rng(k).integers(0, 256, (12, 12, 3), dtype=np.uint8) for k in range(60)]
    return cx.features(net, images, "relu1", cache=False, dtype="float32", progress=False)


def module(seed=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LinearByHand()


@pytest.fixture(scope="module")
def found():
    return features_of(module())


def test_the_score_weights_are_the_networks(found):
    weight, bias = score_weights(found.net, "relu1")
    assert np.allclose(weight, found.net.module.weight.detach().numpy())
    images = [found.image(k) for k in range(60)]
    scores = found.net.activations(images, found.net.scores.name).numpy()
    assert np.allclose(np.asarray(found, np.float64) @ weight.T + bias, scores, atol=1e-3)


def test_between_two_activations_of_a_class_there_is_only_that_class(found):
    """lambda = 1: a theorem. For other lambdas: the network's own scores of those activations."""
    cone = cx.cone(found, pairs=300, scales=(0.1, 0.5, 1.0, 3.0))
    assert cone.held[:, :, 2].all()
    assert cone.share[1.0] == 1
    weight, bias = (np.asarray(t.detach(), np.float64) for t in (found.net.module.weight, found.net.module.bias))
    activations = np.asarray(found, np.float64)
    for p in range(0, 300, 17):
        first, second = activations[cone.pairs[p]]
        unit = (weight @ first + bias).argmax()
        assert unit == (weight @ second + bias).argmax()
        for a, alpha in enumerate(cone.alphas):
            for s, scale in enumerate(cone.scales):
                top = (weight @ (scale * ((1 - alpha) * first + alpha * second)) + bias).argmax()
                assert cone.held[p, a, s] == (top == unit)
                assert cone.held[p, a, s] == (cone.least[p, a] <= scale <= cone.most[p, a])


@pytest.mark.parametrize("seed", [0, 1])
def test_without_biases_the_whole_cone_has_the_class(seed):
    """The fact as the paper states it: all lambdas, not only 1. With biases some small or large lambda fails."""
    network, scales = module(seed), (1e-3, 0.1, 1.0, 30.0, 1e3)
    with torch.no_grad():
        network.bias.mul_(20)
    with_bias = cx.cone(features_of(network), pairs=80, scales=scales)
    assert not with_bias.held.all()
    with torch.no_grad():
        network.bias.zero_()
    without = cx.cone(features_of(network), pairs=80, scales=scales)
    assert without.held.all()
    assert (without.least == 0).all()
    assert np.isinf(without.most).all()


def test_a_cone_is_a_result(found, tmp_path):
    cone = cx.cone(found, pairs=20, scales=(0.5, 1.0), seed=4)
    assert cone.to_python() == f"cx.cone({features_to_python(found)}, pairs=20, scales=[0.5, 1.0], seed=4)"
    again = eval(cone.to_python().replace(features_to_python(found), "found"), {"cx": cx, "found": found})
    assert np.array_equal(again.held, cone.held)
    cone.save(tmp_path / "cone.csv")
    with open(tmp_path / "cone.csv", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["scale", "share"]
    assert {float(scale): float(share) for scale, share in rows} == cone.share
    (line,) = cone.plot().axes[0].lines
    assert dict(zip(line.get_xdata().tolist(), line.get_ydata().tolist(), strict=True)) == cone.share


def test_what_is_no_cone_gets_a_sentence(found, refused):
    classes = found.predicted
    different = (0, int(np.flatnonzero(classes != classes[0])[0]))
    refused(cx.SettingError, lambda: cx.cone(found, pairs=[different]), "two different top-1 classes")
    refused(cx.SettingError, lambda: cx.cone(found.only([0])), "more images")
    refused(cx.SettingError, lambda: cx.cone(found, pairs=5, scales=[-1]), "above 0")
    refused(cx.SettingError, lambda: cx.cone(found, pairs=5, steps=0), "steps is 0")
    deeper = cx.features(found.net, [found.image(0)] * 3, "conv1", cache=False, progress=False)
    refused(cx.LayerError, lambda: cx.cone(deeper), "conv1")
