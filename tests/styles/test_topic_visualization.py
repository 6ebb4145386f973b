"""Visualised topics: class and scale against the formula; and which topic the pictures are nearest to."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.styles import nearest_topic
from cnnexplore.styles.topic_visualization import DISTINCT, THRESHOLD, class_and_scale

SIDE = 12
IMAGES = [np.random.default_rng(k).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for k in range(24)]


def build(*last):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(100, 8), nn.ReLU(), nn.Dropout(), *last
        )


@pytest.fixture(scope="module")
def styles():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        pixels = cx.Pixels("RGB", (110, 100, 90), (50, 60, 70))
        net = cx.Network(build(nn.Linear(8, 3)), size=SIDE, pixels=pixels, labels=["a", "b", "c"], name="tiny")
    return cx.topics(cx.features(net, IMAGES, cache=False, dtype="float32", progress=False), 2)


def test_the_target_is_the_class_and_its_largest_score_through_the_mask(styles):
    net, found = styles.features.net, styles.features
    weight, bias = (p.detach().double().numpy() for p in net.module[-1].parameters())
    for topic in range(2):
        which, mask = styles.images(topic, None), styles.mask(topic, 0.2)
        activations = net.activations([IMAGES[k] for k in which], found.layer.name).double().numpy()
        said = [net.predict(IMAGES[k], 1)[0][0] for k in which]
        most = max(sorted(set(said)), key=said.count)
        unit = net.labels.index(most)
        scores = [weight[unit] @ (activation * mask) + bias[unit] for activation in activations]
        assert class_and_scale(found, which, mask) == (unit, pytest.approx(max(max(scores), 0.01), abs=1e-3))


def test_a_result_has_the_python_that_makes_it_again(styles):
    net = styles.features.net
    mask = styles.mask(1, THRESHOLD, DISTINCT)
    unit, most = class_and_scale(styles.features, styles.images(1, None), mask)
    pair = cx.visualize_topic(styles, 1, seed=[0, 3], steps=3, progress=False)
    alone = cx.visualize_topic(styles, 1, seed=3, steps=3, progress=False)
    by_hand = cx.maximize(
        net,
        net.scores.name,
        unit,
        preset="paper2016",
        M=most,
        pathway=cx.Pathway.topic(mask),
        seed=3,
        steps=3,
        progress=False,
    )
    assert np.array_equal(pair[1].picture, alone.picture)
    assert np.array_equal(alone.picture, by_hand.picture)
    assert np.array_equal(eval(alone.to_python(), {"cx": cx, "net": net}).picture, alone.picture)
    other = cx.visualize_topic(styles, 1, threshold=0.0, distinct=0.0, seed=3, steps=3, progress=False)
    assert not np.array_equal(other.picture, alone.picture)


def test_what_cannot_be_gets_a_sentence(styles, refused):
    refused(cx.SettingError, lambda: cx.visualize_topic(styles, 2, steps=1), "0 to 1")
    refused(cx.SettingError, lambda: cx.visualize_topic(styles, 0, threshold=1.5, steps=1), "threshold")
    bent = cx.Network(build(nn.Linear(8, 5), nn.ReLU(), nn.Linear(5, 3)), size=SIDE)
    found = cx.topics(cx.features(bent, IMAGES, "relu2", cache=False, progress=False), 2)
    refused(cx.LayerError, lambda: cx.visualize_topic(found, 0, steps=1), "linear function")
    maps = cx.Network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)), size=SIDE)
    found = cx.topics(cx.features(maps, IMAGES, cache=False, progress=False), 2)
    refused(cx.SettingError, lambda: cx.visualize_topic(found, 0, steps=1), "predicts no class")


@pytest.mark.slow
def test_the_picture_of_a_style_is_nearest_to_images_of_that_style():
    """In fc7, of all images of the class; by chance it would be one third."""
    net = cx.load("worldnet-styles", device="cpu")
    found = cx.features(net, cx.world.dataset(160, 5, 96, ["church", "boat"]), cache=False, progress=False)
    own = []
    for name in ("church", "boat"):
        styles = cx.topics(found.of(name), 3)
        for topic in range(3):
            (picture,) = cx.visualize_topic(styles, topic, seed=[7], steps=40, progress=False)
            own.append(nearest_topic(styles, picture.picture)[0] == topic)
    assert np.mean(own) > 0.8
