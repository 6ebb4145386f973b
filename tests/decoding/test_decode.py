"""Decoded filters against the paper's pseudo-code written out, and against autograd where nothing is pooled."""

from __future__ import annotations

import literal_decoding as literal
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.decoding import Decoder
from cnnexplore.decoding.unpooling import interpolation, unpool

METHODS = ["nearest", "bilinear", "bicubic"]


def network(*parts, size=16, channels=3, seed=0):
    """A Network of the parts with random numbers in every parameter and statistic."""
    module = nn.Sequential(*parts)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
        for name, b in module.named_buffers():
            if name.endswith("running_var"):
                b.copy_(0.5 + torch.rand(b.shape, generator=generator))
    pixels = cx.Pixels("RGB" if channels == 3 else "grey", (), (2.0,) * channels)
    return cx.Network(module.eval(), size=size, pixels=pixels)


def written_out(part):
    """A module as the literal algorithm has it, None for what hands on."""
    pair = lambda v: tuple(v) if isinstance(v, tuple) else (v, v)  # noqa: E731
    if isinstance(part, nn.Conv2d):
        filters = part.weight.detach().double().numpy()
        return literal.Conv(filters, part.stride, part.padding, part.dilation, part.groups)
    if isinstance(part, nn.MaxPool2d | nn.AvgPool2d):
        return literal.Pool(pair(part.kernel_size), pair(part.stride), pair(part.padding))
    if isinstance(part, nn.BatchNorm2d):
        return literal.Scale((part.weight / (part.running_var + part.eps).sqrt()).detach().double().numpy())
    return None


