"""The faster backward pass of a first convolution against the stock one, in float64."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.network.fast_strided import StridedConvolution, use_fast_strided_backward


def gradient_and_response(conv, x, direction):
    """The gradient with respect to x, and the response, of a module."""
    x = x.clone().requires_grad_()
    y = conv(x)
    return torch.autograd.grad(y, x, direction)[0], y.detach()


@given(
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.integers(2, 5), st.tuples(st.integers(0, 4), st.integers(0, 4)),
    st.tuples(st.integers(7, 23), st.integers(7, 23)),
)  # fmt: skip
def test_it_is_the_stock_gradient(images, channels, units, kernel, stride, padding, size):
    torch.manual_seed(0)
    conv = nn.Conv2d(channels, units, kernel, stride, padding).double().requires_grad_(False)
    x = torch.randn(images, channels, *size, dtype=torch.double)
    direction = torch.randn_like(conv(x))
    expected, y = gradient_and_response(conv, x, direction)
    use_fast_strided_backward(conv)
    got, mine = gradient_and_response(conv, x, direction)
    assert torch.equal(y, mine)
    assert got.shape == x.shape
    assert torch.allclose(got, expected, rtol=1e-12, atol=1e-12)


def passes(run, monkeypatch) -> int:
    """How often the faster backward pass is run."""
    calls = []
    stock = StridedConvolution.backward
    monkeypatch.setattr(StridedConvolution, "backward", staticmethod(lambda *a: calls.append(1) or stock(*a)))
    run()
    return len(calls)


def test_a_run_uses_it(monkeypatch):
    net = cx.Network(nn.Sequential(nn.Conv2d(3, 8, 5, 2), nn.ReLU()), size=(31, 31))
    image = torch.rand(1, 3, 31, 31) * 255
    assert (
        passes(lambda: cx.invert(net, image, "0", steps=3, refine=0, progress=False), monkeypatch) == 3 + 1
    )  # and once for the result


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 6, 3),
        nn.Conv2d(8, 6, 3, 2),
        nn.Conv2d(3, 6, 3, 2, groups=3),
        nn.Conv2d(3, 6, 3, 2, dilation=2),
        nn.Conv2d(3, 6, 3, 2, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 6, 3, (2, 1)),
    ],
    ids=["no stride", "no image", "groups", "dilation", "reflected border", "two strides"],
)
def test_other_convolutions_keep_the_stock_one(conv, monkeypatch):
    conv.requires_grad_(False)
    x = torch.randn(1, conv.in_channels, 15, 15)
    direction = torch.randn_like(conv(x))
    expected, _ = gradient_and_response(conv, x, direction)
    use_fast_strided_backward(conv)
    found = []
    assert passes(lambda: found.append(gradient_and_response(conv, x, direction)[0]), monkeypatch) == 0
    torch.testing.assert_close(found[0], expected)


def test_weights_that_learn_get_their_gradient():
    conv = nn.Conv2d(3, 6, 3, 2)
    use_fast_strided_backward(conv)
    conv(torch.randn(1, 3, 15, 15).requires_grad_()).sum().backward()
    assert conv.weight.grad is not None


def test_its_second_derivatives_are_right():
    conv = nn.Conv2d(3, 2, 4, 3, 1).double().requires_grad_(False)
    use_fast_strided_backward(conv)
    x = torch.randn(1, 3, 8, 7, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: nn.functional.softplus(conv(z)), x)
    assert torch.autograd.gradgradcheck(lambda z: nn.functional.softplus(conv(z)), x)


def test_inside_of_torch_func_it_is_the_stock_one():
    conv = nn.Conv2d(3, 6, 5, 2).requires_grad_(False)
    x = torch.randn(1, 3, 15, 15)
    expected, _ = gradient_and_response(conv, x, torch.ones(1, 6, 6, 6))
    use_fast_strided_backward(conv)
    found = torch.func.grad(lambda z: conv(z).sum())(x.clone().requires_grad_())
    torch.testing.assert_close(found, expected)
