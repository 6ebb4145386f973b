"""Filters are the weights that the forward pass applies, however a module computes them."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm
from torch.utils._python_dispatch import TorchDispatchMode

import cnnexplore as cx

SIZE = 12


class Standardised(nn.Conv2d):
    """The weight that is applied has mean 0 and variance 1 in each filter; `weight` has neither."""

    def forward(self, x):
        w = self.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True)
        return F.conv2d(x, w, self.bias, self.stride, self.padding)


class OfItsOwn(nn.Module):
    """No subclass of Conv2d; a mask over a parameter, and a bias that is added afterwards."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(4, 3, 3, 3)), nn.Parameter(torch.randn(4))
        self.mask = (torch.arange(9).view(3, 3) % 2).float()

    def forward(self, x):
        return F.conv2d(x, self.weight * self.mask) + self.bias.view(1, -1, 1, 1)


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.kernel, self.fc = nn.Parameter(torch.randn(4, 3, 3, 3)), nn.Linear(4, 2)

    def forward(self, x):
        x = F.pad((x - 3.0) / 2.0, (1, 1, 1, 1), mode="reflect")
        return self.fc(F.conv2d(x, self.kernel.abs()).relu().mean((2, 3)))


def pruned():
    conv = nn.Conv2d(3, 4, 3)
    prune.l1_unstructured(conv, "weight", amount=0.5)
    return conv


def old_style(norm):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return norm(nn.Conv2d(3, 4, 3))


def lazy():
    conv = nn.LazyConv2d(4, 3)
    conv(torch.zeros(1, 3, SIZE, SIZE))
    return conv


def head(first, channels=4):
    return nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 2))


MODULES = {
    "plain": lambda: head(nn.Conv2d(3, 4, 3)),
    "weight_norm": lambda: head(parametrizations.weight_norm(nn.Conv2d(3, 4, 3))),
    "spectral_norm": lambda: head(parametrizations.spectral_norm(nn.Conv2d(3, 4, 3))),
    "orthogonal": lambda: head(parametrizations.orthogonal(nn.Conv2d(3, 4, 3))),
    "old weight_norm": lambda: head(old_style(weight_norm)),
    "old spectral_norm": lambda: head(old_style(spectral_norm)),
    "pruned": lambda: head(pruned()),
    "lazy": lambda: head(lazy()),
    "standardised": lambda: head(Standardised(3, 4, 3)),
    "a module of its own": lambda: head(OfItsOwn()),
    "functional": Functional,
    "circular": lambda: head(nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")),
    "half precision": lambda: head(nn.Conv2d(3, 4, 3)).bfloat16(),
}


class Applied(TorchDispatchMode):
    """The first weight that PyTorch's convolution is given."""

    weight = None

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "convolution" in func._schema.name and self.weight is None:
            self.weight = args[1].detach().clone()
        return func(*args, **(kwargs or {}))


def applied(module):
    """The first filters that the module applies, observed below all of Python's ways to compute them."""
    dtype = next(module.parameters()).dtype
    with torch.no_grad(), Applied() as mode:
        module.eval()(torch.rand(2, 3, SIZE, SIZE, dtype=dtype))
    return mode.weight.float().numpy()


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_the_filters_are_those_that_are_applied(name, order):
    torch.manual_seed(0)
    module = MODULES[name]()
    net = cx.Network(module, size=SIZE, pixels=cx.Pixels(order))
    found, expected = cx.filters(net), applied(module)
    assert np.allclose(found.weights, expected if order == "RGB" else expected[:, ::-1], atol=1e-6)
    assert found.of_pixels
    assert found.layer.channels == 4
    assert found.pictures().shape == (4, 3, 3, 3)
    again = cx.filters(net, found.layer.name, [3, 1])
    assert np.array_equal(again.weights, found.weights[[3, 1]])


@pytest.mark.parametrize("name", [name for name in MODULES if name not in ("half precision", "circular")])
def test_decoded_filters_of_the_first_layer_are_the_filters(name):
    torch.manual_seed(0)
    module = MODULES[name]()
    net = cx.Network(module, size=SIZE)
    where = cx.filters(net).layer
    decoded = cx.decode(net, where.name, progress=False)
    gain = 0.5 if name == "functional" else 1  # of the pixels before the convolution
    assert np.allclose(decoded.filters, gain * applied(module), atol=1e-6)


def test_filters_that_depend_on_the_image_are_refused(refused):
    class Dynamic(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.fc = nn.Conv2d(3, 3, 3), nn.Linear(1, 2)

        def forward(self, x):
            x = self.first(x)
            return self.fc(F.conv2d(x, x.mean((0, 2, 3)).view(1, 3, 1, 1)).mean((2, 3)))

    net = cx.Network(Dynamic(), size=SIZE)
    assert cx.filters(net).layer.name == net.layers["first"].name
    refused(cx.LayerError, lambda: cx.filters(net, "conv2d()"), "computed from the image")


def test_other_products_are_no_filters(refused):
    class Up(nn.Module):
        def __init__(self):
            super().__init__()
            self.up, self.line, self.fc = nn.ConvTranspose2d(3, 4, 2, 2), nn.Conv1d(4, 4, 3), nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(self.line(self.up(x).flatten(2)).mean(2))

    net = cx.Network(Up(), size=SIZE)
    refused(cx.LayerError, lambda: cx.filters(net), "no convolution")
    refused(cx.LayerError, lambda: cx.filters(net, "up"), "no two-dimensional convolution")


def test_filters_of_reordered_channels_are_not_drawn_as_colours():
    class Flipped(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(self.conv(x.flip(1)).mean((2, 3)))

    found = cx.filters(cx.Network(Flipped(), size=SIZE))
    assert not found.of_pixels
    assert found.mosaic().shape[2] == 3
