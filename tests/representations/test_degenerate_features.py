"""Equal, constant, few and empty activations: numbers without NaN, or a sentence."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.data import Images
from cnnexplore.decoding import by_class, by_response, by_shape, class_means, contrast, groups, similarity
from cnnexplore.representations.features import Features
from cnnexplore.styles.factorization import factorize

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")
NET = cx.Network(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 3)), size=4)
DRAW = np.random.default_rng(0)


def features(activations):
    count = len(activations)
    none, numbers = np.full(count, -1, np.int32), np.arange(count)
    source = Images([np.zeros((4, 4, 3), np.uint8)] * count)
    values = np.asarray(activations, np.float32)
    return Features(values, none, none, numbers, NET, NET.layers["conv1"], source, None)


SETS = {
    "all equal": np.ones((12, 5)),
    "all zero": np.zeros((12, 5)),
    "three images": DRAW.random((3, 5)),
    "three equal": np.ones((3, 5)),
    "one number": DRAW.random((12, 1)),
    "one number, equal": np.ones((12, 1)),
    "two different images": np.repeat(DRAW.random((2, 5)), 8, 0),
    "one that differs": np.concatenate([np.ones((15, 5)), 2 * np.ones((1, 5))]),
    "a tiny spread": 1 + 1e-7 * DRAW.random((12, 5)),
    "tiny": 1e-30 * DRAW.random((12, 5)),
    "huge": 1e18 * DRAW.random((12, 5)),
    "duplicates": np.repeat(DRAW.random((10, 5)), 4, 0),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_points_are_numbers(name, method):
    given = features(SETS[name])
    found = cx.embed(given, method=method, steps=50, progress=False)
    assert found.points.shape == (len(given), 2)
    assert np.isfinite(found.points).all()
    assert found.plot() is not None
    if "equal" in name or name == "all zero":
        assert np.ptp(found.points, axis=0).max() == 0


def test_many_equal_images():
    given = features(np.ones((9000, 6)))  # more than are decomposed at once
    assert np.isfinite(cx.embed(given, method="pca").points).all()


def test_a_perplexity_beyond_the_images():
    assert np.isfinite(cx.embed(features(DRAW.random((5, 4))), perplexity=1e6, steps=25, progress=False).points).all()


@pytest.mark.parametrize("perplexity", [np.inf, np.nan, 0.5, "30"])
def test_a_perplexity_that_is_none(perplexity, refused):
    given = features(DRAW.random((5, 4)))
    refused(cx.SettingError, lambda: cx.embed(given, perplexity=perplexity, progress=False), "perplexity")


def test_topics_of_what_has_none(refused):
    refused(cx.SettingError, lambda: cx.topics(features(np.zeros((6, 4))), 2), "all zero")
    refused(cx.SettingError, lambda: cx.topics(features(-np.ones((6, 4))), 2), "all zero")
    weights, components, error = factorize(np.zeros((6, 4), np.float32), 2, 0)
    assert not weights.any()
    assert not components.any()
    assert error == 0


def test_more_topics_than_there_are():
    """Equal images have one topic: the others are empty, and every number is finite."""
    rows = np.repeat(DRAW.random((1, 5)), 6, 0)
    found = cx.topics(features(rows), 3)
    assert np.isfinite(found.components).all()
    assert np.isfinite(found.weights).all()
    assert np.allclose(found.weights @ found.components, rows, atol=1e-3)
    assert np.isfinite(found.shares).all()


def test_an_empty_topic_is_said(refused):
    found = cx.topics(features(DRAW.random((6, 5))), 2)
    found.components[1] = 0
    refused(cx.SettingError, lambda: found.mask(1), "no units")
    refused(cx.SettingError, lambda: cx.retrieve(found, 1), "no units")
    assert cx.retrieve(found, 0).similarity.max() <= 1 + 1e-6


def test_the_curve_of_topics_where_half_of_the_images_are_zero():
    rows = np.zeros((8, 4))
    rows[0] = 1
    curve = cx.topic_curve(features(rows), [1, 2], splits=2)
    assert np.isfinite(curve.error).all()
    assert np.isfinite(curve.stability).all()


def test_images_without_activation_are_no_neighbours():
    rows = DRAW.random((6, 5))
    rows[2] = 0
    found = cx.retrieve(cx.topics(features(rows), 2), 0, k=6)
    assert np.isfinite(found.similarity).all()
    assert found.similarity[found.indices.tolist().index(2)] == 0


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_similarity_does_not_depend_on_the_scale(scale):
    rows = DRAW.random((6, 5))
    plain = cx.topics(features(rows), 2)
    scaled = cx.retrieve(plain, 0, k=6, features=features(scale * rows))
    assert np.allclose(scaled.similarity, cx.retrieve(plain, 0, k=6).similarity, atol=1e-5)


def test_activations_that_are_not_finite_have_no_neighbours(refused):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 3))
    with torch.no_grad():
        module[0].bias.fill_(torch.nan)
    images = list(DRAW.integers(0, 256, (3, 4, 4, 3), dtype=np.uint8))
    net = cx.Network(module, size=4)
    refused(cx.LayerError, lambda: cx.neighbours(net, images[0], "conv1", images, progress=False), "not finite")


def test_orders_of_filters_without_contrast():
    flat = np.ones((5, 3, 4, 4))
    assert np.isfinite(similarity(flat)).all()
    assert sorted(by_shape(flat)) == list(range(5))
    assert sorted(k for group in groups(flat, 2) for k in group) == list(range(5))
    assert not contrast(np.ones((2, 3, 4, 4), np.float32)).any()
    assert sorted(by_response(np.zeros((3, 4)))) == [0, 1, 2, 3]


def test_classes_without_images_are_left_out(refused):
    responses = np.array([[1.0, 0.0], [3.0, 0.0], [0.0, 5.0]])
    means = class_means(responses, [0, 0, 2])
    assert np.isnan(means[1]).all()
    assert means[[0, 2]].tolist() == [[2.0, 0.0], [0.0, 5.0]]
    assert by_class(responses, [0, 0, 2]) == {0: [0], 1: [], 2: [1]}
    refused(cx.SettingError, lambda: by_class(responses, [-1, -1, -1]), "labels")
    refused(cx.SettingError, lambda: by_class(responses, [0.5, 0, 1]), "labels")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of old packages on new Pythons
        by_class(responses, [2, 2, 2])
