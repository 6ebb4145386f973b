"""Windows replaced in networks that are no sliding windows, or hide it: always what whole passes in float64 give."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.network import PatchedActivations, as_maps, window_grid

SIDE = 40
WINDOW = (8, 7)
PIXELS = cx.Pixels("RGB", (123.675, 116.28, 103.53), (58.4, 57.1, 57.4))


class Mixed(nn.Module):
    """A convolution, a function of its map, and a convolution."""

    def __init__(self, mix, parts=(), channels=6):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, channels, 3, 1, 1), nn.Conv2d(channels, 5, 3, 1, 1)
        self.mix, self.parts = mix, nn.ModuleList(parts)

    def forward(self, x):
        return self.b(self.mix(self, F.relu(self.a(x))))


class Squeeze(nn.Module):
    def __init__(self, c=6):
        super().__init__()
        self.down, self.up = nn.Conv2d(c, 3, 1), nn.Conv2d(3, c, 1)

    def forward(self, x):
        return x * self.up(self.down(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


class NonLocal(nn.Module):
    def __init__(self, c=6):
        super().__init__()
        self.q, self.k, self.v = (nn.Conv2d(c, c, 1) for _ in range(3))

    def forward(self, x):
        small = F.max_pool2d(x, 4)
        q, k, v = self.q(x).flatten(2), self.k(small).flatten(2), self.v(small).flatten(2)
        return x + 1e-2 * (v @ (q.transpose(1, 2) @ k).softmax(-1).transpose(1, 2)).view_as(x)


class UNet(nn.Module):
    def __init__(self, transposed=True):
        super().__init__()

        def conv(i, o):
            return nn.Sequential(nn.Conv2d(i, o, 3, 1, 1), nn.ReLU())

        self.a, self.b, self.c, self.d, self.e = conv(3, 6), conv(6, 6), conv(6, 6), conv(12, 6), conv(12, 5)
        self.ups = [nn.ConvTranspose2d(6, 6, 2, 2) if transposed else nn.Upsample(scale_factor=2) for _ in range(2)]
        self.up = nn.ModuleList(self.ups)

    def forward(self, x):
        a = self.a(x)
        b = self.b(F.max_pool2d(a, 2))
        c = self.c(F.max_pool2d(b, 2))
        return self.e(torch.cat([a, self.up[0](self.d(torch.cat([b, self.up[1](c)], 1)))], 1))


class Hourglass(nn.Module):
    """Down and up again between two layers on every path: what a crop gives depends on where it begins."""

    def forward(self, x):
        return F.interpolate(F.max_pool2d(x, 2), size=x.shape[2:])


class Residual(nn.Module):
    def __init__(self, c=6, shortcut=None, kernel=3):
        super().__init__()
        self.a, self.b = nn.Conv2d(c, c, kernel, 1, kernel // 2), nn.Conv2d(c, c, kernel, 1, kernel // 2)
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x):
        return (self.b(self.a(x).relu()) + self.shortcut(x)).relu()


def coordinates(self, x):
    row, column = (torch.linspace(-1, 1, n, dtype=x.dtype) for n in x.shape[2:])
    return x * (1 + row[:, None] * column)


def brightest(self, x):
    """Relative to the brightest position, which few windows touch."""
    return x - x.amax((2, 3), keepdim=True)


def hard(self, x):
    where = x.sum(1).flatten(1).argmax(1)
    return x + x.flatten(2)[torch.arange(len(x)), :, where][..., None, None]


def thresholded(self, x):
    return x * (x > x.mean((2, 3), keepdim=True)).to(x)


def spectrum(self, x):
    return torch.fft.ifft2(torch.fft.fft2(x.double()) * 0.9).real.to(x) + x


def one_place(self, x):
    """A gate at one place of the map only."""
    gate = torch.ones_like(x[:1, :1])
    gate[:, :, 3:6, 3:6] = 3
    return x * gate


def positions(self, x):
    return x + F.interpolate(self.parts[0].weight.view(1, 6, 5, 5), size=x.shape[2:], mode="bilinear")


MIXED = {
    "instance norm": (lambda s, x: s.parts[0](x), [nn.InstanceNorm2d(6, affine=True)]),
    "group norm": (lambda s, x: s.parts[0](x), [nn.GroupNorm(2, 6)]),
    "layer norm over all": (lambda s, x: F.layer_norm(x, x.shape[1:]), []),
    "layer norm of one size": (lambda s, x: s.parts[0](x), [nn.LayerNorm([6, SIDE, SIDE])]),
    "squeeze and excite": (lambda s, x: s.parts[0](x), [Squeeze()]),
    "non-local": (lambda s, x: s.parts[0](x), [NonLocal()]),
    "mean added": (lambda s, x: x + x.mean((2, 3), keepdim=True), []),
    "pool and enlarge": (lambda s, x: x + F.interpolate(F.adaptive_avg_pool2d(x, 2), size=x.shape[2:]), []),
    "brightest": (brightest, []),
    "hard attention": (hard, []),
    "thresholded": (thresholded, []),
    "softmax of positions": (lambda s, x: x.flatten(2).softmax(2).view_as(x) * 100, []),
    "sum of rows before": (lambda s, x: x.cumsum(2) / 10, []),
    "roll": (lambda s, x: x.roll((9, -5), (2, 3)), []),
    "flip": (lambda s, x: x.flip(3), []),
    "half turn": (lambda s, x: x.flip(2, 3), []),
    "rows and columns": (lambda s, x: x.transpose(2, 3), []),
    "rows and columns added": (lambda s, x: x + x.transpose(2, 3), []),
    "circular padding": (lambda s, x: s.parts[0](x), [nn.Conv2d(6, 6, 3, 1, 1, padding_mode="circular")]),
    "coordinates": (coordinates, []),
    "one place": (one_place, []),
    "positions": (positions, [nn.Linear(25, 6)]),
    "spectrum": (spectrum, []),
    "hourglass": (lambda s, x: s.parts[0](x), [Hourglass()]),
    "shuffled": (lambda s, x: F.pixel_shuffle(s.parts[0](F.pixel_unshuffle(x, 4)), 4), [nn.Conv2d(96, 96, 1)]),
    "strips": (lambda s, x: x + x.mean(2, keepdim=True) + x.amax(3, keepdim=True), []),
    "adaptive": (lambda s, x: F.adaptive_max_pool2d(x, (16, 13)), []),
    "adaptive, whole cells": (lambda s, x: F.adaptive_avg_pool2d(x, (10, 8)), []),
    "adaptive to the same": (lambda s, x: F.adaptive_avg_pool2d(x, SIDE), []),
    "identity shortcuts": (lambda s, x: s.parts[1](s.parts[0](x)), [Residual(), Residual(kernel=1)]),
    "dropout shortcuts": (lambda s, x: s.parts[0](x), [Residual(shortcut=nn.Dropout(0.5))]),
    "dilated": (lambda s, x: s.parts[0](x), [nn.Conv2d(6, 6, 3, 2, 4, dilation=4)]),
    "steps that skip": (lambda s, x: s.parts[0](x), [nn.Conv2d(6, 6, 2, 3)]),
    "reflected": (lambda s, x: s.parts[0](x), [nn.Conv2d(6, 6, 5, 2, 2, padding_mode="reflect")]),
    "replicated": (lambda s, x: s.parts[0](x), [nn.Conv2d(6, 6, 3, 1, 1, padding_mode="replicate")]),
    "one path or the other": (lambda s, x: x if float(x.amax()) > 1 else 2 * x, []),
}  # fmt: skip


def network(module):
    return cx.Network(module.eval(), size=SIDE, pixels=PIXELS)


def image(seed=0, side=SIDE):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def differences(net, module, layer, window=WINDOW, stride=(4, 5), fill=0.0):
    """The changes by each window, and those of whole passes in float64."""
    size = net.size
    x = net.pixels_of(image(side=size[0])).to(torch.float64 if net.dtype == torch.float64 else torch.float32)
    places = window_grid(size, window, stride)
    patched = PatchedActivations(net, x, layer, window, batch=16)
    found = [None] * len(places)
    for first, activations in patched.activations(places, torch.full((1, 3, 1, 1), fill)):
        for k, one in enumerate(activations):
            found[first + k] = (one - patched.base[0]).double()
    double = copy.deepcopy(module).double()
    fed = net.pixels.feed(x.double())
    images = fed.repeat(len(places) + 1, 1, 1, 1)
    for k, (row, column) in enumerate(places):
        images[k, :, row : row + window[0], column : column + window[1]] = fill
    with torch.no_grad():  # one by one: no batch decides for another image
        whole = torch.cat([double(one[None]) for one in images])
    return torch.stack(found), whole[:-1] - whole[-1:], patched, float(whole[-1].abs().max())


def check(module, **more):
    rounding = 5e-7  # of the score itself, in float32
    net = network(module)
    layer = list(net.layers)[-1]
    found, expected, patched, value = differences(net, module, layer, **more)
    assert found.shape == expected.shape
    error = (found - expected).abs().amax()
    assert error <= 1e-3 * expected.abs().amax() + rounding * value, f"{float(error / expected.abs().amax()):.1%}"
    return patched


@pytest.mark.parametrize("name", MIXED)
def test_any_function_of_a_map(name):
    torch.manual_seed(0)
    mix, parts = MIXED[name]
    check(Mixed(mix, parts))


@pytest.mark.parametrize("offset", [40, 1e4])
@pytest.mark.parametrize("name", ["instance norm", "squeeze and excite", "rows and columns", "non-local", "brightest"])
def test_an_offset_hides_nothing(name, offset):
    torch.manual_seed(0)
    mix, parts = MIXED[name]
    head = nn.Linear(5, 3)
    module = nn.Sequential(Mixed(mix, copy.deepcopy(parts)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    with torch.no_grad():
        head.weight.mul_(offset)  # changes that rounding leaves
        head.bias.add_(offset)
    check(module)


@pytest.mark.parametrize("name", ["dilated", "steps that skip", "reflected", "identity shortcuts"])
@pytest.mark.parametrize("inner", [0, 1e4])
def test_genuine_windows_are_spliced_also_under_an_offset(name, inner):
    torch.manual_seed(0)
    mix, parts = MIXED[name]
    module = nn.Sequential(Mixed(mix, copy.deepcopy(parts)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 3))
    with torch.no_grad():
        module[-1].bias.add_(inner)
    assert check(module).exact


@pytest.mark.parametrize("transposed", [True, False])
def test_down_and_up_again(transposed):
    torch.manual_seed(0)
    check(UNet(transposed))


@pytest.mark.parametrize("stride", [(4, 4), (8, 8), (2, 4)])
def test_steps_that_are_those_of_the_hidden_cells(stride):
    """Windows at multiples of the cells' size agree with whole passes by chance; others do not."""
    torch.manual_seed(0)
    check(Mixed(lambda s, x: s.parts[0](x), [Hourglass()]), window=(8, 8), stride=stride)
    check(UNet(), window=(8, 8), stride=stride)


