"""AlexNets: response normalisation against torch's and Caffe's formula, and the shape of the narrow ones."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.zoo.architectures.alexnet import ResponseNorm, alexnet, caffe_alexnet, photo_alexnet, world_alexnet


@settings(deadline=None, max_examples=40)
@given(
    size=st.integers(1, 7),
    channels=st.integers(1, 9),
    beta=st.sampled_from([0.5, 0.75, 1.0]),
    k=st.sampled_from([1.0, 2.0]),
    seed=st.integers(0, 99),
)
def test_response_norm_is_torchs(size, channels, beta, k, seed):
    x = torch.randn(2, channels, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    x.requires_grad_()
    ours, peer = (kind(size, 0.7, beta, k)(x) for kind in (ResponseNorm, nn.LocalResponseNorm))
    assert torch.allclose(ours, peer, rtol=1e-12)
    weights = torch.arange(x.numel(), dtype=x.dtype).view(x.shape).cos()
    (a,), (b,) = (torch.autograd.grad(y, x, weights) for y in (ours, peer))
    assert torch.allclose(a, b, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("build", "size"), [(world_alexnet, 96), (photo_alexnet, 128)])
def test_the_small_alexnets_have_the_shape_of_caffes(build, size):
    net = cx.Network(build(), size=size)
    published = cx.Network(alexnet(10, hidden=8), size=227)
    assert list(net.layers) == list(published.layers)
    assert [layer.kind for layer in net.layers.values()] == [layer.kind for layer in published.layers.values()]
    assert net.layers["pool5"].size == (6, 6)


def test_alexnets_response_normalisation():
    """As Caffe has it: x / (k + alpha / 5 sum over five channels of x^2)^beta, numbers as published."""
    norm = caffe_alexnet(2, 4).norm1
    x = torch.rand(1, 7, 1, 2, generator=torch.Generator().manual_seed(0)).double() * 100
    y = norm(x)
    for c, column in np.ndindex(7, 2):
        total = sum(float(x[0, j, 0, column]) ** 2 for j in range(max(c - 2, 0), min(c + 3, 7)))
        expected = float(x[0, c, 0, column]) / (1 + 1e-4 / 5 * total) ** 0.75
        assert float(y[0, c, 0, column]) == pytest.approx(expected, rel=1e-9)


def test_second_derivatives_of_response_normalisation_are_torchs():
    norm = ResponseNorm(5, alpha=0.7, beta=0.75, k=1.0)
    x = torch.randn(1, 6, 2, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(norm, x)
    assert torch.autograd.gradgradcheck(norm, x)
