"""The training losses against literal transcriptions of the published formulae."""

import math

import numpy as np
import pytest
import torch

from cnnexplore.generators.losses import (
    FAKE,
    PUBLISHED_FEATURE,
    PUBLISHED_PIXELS,
    PUBLISHED_SQUARE,
    REAL,
    Balance,
    Loss,
    cross_entropy,
    discriminator,
    half_squares,
)


def euclidean_loss(a, b):
    """Caffe's EuclideanLoss in float64: the sum of squares over twice the batch."""
    total = 0.0
    for one, other in zip(a.double().numpy(), b.double().numpy(), strict=True):
        total += float(((one - other) ** 2).sum())
    return total / (2 * len(a))


def softmax_loss(scores, label):
    """Caffe's SoftmaxWithLoss in float64: the mean of -log p of the label."""
    total = 0.0
    for row in scores.double().numpy():
        p = np.exp(row - row.max())
        total -= math.log(p[label] / p.sum())
    return total / len(scores)


def test_at_the_published_sizes_the_weights_are_the_published_ones():
    """2e-6 pixel + 0.01 feature + 100 adversarial, on 3 x 256 x 256 pixels and pool5 of CaffeNet."""
    loss = Loss("adversarial", PUBLISHED_PIXELS * PUBLISHED_SQUARE, PUBLISHED_FEATURE)
    torch.manual_seed(0)
    image, target = (60 * torch.randn(2, 3, 256, 256) for _ in range(2))
    features, wanted = (13 * torch.randn(2, 256, 6, 6).relu() for _ in range(2))
    verdict = torch.randn(2, 2)
    expected = 2e-6 * euclidean_loss(image, target) + 0.01 * euclidean_loss(features, wanted)
    expected += 100 * softmax_loss(verdict, 0)  # the flipped label of a fake: real is 0
    assert float(loss(image, target, features, wanted, verdict)) == pytest.approx(expected, rel=1e-5)


def test_other_sizes_keep_the_proportions_of_the_terms():
    """Half of each usual square costs the same at every size of the image and of the layer."""
    small, large = Loss("feature", 1000.0, 7.0), Loss("feature", PUBLISHED_PIXELS * PUBLISHED_SQUARE, PUBLISHED_FEATURE)
    for name, usual in (("pixel_weight", "pixels"), ("feature_weight", "feature")):
        costs = [getattr(loss, name) * getattr(loss, usual) for loss in (small, large)]
        assert costs[0] == pytest.approx(costs[1])


def test_a_term_counts_only_in_its_kind():
    assert Loss("pixel", 1.0, 1.0).feature_weight == 0
    assert Loss("feature", 1.0, 1.0).adversarial_weight == 0
    assert Loss("adversarial", 1.0, 1.0).adversarial_weight == 100


def test_half_squares_and_cross_entropy_are_caffes():
    torch.manual_seed(1)
    a, b, scores = torch.randn(3, 5, 2, 2), torch.randn(3, 5, 2, 2), torch.randn(3, 2)
    assert float(half_squares(a, b)) == pytest.approx(euclidean_loss(a, b), rel=1e-6)
    for label in (REAL, FAKE):
        assert float(cross_entropy(scores, label)) == pytest.approx(softmax_loss(scores, label), rel=1e-6)


def literal_balance(ratios):
    """The published rule, step by step: stop D below 0.1, start it above 0.5, stop G above 10 until D is back."""
    train_d, train_g, seen = True, True, []
    for q in ratios:
        if q < 0.1 and train_d:
            train_d = False
        if q > 0.5 and not train_d:
            train_d = True
        if q > 10 and train_g:
            train_g = False
        if q <= 10 and not train_g:
            train_g = True
        seen.append((train_d, train_g))
    return seen


def test_the_balance_follows_the_published_rule():
    ratios = [1.0, 0.3, 0.05, 0.3, 0.6, 20.0, 11.0, 9.0, 0.09, 0.5, 0.51, 30.0, 0.01]
    balance, seen = Balance(), []
    for q in ratios:
        balance.update(0.7 * q, 0.3 * q, 1.0)
        seen.append((balance.discriminator, balance.generator))
    assert seen == literal_balance(ratios)
    assert {True, False} == {d for d, _ in seen} == {g for _, g in seen}


@pytest.mark.parametrize("side", [28, 96, 130])
def test_the_discriminator_takes_any_size(side):
    assert discriminator(3)(torch.zeros(2, 3, side, side)).shape == (2, 2)
