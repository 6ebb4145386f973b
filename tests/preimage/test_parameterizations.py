"""Fourier coefficients in place of pixels: literal sums in float64, round trips, gradients, and runs of them."""

from __future__ import annotations

import cmath
import math

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.data import bundled_images
from cnnexplore.preimage.colours import colour_mixtures
from cnnexplore.preimage.parameterizations import Fourier, FourierPhase, mean_magnitude, typical_strength
from cnnexplore.preimage.solvers import Nadam

SIZES = [(6, 6), (5, 8), (7, 5)]
CODED = ("lucid", "maco")


@pytest.fixture(scope="module", params=["RGB", "BGR"])
def net(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 6, 5, 2), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.Flatten(), nn.Linear(8 * 49, 4))
    pixels = cx.Pixels(request.param, (120, 110, 100), (1.5, 0.7, 1.2))
    return cx.Network(module, size=21, pixels=pixels, labels=list("abcd"))


def literal_inverse(half, size):
    """The real image of half a spectrum, by its sum, each coefficient's mirror image added by hand."""
    height, width = size
    out = np.zeros(size)
    for row in range(height):
        for column in range(width):
            total = 0.0
            for v in range(height):
                for u in range(width // 2 + 1):
                    wave = half[v][u] * cmath.exp(2j * math.pi * (v * row / height + u * column / width))
                    alone = u == 0 or 2 * u == width  # these columns hold their own mirror images
                    total += wave.real * (1 if alone else 2)
            out[row, column] = total / math.sqrt(height * width)
    return out


def shown(mixed, mixtures, slope, offset):
    """Mixtures of colours, one weighted sum per channel, through a sigmoid; (C, H, W) from 0 to 255."""
    out = np.zeros_like(mixed)
    for d in range(len(mixed)):
        colour = sum(float(mixtures[d, c]) * mixed[c] for c in range(len(mixed)))
        out[d] = 255 / (1 + np.exp(-(slope * colour + offset[d])))
    return out


@pytest.mark.parametrize("size", SIZES)
def test_an_image_is_the_literal_sum_of_its_waves(net, size):
    mean = np.array(net.pixels.mean)
    generator = torch.Generator().manual_seed(2)
    fourier, phase = Fourier(net, size), FourierPhase(net, size)
    code = torch.randn(fourier.start([generator])[0].shape, generator=generator).numpy()
    mixed = np.zeros((3, *size))
    for c in range(3):
        half = np.zeros((size[0], size[1] // 2 + 1), complex)
        for v in range(size[0]):
            for u in range(size[1] // 2 + 1):
                rows = (v if v < (size[0] + 1) // 2 else v - size[0]) / size[0]
                frequency = max(math.hypot(rows, u / size[1]), 1 / max(size))
                half[v, u] = complex(*code[c, v, u]) / frequency
        mixed[c] = literal_inverse(half, size) / 4
    expected = shown(mixed, fourier.mixtures, 1.0, np.zeros(3)) - mean[:, None, None]
    assert np.allclose(fourier.image(torch.from_numpy(code)[None])[0].numpy(), expected, atol=2e-3)

    angles = phase.start([generator])[0].numpy()
    for c in range(3):
        mixed[c] = literal_inverse(phase.magnitude[c].numpy() * np.exp(1j * angles[c].astype(float)), size)
    expected = shown(mixed, phase.mixtures, 4 / 255, np.log(mean / (255 - mean))) - mean[:, None, None]
    assert np.allclose(phase.image(torch.from_numpy(angles)[None])[0].numpy(), expected, atol=2e-3)


@pytest.mark.parametrize("size", SIZES)
def test_a_photograph_goes_round(net, size):
    x = net.pixels.encode(torch.randint(15, 240, (2, 3, *size), generator=torch.manual_seed(1)).float())
    fourier = Fourier(net, size)
    assert torch.allclose(fourier.image(fourier.code(x)), x, atol=0.02)
    phase = FourierPhase(net, size)
    phase.magnitude = torch.fft.rfft2(
        torch.einsum("cd,ndhw->nchw", torch.linalg.inv(phase.mixtures), x[:1]), norm="ortho"
    ).abs()[0]
    linear = 255 * torch.sigmoid(4 / 255 * x[:1] + torch.logit(phase.mean / 255)) - phase.mean
    assert torch.allclose(phase.image(phase.code(x[:1])), linear, atol=0.05), "its own magnitudes, then the sigmoid"


@pytest.mark.parametrize("kind", [Fourier, FourierPhase])
def test_the_gradient_is_that_of_differences(net, kind):
    made = kind(net, (5, 6))
    for name, value in vars(made).items():
        if isinstance(value, torch.Tensor):
            setattr(made, name, value.double())
    generator = torch.Generator().manual_seed(0)
    assert torch.autograd.gradcheck(made.image, made.start([generator]).double().requires_grad_())


def test_mixtures_of_colours_are_uncorrelated_in_the_images(net):
    mixtures = colour_mixtures(net).double()
    x = net.pixels_of(bundled_images(net)).double()
    pixels = x.transpose(0, 1).reshape(3, -1)
    covariance = torch.tensor(np.cov(pixels.numpy(), bias=True))
    rebuilt = mixtures @ mixtures.T
    assert torch.allclose(rebuilt / rebuilt.trace(), covariance / covariance.trace(), atol=2e-3)
    assert float(mixtures.norm(dim=0).max()) == pytest.approx(1)
    unmixed = torch.linalg.inv(mixtures) @ (pixels - pixels.mean(1, keepdim=True))
    spread = torch.tensor(np.cov(unmixed.numpy()))
    assert torch.allclose(spread / spread[0, 0], torch.eye(3, dtype=torch.float64), atol=0.02)


def test_magnitudes_are_the_mean_over_the_images(net):
    images = [np.random.default_rng(k).integers(0, 256, (21, 21, 3), dtype=np.uint8) for k in range(3)]
    mixtures = torch.eye(3)
    found = mean_magnitude(net, (21, 21), mixtures, images)
    expected = np.zeros(found.shape)
    for x in net.pixels_of(images).numpy():
        for one in (x, x[:, :, ::-1]):
            expected += np.abs(np.fft.rfft2(one)) / 21 / 6
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-2)
    assert typical_strength((4, 6))[0, 0] == 6
    assert typical_strength((4, 6))[1, 0] == 4


def test_nadam_is_torchs():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    free = torch.zeros_like(target, requires_grad=True)
    known = torch.optim.NAdam([free], lr=0.3, eps=0)
    x = torch.zeros_like(target)
    solver = Nadam(x)
    for _ in range(30):
        known.zero_grad()
        (free - target).square().sum().backward()
        known.step()
        x = solver.step(x, lambda y: 2 * (y - target), 0.3)
        assert torch.allclose(x, free.detach(), atol=1e-6)


@pytest.mark.parametrize("preset", CODED)
def test_runs_of_a_code_are_made_again_and_go_on(net, preset):
    options = {"preset": preset, "steps": 12, "refine": 2, "seed": [1, 5]}
    run = cx.Maximization(net, "fc3", ["b", "d"], **options)
    for frame in run.frames():
        assert frame.x.shape == (2, 3, 21, 21)
        if frame.step == 5:
            run.settings.update(rate=0.3, jitter=2)
            state = run.state()
    made = run.result()
    again = eval(run.to_python(), {"cx": cx, "net": net})
    assert np.array_equal(again[1].picture, made[1].picture)
    assert np.array_equal(eval(made[1].to_python(), {"cx": cx, "net": net}).picture, made[1].picture)
    other = cx.Maximization(net, "fc3", ["b", "d"], **options)
    other.restore(state)
    list(other.frames())
    assert torch.equal(other.x, run.x)
    alone = cx.maximize(net, "fc3", "b", preset=preset, steps=12, seed=1, progress=False)
    one = cx.maximize(net, "fc3", ["b", "d"], preset=preset, steps=12, seed=[1, 5], progress=False)[0]
    assert torch.allclose(alone.x, one.x, atol=0.5)


@pytest.mark.parametrize("preset", CODED)
def test_the_response_rises(net, preset):
    off = {"crop": 0} if preset == "maco" else {"rotation": 0, "scaling": 0}
    run = cx.Maximization(net, "fc3", None, preset=preset, steps=25, jitter=0, settings=off)
    before = run.responses
    list(run.frames())
    assert bool((run.responses > before + 0.3).all())


def test_phases_keep_the_magnitudes_of_photographs(net):
    run = cx.Maximization(net, "fc3", 2, preset="maco", steps=10)
    list(run.frames())
    made = run._canvas.parameterization
    shown = (run.x + made.mean) / 255
    colours = (torch.logit(shown) - torch.logit(made.mean / 255)) * 255 / 4
    mixed = torch.einsum("cd,ndhw->nchw", torch.linalg.inv(made.mixtures), colours)
    inner = torch.fft.rfft2(mixed, norm="ortho").abs()[0, :, :, 1:]  # the first column is its own mirror image
    assert torch.allclose(inner, made.magnitude[:, :, 1:], rtol=0.02, atol=0.05 * float(made.magnitude.mean()))


def test_a_photograph_may_be_the_start_of_a_code(net):
    image = np.random.default_rng(0).integers(40, 200, (21, 21, 3), dtype=np.uint8)
    run = cx.Maximization(net, "fc3", 1, preset="lucid", init=image, steps=3)
    assert np.abs(run.result().picture.astype(int) - image).max() <= 1


def test_what_does_not_fit_is_said(net, refused):
    refused(cx.SettingError, lambda: cx.maximize(net, "fc3", 1, preset="nature"), "'nature'", "'natural'")
    refused(cx.SettingError, lambda: cx.maximize(net, "fc3", 1, preset="maco", alpha=3), "alpha", "'maco'")
    refused(cx.SettingError, lambda: cx.maximize(net, "fc3", 1, preset="lucid", solver="spectral"), "'nadam'")
