"""Gradients with respect to x, pixel mean and std included, against plain autograd in float64."""

import pytest
import torch

from cnnexplore.network import input_gradient, unit_gradient


@pytest.fixture
def images(uneven_pixels):
    return torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 60


def plain(net, x, layers, number):
    """d number(activations) / d x by autograd through the division by std and the module's first layers."""
    x = x.clone().requires_grad_()
    std = torch.tensor(net.pixels.std, dtype=torch.float64).view(1, -1, 1, 1)
    number(net.module[:layers](x / std)).backward()
    return x.grad


def test_a_unit_of_a_map(uneven_pixels, images):
    net = uneven_pixels
    found = unit_gradient(net, "conv2", images, [1, 0, 3], [(0, 1), (7, 2), (1, 3)])
    expected = plain(net, images, 3, lambda a: a[0, 1, 0, 1] + a[1, 0, 7, 2] + a[2, 3, 1, 3])
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    assert expected.abs().amax((1, 2, 3)).min() > 0


def test_the_strongest_unit_at_its_strongest_place(uneven_pixels, images):
    net = uneven_pixels
    found = unit_gradient(net, "relu2", images)
    expected = plain(net, images, 5, lambda a: a.flatten(1).amax(1).sum())
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
    found = unit_gradient(net, "relu2", images, [2, 2, 2])
    expected = plain(net, images, 5, lambda a: a[:, 2].flatten(1).amax(1).sum())
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


def test_any_number_of_the_activations(uneven_pixels, images):
    net = uneven_pixels
    found = input_gradient(net, net.scores.name, images, lambda scores: scores.logsumexp(1))
    expected = plain(net, images, len(net.module), lambda a: a.logsumexp(1).sum())
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)


def test_a_number_that_does_not_depend_on_the_image(uneven_pixels, images):
    found = input_gradient(uneven_pixels, "relu2", images, lambda a: (a * 0).sum() + 1)
    assert found.shape == images.shape
    assert not found.any()