def test_pooling_to_a_fixed_size_is_not_taken_from_a_crop():
    """AlexNet's: 6 x 6 whatever it is given, which from a crop are other cells; the map before it is spliced."""
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(3, 6, 5, 4, 2), nn.ReLU(), nn.MaxPool2d(2)]
    head = [nn.AdaptiveAvgPool2d(5), nn.Flatten(), nn.Linear(150, 4)]
    assert check(nn.Sequential(*convolutions, *head), window=(6, 6), stride=(3, 3)).exact


class Selected(nn.Module):
    """Computes something else from many crops at once than from few."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, 1, 1), nn.Conv2d(6, 5, 3, 1, 1)

    def forward(self, x):
        if len(x) > 8 and x.shape[2] < SIDE:
            return self.b(self.a(x) * 1.5)  # large batches of crops only: what no first check sees
        return self.b(self.a(x))


def test_a_check_that_fails_during_the_run_begins_again_with_whole_passes():
    torch.manual_seed(0)
    module = Selected()
    net = network(module)
    assert PatchedActivations(net, net.pixels_of(image()), "conv2", WINDOW, batch=16).exact
    patched = check(module)
    assert not patched.exact
    again = PatchedActivations(net, net.pixels_of(image()), "conv2", WINDOW, batch=16)
    list(again.activations(window_grid(net.size, WINDOW, (4, 5)), torch.zeros(1, 3, 1, 1)))
    assert not again.exact


class Fixed(nn.Module):
    """Asserts its input's size, or that all is finite, as vision transformers and detectors do."""

    def __init__(self, test):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, 1, 1), nn.Conv2d(6, 5, 3, 1, 1)
        self.test = test

    def forward(self, x):
        y = self.b(self.a(x))
        self.test(y)
        return y


