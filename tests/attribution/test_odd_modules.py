"""Every method on modules out of the ordinary, against plain autograd and the formulas written out."""

import itertools
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx
from cnnexplore.attribution import attribute_stream

SIDE = 24
IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
OTHER = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


class Plain(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.a, self.b, self.fc = nn.Conv2d(channels, 6, 3, 2), nn.Conv2d(6, 8, 3), nn.Linear(8, 4)
        self.eval()

    def maps(self, x):
        return F.relu(self.b(F.relu(self.a(x))))

    def forward(self, x):
        return self.fc(self.maps(x).mean((2, 3)))


class Training(Plain):
    """In training mode, with dropout and batch norm: cnnexplore looks at it in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm2d(6), nn.Dropout(0.5)
        self.norm.running_mean.uniform_(-1, 1)
        self.train()

    def maps(self, x):
        return F.relu(self.b(self.drop(F.relu(self.norm(self.a(x))))))


class SideBranch(Plain):
    """A reconstruction is computed between the map and the class, which does not depend on it."""

    def __init__(self):
        super().__init__()
        self.decoder = nn.ConvTranspose2d(8, 3, 2)

    def forward(self, x):
        h = self.maps(x)
        self.decoder(h)
        return self.fc(h.mean((2, 3)))


class LastAxis(Plain):
    """Channels come last, and there are as many of them as rows and columns."""

    def maps(self, x):
        h = self.b(F.relu(self.a(x)))[:, :, :8, :8].permute(0, 2, 3, 1)
        return F.relu(F.layer_norm(h, (8,)) * 2 + 0.5)

    def forward(self, x):
        return self.fc(self.maps(x).mean((1, 2)))


class Double(Plain):
    def __init__(self):
        super().__init__()
        self.double()


MODULES = {"plain": Plain, "training": Training, "side branch": SideBranch, "channels last": LastAxis, "double": Double}
GREY = cx.Pixels("grey", (110,), (55,))
PIXELS = {"usual": None, "uneven": cx.Pixels("BGR", (120.0, 90.0, 60.0), (70.0, 35.0, 11.0))}


def score_of(net, module, target):
    def score(x):
        return module(net.pixels.feed(x))[:, target]

    return score


def slope_of(score, x):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(score(x).sum(), x)[0]


def near(found, expected, share=1e-4):
    found, expected = np.asarray(found, np.float64), expected.detach().double().numpy()
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= share * np.abs(expected).max()
    assert expected.any()


def networks():
    for (name, make), (convention, pixels) in itertools.product(MODULES.items(), PIXELS.items()):
        yield pytest.param(make, pixels, 3, id=f"{name}, {convention}")
    yield pytest.param(lambda: Plain(1), GREY, 1, id="one channel")


@pytest.mark.parametrize(("make", "pixels", "channels"), networks())
def test_every_method(make, pixels, channels):
    module = make()
    net = cx.Network(module, size=SIDE, **({} if pixels is None else {"pixels": pixels}))
    plain = make().eval()
    plain.load_state_dict(module.state_dict())
    x = net.pixels_of(IMAGE).to(plain.fc.weight.dtype)
    score, target = score_of(net, plain, 2), 2
    gradient = slope_of(score, x)[0]
    assert gradient.shape == (channels, SIDE, SIDE)
    near(cx.attribute(net, IMAGE, target).raw, gradient)
    near(cx.attribute(net, IMAGE, target, "input_x_gradient").map, (x[0] * gradient).sum(0))

    generator = torch.Generator().manual_seed(5)
    deviation = 0.1 * (x.amax() - x.amin())
    noisy = [x + deviation * torch.randn(x[0].shape, generator=generator).to(x) for _ in range(3)]
    smooth = sum(slope_of(score, one)[0] for one in noisy) / 3
    near(cx.attribute(net, IMAGE, target, "smoothgrad", samples=3, noise=0.1, seed=5).raw, smooth)

    start = net.pixels_of(OTHER).to(x)
    places, weights = np.polynomial.legendre.leggauss(6)
    path = sum(w / 2 * slope_of(score, start + (1 + p) / 2 * (x - start)) for p, w in zip(places, weights, strict=True))
    found = cx.attribute(net, IMAGE, target, "integrated_gradients", steps=6, baseline=OTHER)
    near(found.raw, ((x - start) * path)[0])

    maps = plain.maps(net.pixels.feed(x)).detach().requires_grad_()
    axes = (1, 2) if isinstance(plain, LastAxis) else (2, 3)
    channel = 3 if isinstance(plain, LastAxis) else 1
    (slope,) = torch.autograd.grad(plain.fc(maps.mean(axes))[0, target], maps)
    weighted = (slope.mean(axes, keepdim=True) * maps).sum(channel)
    near(cx.attribute(net, IMAGE, target, "gradcam").raw, weighted)
    size = weighted.shape[-1] * weighted.shape[-2]
    cam = cx.attribute(net, IMAGE, target, "cam")
    near(cam.raw, weighted * size)
    assert cam.raw.mean(dtype=np.float64) + cam.bias == pytest.approx(float(score(x).detach()), rel=1e-4)

    whole, falls = float(score(x).detach()), []
    for row, column in itertools.product(range(0, 17, 8), repeat=2):
        covered = x.clone()
        covered[:, :, row : row + 8, column : column + 8] = 0
        falls.append(whole - float(score(covered).detach()))
    found = cx.attribute(net, IMAGE, target, "occlusion", window=8, stride=8, progress=False)
    near(found.raw[0].ravel(), torch.tensor(falls), 1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_near(dtype):
    half, full = cx.Network(Plain().to(dtype), size=SIDE), cx.Network(Plain(), size=SIDE)
    for method in cx.attribution_methods():
        options = {"progress": False} if method == "occlusion" else {}
        found, expected = (cx.attribute(net, IMAGE, 2, method, **options).map for net in (half, full))
        assert found.dtype == np.float32
        correlation = np.corrcoef(found.ravel(), expected.ravel())[0, 1]
        assert correlation > (0.9 if method == "occlusion" else 0.97), method


@pytest.mark.parametrize("method", ["gradient", "cam", "gradcam", "guided_backprop", "occlusion"])
def test_autocast_around_a_call_changes_nothing(method):
    expected = cx.attribute(cx.Network(Plain(), size=SIDE), IMAGE, 2, method, progress=False).raw
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = cx.attribute(cx.Network(Plain(), size=SIDE), IMAGE, 2, method, progress=False).raw
        *_, (streamed, _) = attribute_stream(cx.Network(Plain(), size=SIDE), IMAGE, 2, method)
        assert torch.is_autocast_enabled("cpu")
    assert np.array_equal(found, expected)
    assert np.array_equal(streamed.raw, expected)


class AlwaysOn(Plain):
    def forward(self, x):
        return self.fc(F.dropout(self.maps(x), 0.5, training=True).mean((2, 3)))


class Noisy(Plain):
    def maps(self, x):
        return super().maps(x + 20 * torch.randn_like(x))


@pytest.mark.parametrize("make", [AlwaysOn, Noisy])
@pytest.mark.parametrize("use", ["gradient", "occlusion", "gradcam", "maximize", "invert"])
def test_answers_that_vary_are_announced_once(make, use):
    net = cx.Network(make(), size=SIDE)

    def run():
        if use == "maximize":
            cx.maximize(net, net.scores.name, 1, steps=1, M=1.0, progress=False)
        elif use == "invert":
            cx.invert(net, IMAGE, net.scores.name, steps=1, progress=False)
        else:
            cx.attribute(net, IMAGE, 1, use, progress=False)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            run()
    (said,) = [str(one.message) for one in caught if one.category is cx.ExploreWarning]
    assert "each time for the same image" in said


def test_networks_that_repeat_themselves_are_not_warned_of():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of old packages on new Pythons
        for make in (Plain, Training):
            cx.attribute(cx.Network(make(), size=SIDE, pixels=cx.Pixels()), IMAGE, 1)
    assert torch.equal(torch.get_rng_state(), before) or make is Training  # which draws its own running mean


def test_targets_and_methods_by_position():
    net = cx.Network(Plain(), size=SIDE, labels=["ant", "bee", "crane", "crane"])
    expected = cx.attribute(net, IMAGE, 1, method="occlusion", progress=False).map
    for target in (torch.tensor(1), np.int64(1), np.array(1), np.uint8(1), "bee"):
        assert np.array_equal(cx.attribute(net, IMAGE, target, "occlusion", progress=False).map, expected)
    *_, (streamed, _) = attribute_stream(net, IMAGE, 1, "occlusion")
    np.testing.assert_allclose(streamed.map, expected, rtol=1e-5, atol=1e-7)


def test_wrong_targets_get_a_sentence(refused):
    net = cx.Network(Plain(), size=SIDE, labels=["ant", "bee", "crane", "crane"])
    for target in (-1, 4, 1.0, torch.tensor(1.0), np.array([0, -1]), [0, 4], True, torch.tensor(True), {1}, b"bee"):
        refused(cx.SettingError, lambda t=target: cx.attribute(net, IMAGE, t))
    refused(cx.SettingError, lambda: cx.attribute(net, IMAGE, "crane"), "several classes", "2, 3")


class Branches(nn.Module):
    """As a block with a shortcut of its own, and a second head with a decoder that is computed first."""

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.stem, self.main = nn.Conv2d(3, 6, 3, 2), nn.Conv2d(6, 8, 3, padding=1)
            self.down, self.tail = nn.Conv2d(6, 8, 1), nn.Conv2d(8, 8, 1)
            self.decoder, self.fc = nn.ConvTranspose2d(8, 3, 2), nn.Linear(8, 4)
        self.eval()

    def forward(self, x):
        h = F.relu(self.stem(x))
        h = F.relu(self.main(h) + self.down(h))
        picture = self.decoder(h)
        return self.fc(h.mean((2, 3))) + 0 * picture.detach().sum()


def test_gradcam_looks_at_what_leads_to_the_target(refused):
    module = Branches()
    net = cx.Network(module, size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    h = F.relu(module.stem(x)).detach().requires_grad_()
    for path, part in (("main", module.main), ("down", module.down)):
        (slope,) = torch.autograd.grad(part(h)[0, 3, 4, 5], h)
        expected = (slope.mean((2, 3), keepdim=True) * h).sum(1)
        layer = net.layers[path].name
        near(cx.attribute(net, IMAGE, layer=layer, unit=3, position=(4, 5), method="gradcam").raw, expected)
    call = lambda: cx.attribute(net, IMAGE, layer=net.layers["down"].name, unit=3, method="gradcam", at="main")  # noqa: E731
    refused(cx.LayerError, call, "does not depend on", "another branch")
