"""Importance of topics beside literal versions: the module's own layers in float64, one pass for each design."""

import numpy as np
import pytest
import torch
from scipy.stats.qmc import Sobol
from torch import nn

import cnnexplore as cx
from cnnexplore.styles import topic_importance, topic_map

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 12, 9, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def topics():
    torch.manual_seed(4)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(80, 7), nn.ReLU(), nn.Linear(7, 3))
    pixels = cx.Pixels("RGB", mean=(120.0, 100.0, 90.0), std=(60.0, 50.0, 55.0))
    net = cx.Network(module.eval(), size=(12, 9), pixels=pixels, labels=["a", "b", "c"])
    return cx.topics(cx.features(net, IMAGES, "relu1", cache=False, progress=False), 3)


def after(topics, weights):
    """Class 1's score of activations that are put together from topics."""
    tail = nn.Sequential(*topics.features.net.module[2:]).double()
    rows = weights.double() @ torch.from_numpy(topics.components).double()
    found = tail(rows.view(-1, 4, 5, 4))[:, 1]
    nn.Sequential(*topics.features.net.module[2:]).float()
    return found


def test_both_importances(topics):
    found = topic_importance(topics, "b", count=4, designs=16, seed=2, progress=False)
    points = Sobol(6, scramble=False).random(32)[1:17]
    factors = (points + np.random.default_rng(2).random(6)) % 1
    for n in range(4):
        weights = torch.from_numpy(topics.weights[n]).double()
        with torch.no_grad():
            one = after(topics, torch.from_numpy(factors[:, :3]) * weights).numpy()
        for k in range(3):
            changed = factors[:, :3].copy()
            changed[:, k] = factors[:, 3 + k]
            with torch.no_grad():
                other = after(topics, torch.from_numpy(changed) * weights).numpy()
            total = sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / 16 / 2 / np.var(one)
            assert found.sobol[n, k] == pytest.approx(total, rel=1e-3, abs=1e-5)
            step = 1e-6
            near = weights.repeat(2, 1)
            near[0, k] += step
            near[1, k] -= step
            with torch.no_grad():
                up, down = after(topics, near).tolist()
            assert found.gradient[n, k] == pytest.approx(float(weights[k]) * (up - down) / 2 / step, rel=1e-3, abs=1e-4)
    assert found.about == "b"
    assert found.plot()


def test_a_linear_rest_is_known(topics):
    """Of a linear score the total index of a topic is its share of the variance."""
    found = topic_importance(topics, 1, count=1, designs=4096, progress=False)
    assert found.sobol[0].sum() == pytest.approx(1, abs=0.1)  # nearly linear here


def test_the_map_sums_to_the_response_of_a_linear_layer(topics):
    found = topic_map(topics, 1, IMAGES[0])
    net = topics.features.net
    x = net.pixels_of(IMAGES[0]).double().requires_grad_()
    acts = nn.functional.conv2d(
        net.pixels.feed(x), net.module[0].weight.double(), net.module[0].bias.double(), 2
    ).relu()
    (acts.flatten() * torch.from_numpy(topics.components[1]).double()).sum().backward()
    assert np.allclose(found, (x * x.grad).sum(1)[0].detach().numpy(), atol=1e-5)


def test_what_is_refused(topics, refused):
    refused(cx.SettingError, lambda: topic_importance(topics, "d"))
    refused(cx.SettingError, lambda: topic_importance(3, 1), "topics")
    refused(cx.SettingError, lambda: topic_importance(topics, 1, designs=1), "designs")
    refused(cx.SettingError, lambda: topic_map(topics, 3, IMAGES[0]), "3")