@st.composite
def networks(draw):
    """Random small networks: kernel sizes, strides, padding, dilation, groups, pooling sizes, both roundings."""
    parts, channels, size = [], 2 * draw(st.integers(1, 2)), draw(st.integers(9, 13))
    first = channels
    extent = size
    for _ in range(draw(st.integers(1, 3))):
        kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 2))
        padding, dilation = draw(st.integers(0, 2)), draw(st.integers(1, 2))
        groups, out = draw(st.sampled_from([1, 2])), 2 * draw(st.integers(1, 2))
        if extent + 2 * padding < dilation * (kernel - 1) + 1:
            break
        parts.append(nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups))
        extent = (extent + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        channels = out
        parts += draw(st.sampled_from([[], [nn.ReLU()], [nn.BatchNorm2d(out), nn.ReLU(True)]]))
        window, step = draw(st.integers(2, 3)), draw(st.integers(1, 3))
        if draw(st.booleans()) and extent >= window:
            kind = draw(st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]))
            parts.append(kind(window, step, draw(st.integers(0, window // 2)), ceil_mode=draw(st.booleans())))
            extent = parts[-1](torch.zeros(1, channels, extent, extent)).shape[-1]
    if not parts:
        parts = [nn.Conv2d(channels, 2, 1)]
    return parts, first, size, draw(st.sampled_from(METHODS)), draw(st.integers(0, 99))


def prepared(parts, first, size, seed):
    """The network and the same written out."""
    module = nn.Sequential(nn.Conv2d(3, first, 1), *parts)  # images have one channel or three
    net = network(module, size=size, seed=seed)
    shapes, x = [(3, size, size)], torch.zeros(1, 3, size, size)
    for part in module:
        x = part(x)
        shapes.append(tuple(x.shape[1:]))
    return net, [written_out(part) for part in module], shapes


@settings(max_examples=30)
@given(networks())
def test_fast_equals_literal(drawn):
    parts, first, size, method, seed = drawn
    net, layers, shapes = prepared(parts, first, size, seed)
    decoding = cx.decode(net, list(net.layers)[-1], unpool=method)
    for unit, found in enumerate(decoding.filters):
        expected, top, left = literal.filter_decoding(layers, shapes, unit, method)
        assert found.shape == expected.shape
        assert decoding.box == (top, left, top + expected.shape[1] - 1, left + expected.shape[2] - 1)
        assert np.abs(found - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


@settings(max_examples=10)
@given(networks())
def test_a_whole_activation_equals_literal(drawn):
    parts, first, size, method, seed = drawn
    net, layers, shapes = prepared(parts, first, size, seed)
    activation = torch.randn(2, *shapes[-1], generator=torch.Generator().manual_seed(seed))
    found = cx.decode_activation(net, list(net.layers)[-1], activation, unpool=method)
    assert found.shape == (2, *shapes[0])
    for one, z in zip(found, activation, strict=True):
        expected = np.zeros(shapes[0])
        part, top, left = literal.carried(layers, shapes, z.double().numpy(), 0, 0, method)
        expected[:, top : top + part.shape[1], left : left + part.shape[2]] = part
        assert np.abs(one - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


def test_lenet_has_the_papers_sizes():
    net = cx.load("lenet", device="cpu")
    sizes = {name: cx.decode(net, name, [0, 3]).filters.shape for name in ("conv1", "conv2", "conv3", "conv4")}
    assert sizes == {"conv1": (2, 1, 5, 5), "conv2": (2, 1, 14, 14), "conv3": (2, 1, 28, 28), "conv4": (2, 1, 28, 28)}
    assert np.array_equal(cx.decode(net, "conv1").filters, net.module.conv1.weight.detach())


def test_lenet_equals_literal():
    net = cx.load("lenet", device="cpu")
    layers = [written_out(part) for part in list(net.module)[:3]]
    shapes = [(1, 28, 28), (20, 24, 24), (20, 12, 12), (50, 8, 8)]
    for method in METHODS:
        expected, *_ = literal.filter_decoding(layers, shapes, 7, method)
        assert np.abs(cx.decode(net, "conv2", 7, unpool=method).filters[0] - expected).max() < 1e-5


# what branches and is not pooled: decoding is the way back of the network without its non-linearities


class Fire(nn.Module):
    def __init__(self):
        super().__init__()
        self.squeeze, self.one, self.three = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1), nn.Conv2d(4, 6, 3, padding=1)

    def forward(self, x):
        x = self.squeeze(x)
        return torch.cat([self.one(x), self.three(x)], 1)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.two = nn.Conv2d(6, 6, 3, padding=1)
        self.short = nn.Conv2d(3, 6, 1, stride=2)
        self.register_buffer("gain", torch.tensor(0.5))

    def forward(self, x):
        y = self.two(self.norm(self.one(x)))
        y += self.short(x)
        return torch.sub(y * self.gain, self.norm(y), alpha=2) / 3


class Shuffled(nn.Module):
    """Channels that are split, shuffled and put back; channels last in between; a product with one number each."""

    def __init__(self):
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 8, 3, stride=2), nn.Conv2d(8, 5, 3, padding=1)
        self.fc, self.norm = nn.Linear(8, 8), nn.GroupNorm(2, 8)
        self.scale = nn.Parameter(torch.ones(8, 1, 1))

    def forward(self, x):
        x = F.pad(self.conv(x), (1, 0, 2, -1)) * self.scale
        one, two = x.chunk(2, 1)
        x = torch.cat([one[:, ::2], two, one[:, 1::2]], 1)
        n, c, h, w = x.shape
        x = x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        x = self.fc(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return self.last(x)


class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.one, self.two = nn.Conv2d(3, 4, 3), nn.Linear(4 * 14 * 14, 7), nn.Linear(7, 5)

    def forward(self, x):
        return self.two(self.one(self.conv(x).flatten(1)))


@pytest.mark.parametrize("kind", [Fire, Residual, Shuffled, Flat])
def test_branches_add(kind):
    net = network(kind())
    layer = list(net.layers)[-1]
    decoding = cx.decode(net, layer)
    x = torch.zeros(1, 3, 16, 16, requires_grad=True)
    activation = net.module(x)
    middle = [n // 2 for n in activation.shape[2:]]
    for unit, found in enumerate(decoding.filters):
        expected = torch.autograd.grad(activation[(0, unit, *middle)], x, retain_graph=True)[0][0]
        top, left, bottom, right = decoding.box
        assert np.allclose(found, expected[:, top : bottom + 1, left : right + 1], rtol=1e-4, atol=1e-4)
        expected[:, top : bottom + 1, left : right + 1] = 0
        assert not expected.any()
    wanted = torch.randn(activation.shape, generator=torch.Generator().manual_seed(1))
    expected = torch.autograd.grad(activation, x, wanted)[0]
    assert np.allclose(cx.decode_activation(net, layer, wanted), expected, rtol=1e-4, atol=1e-3)


class Gated(nn.Module):
    """Squeeze and excitation, and a normalisation written as a function."""

    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        x = F.relu(self.conv(x))
        x = torch.sigmoid(self.gate(F.adaptive_avg_pool2d(x, 1))) * x
        return F.local_response_norm(x, 3)


def test_gates_and_norms_count_as_open():
    net = network(Gated())
    assert np.array_equal(cx.decode(net, list(net.layers)[-1]).filters, net.module[0].conv.weight.detach())
    world = cx.load("worldnet", device="cpu")  # whose response normalisation is its own
    assert np.array_equal(cx.decode(world, "norm1").filters, world.module.conv1.weight.detach())


def test_a_mean_over_the_map_is_a_pooling():
    net = network(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    found = cx.decode(net, "fc2").filters
    spread = (net.module[3].weight @ net.module[0].weight.flatten(1)).view(2, 3, 3, 3)
    ones = torch.ones(1, 1, 14, 14)
    expected = F.conv_transpose2d(ones.expand(1, 1, 14, 14), spread.reshape(1, 6, 3, 3)).view(2, 3, 16, 16)
    assert np.allclose(found, expected.detach(), rtol=1e-4, atol=1e-4)
    divided = network(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(7), nn.Conv2d(4, 2, 7))
    windows = network(nn.Conv2d(3, 4, 3), nn.AvgPool2d(2), nn.Conv2d(4, 2, 7))
    assert np.allclose(cx.decode(divided, "conv2").filters, cx.decode(windows, "conv2").filters, rtol=1e-4, atol=1e-4)


# unpooling


def test_doubling_is_what_torch_and_pillow_do():
    maps = torch.rand(3, 7, 5, generator=torch.Generator().manual_seed(0))
    for method in ("nearest", "bilinear"):
        more = {} if method == "nearest" else {"align_corners": False}
        expected = F.interpolate(maps[None], scale_factor=2, mode=method, **more)[0]
        assert torch.allclose(unpool(maps, (2, 2), (2, 2), (14, 10), method), expected, atol=1e-6)
    from PIL import Image

    expected = Image.fromarray(maps[0].numpy()).resize((10, 14), Image.Resampling.BICUBIC)
    found = unpool(maps[0], (2, 2), (2, 2), (14, 10), "bicubic").numpy()
    assert np.abs(found - np.asarray(expected))[4:-4, 4:-4].max() < 1e-5


@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 4), st.sampled_from(METHODS), st.integers(-3, 3))
def test_a_constant_stays_and_a_mirror_image_is_mirrored(cells, kernel, stride, method, seed):
    size = (cells - 1) * stride + kernel
    matrix = interpolation(cells, kernel, stride, size, method)
    assert torch.allclose(matrix.sum(1), torch.ones(size, dtype=torch.float64))
    assert torch.allclose(matrix, matrix.flip(0, 1))


# in parts, and wrong


def test_a_few_at_a_time_is_the_same(monkeypatch):
    net = cx.load("lenet", device="cpu")
    together = cx.decode(net, "conv2").filters
    monkeypatch.setattr("cnnexplore.decoding.decoder.MEMORY", 100_000)
    decoder = Decoder(net, "conv2", range(5, 50))
    assert 1 <= decoder.at_once < 45
    assert np.allclose(decoder.filters(), together[5:], atol=1e-6)
    assert [u for units, _ in decoder for u in units] == list(range(5, 50))
    assert len(decoder) == len(cx.decode(net, "conv2", range(5, 50))) == 45


def test_a_decoded_activation_is_the_sum_of_its_units():
    net = cx.load("lenet", device="cpu")
    activation = torch.zeros(1, 500, 1, 1)
    activation[0, [3, 40]] = torch.tensor([2.0, -1.0])[:, None, None]
    filters = cx.decode(net, "conv3", np.array([3, 40])).filters
    assert np.allclose(cx.decode_activation(net, "conv3", activation)[0], 2 * filters[0] - filters[1], atol=1e-6)


class Attention(nn.Module):
    def forward(self, x):
        y = x.flatten(2)
        return (y @ y.transpose(1, 2)).flatten(1)


class Batched(nn.Module):
    """Puts the image into a larger tensor, as detectors do."""

    def forward(self, x):
        y = x.new_zeros(len(x), 3, x.shape[2] + 2, x.shape[3] + 2)
        y[:, :, 1:-1, 1:-1].copy_(x)
        return y


def test_what_cannot_be_decoded_gets_a_sentence(refused):
    batched = network(Batched(), nn.Conv2d(3, 4, 3))
    refused(
        cx.LayerError, lambda: cx.decode(batched, list(batched.layers)[-1]), "a tensor that is written part by part"
    )
    net = network(nn.Conv2d(3, 4, 3), Attention(), nn.Linear(16, 2))
    last = list(net.layers)[-1]
    refused(cx.LayerError, lambda: cx.decode(net, last), last, "a product of two computed maps", "cannot be decoded")
    assert cx.decode(net, "conv1").filters.shape == (4, 3, 3, 3)
    up = network(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 4, 2, 2))
    refused(cx.LayerError, lambda: cx.decode(up, list(up.layers)[-1]), "transposed")
    refused(cx.LayerNotFound, lambda: cx.decode(net, "conv9"), "conv9")
    refused(cx.SettingError, lambda: cx.decode(net, "conv1", unpool="cubic"), "cubic", "bicubic")
    for unit in (4, -1, [0, 9], [], "ab", 1.5, [0.5], np.array([0.5])):
        refused(cx.SettingError, lambda unit=unit: cx.decode(net, "conv1", unit), "unit")
    refused(cx.SettingError, lambda: cx.decode_activation(net, "conv1", torch.zeros(1, 4, 3, 3)), "(1, 4, 3, 3)")