def _of_one_size(x):
    assert x.shape[2:] == (SIDE, SIDE), "wrong size"


def _finite(x):
    if not x.isfinite().all():
        raise KeyError("not finite")


@pytest.mark.parametrize("test", [_of_one_size, _finite])
def test_whatever_the_module_raises_for_a_crop(test):
    torch.manual_seed(0)
    check(Fixed(test))


def test_transformers_of_one_size():
    vision = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    for module in (
        vision.VisionTransformer(40, 8, 1, 2, 16, 32, num_classes=5),
        vision.SwinTransformer([2, 2], 8, [1, 1], [2, 2], [4, 4], num_classes=5),
        vision.convnext.ConvNeXt([vision.convnext.CNBlockConfig(8, None, 2)], num_classes=5),
    ):
        with torch.no_grad():
            for p in module.parameters():
                p.add_(0.05 * torch.randn_like(p))
        check(module)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_number_types(dtype):
    """In half precision a whole pass is only so exact; what is no sliding window is found all the same."""
    for name, exact in (("dilated", True), ("instance norm", False), ("flip", False), ("squeeze and excite", False)):
        torch.manual_seed(0)
        mix, parts = MIXED[name]
        module = Mixed(mix, copy.deepcopy(parts)).to(dtype)
        net = network(module)
        found, expected, patched, _ = differences(net, module, list(net.layers)[-1])
        assert patched.is_local == exact
        error = (found - expected).abs().amax() / expected.abs().amax()
        assert error < (1e-9 if dtype == torch.float64 else 0.05), (name, error)


@st.composite
def layers(draw):
    """A few random layers, some of which mix the whole map."""
    parts, channels = [], 3
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["conv", "conv", "conv", "pool", "relu", "norm", "mix", "residual"]))
        if kind == "conv":
            kernel, step, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
            padding = draw(st.integers(0, (kernel - 1) * dilation // 2))
            parts.append(nn.Conv2d(channels, 4, kernel, step, padding, dilation))
            channels = 4
        elif kind == "pool":
            kernel = draw(st.integers(2, 3))
            pool = draw(st.sampled_from([nn.MaxPool2d, nn.AvgPool2d]))
            parts.append(pool(kernel, draw(st.integers(1, 2)), ceil_mode=draw(st.booleans())))
        elif kind == "relu":
            parts.append(nn.ReLU(draw(st.booleans())) if parts else nn.Hardswish())
        elif kind == "norm":
            parts.append(draw(st.sampled_from([nn.BatchNorm2d, nn.InstanceNorm2d]))(channels))
        elif kind == "residual":
            parts.append(Residual(channels, draw(st.sampled_from([None, nn.Dropout()]))))
        else:
            parts.append(draw(st.sampled_from([Hourglass(), Squeeze(channels), NonLocal(channels)])))
    return parts, draw(st.booleans()), draw(st.sampled_from([0.0, 1e3]))


@settings(max_examples=10)
@given(layers(), st.tuples(*[st.integers(3, 14)] * 2), st.tuples(*[st.integers(3, 6)] * 2), st.integers(0, 99))
def test_random_networks(drawn, window, stride, seed):
    parts, pooled, offset = drawn
    torch.manual_seed(seed)
    module = nn.Sequential(*parts)
    try:
        with torch.no_grad():
            out = module.eval()(torch.zeros(1, 3, SIDE, SIDE))
        assert min(out.shape[2:]) > 0
    except (RuntimeError, ValueError, AssertionError):  # nothing is left of the map
        return
    if pooled:
        module = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(out.shape[1], 2))
        with torch.no_grad():
            module[-1].bias.add_(offset)
    check(
        module,
        window=window,
        stride=tuple(min(s, w) for s, w in zip(stride, window, strict=True)),
    )


def occluded(module, size, window, stride, unit):
    """The falls by occlusion, and those of whole passes in float64."""
    net = cx.Network(module.eval(), size=size, pixels=PIXELS)
    picture = image(side=size)
    found = cx.attribute(net, picture, unit, method="occlusion", window=window, stride=stride).raw[0]
    double = copy.deepcopy(module).double()
    fed = net.pixels.feed(net.pixels_of(picture).double())
    expected = np.zeros_like(found, dtype=float)
    with torch.no_grad():
        whole = double(fed)[0, unit]
        for k, (row, column) in enumerate(window_grid((size, size), (window, window), (stride, stride))):
            y = fed.clone()
            y[:, :, row : row + window, column : column + window] = 0
            expected.flat[k] = whole - double(y)[0, unit]
    return found, expected


def test_occlusion_that_begins_again_counts_every_window_once():
    torch.manual_seed(0)
    module = nn.Sequential(Selected(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(20, 3))
    found, expected = occluded(module, SIDE, 8, 2, 1)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_discrepancy_that_begins_again_has_the_same_noise():
    torch.manual_seed(0)
    module = Selected()
    x = image()
    settings = {"patch": 6, "stride": 2, "positions": [(20, 20)], "seed": 3, "progress": False}
    found = cx.discrepancy_maps(network(module), x, "conv2", 1, **settings, batch=16).values
    module.forward = lambda x: module.b(module.a(x))
    plain = cx.discrepancy_maps(network(module), x, "conv2", 1, **settings, batch=16).values
    assert plain.max() > 0
    np.testing.assert_allclose(found, plain, atol=1e-4 * plain.max())


@pytest.mark.parametrize(
    "name", ["instance norm", "roll", "flip", "rows and columns", "non-local", "mean added", "dilated"]
)
def test_discrepancy_maps_are_those_of_whole_passes(name, monkeypatch):
    """Against whole passes in float64 with the same patches: also where the response is far from its field."""
    torch.manual_seed(0)
    mix, parts = MIXED[name]
    module = Mixed(mix, copy.deepcopy(parts)).double()
    net = network(module)
    settings = {"patch": 5, "stride": 4, "positions": [(9, 12)], "seed": 3, "progress": False}
    taken = []
    activations = PatchedActivations.activations

    def noted(patched, corners, fill):
        taken.extend(corners)
        return activations(patched, corners, fill)

    monkeypatch.setattr(PatchedActivations, "activations", noted)
    found = cx.discrepancy_maps(net, image(), list(net.layers)[-1], 2, **settings).values[0]
    x = net.pixels_of(image()).double()
    # The patches that were left out, which must change nothing, come after those that were not.
    everywhere = [(row, column) for row in range(0, SIDE, 4) for column in range(0, SIDE, 4)]
    corners = taken + [corner for corner in everywhere if corner not in taken]
    noise = net.pixels.encode(255 * torch.rand(len(corners), 3, 5, 5, generator=torch.Generator().manual_seed(3)))
    expected = np.zeros_like(found, dtype=float)
    where = list(net.layers.values())[-1]  # whose map may lie across that of the module
    with torch.no_grad():
        before = as_maps(module(net.pixels.feed(x)), where)[0, 2, 9, 12]
        for (row, column), patch in zip(corners, noise.double(), strict=True):
            y = x.clone()
            y[:, :, row : row + 5, column : column + 5] = patch[..., : SIDE - row, : SIDE - column]
            changed = as_maps(module(net.pixels.feed(y)), where)[0, 2, 9, 12]
            expected[row // 4, column // 4] = abs(float(changed - before))
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9 * expected.max())
