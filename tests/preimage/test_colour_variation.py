"""The variation of colours: the literal sum in float64, its gradient, and what it does to pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.data import bundled_images
from cnnexplore.preimage import Scale
from cnnexplore.preimage.colour_variation import ColourVariation
from cnnexplore.preimage.colours import colours_of


@pytest.fixture(scope="module", params=["RGB", "BGR"])
def net(request):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 6, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 81, 4))
    return cx.Network(module, size=21, pixels=cx.Pixels(request.param, (120, 110, 100), (1.5, 0.7, 1.2)))


def literal_colours(x):
    """Directions and mean gradients of the mixtures of colours of images (n, C, H, W), pixel by pixel."""
    channels = x.shape[1]
    pixels = [x[n, :, i, j] for n in range(len(x)) for i in range(x.shape[2]) for j in range(x.shape[3])]
    mean = sum(pixels) / len(pixels)
    covariance = sum(np.outer(p - mean, p - mean) for p in pixels) / len(pixels)
    variances, directions = np.linalg.eigh(covariance)
    directions = directions[:, np.argsort(-variances)]
    slopes = np.zeros(channels)
    for k in range(channels):
        for n in range(len(x)):
            y = np.tensordot(directions[:, k], x[n], 1)
            slopes[k] += np.square(np.diff(y, axis=0)).sum() + np.square(np.diff(y, axis=1)).sum()
    return directions, np.sqrt(slopes / len(pixels))


def literal_variation(x, directions, slopes, beta, weight, count):
    """The term of one image (C, H, W), pixel by pixel."""
    total = 0.0
    for k in range(1, len(slopes)):
        y = np.tensordot(directions[:, k], x, 1) / slopes[k]
        for i in range(y.shape[0]):
            for j in range(y.shape[1]):
                down = y[i + 1, j] - y[i, j] if i + 1 < y.shape[0] else 0.0
                right = y[i, j + 1] - y[i, j] if j + 1 < y.shape[1] else 0.0
                square = down**2 + right**2
                if beta < 2 and square < 1e-6:  # continued by its tangent
                    total += 1e-6 ** (beta / 2) + beta / 2 * 1e-6 ** (beta / 2 - 1) * (square - 1e-6)
                else:
                    total += square ** (beta / 2)
    return weight * total / (count * (len(slopes) - 1))


@pytest.mark.parametrize("beta", [1.0, 1.5, 2.0, 2.5])
def test_it_is_the_literal_sum(net, beta):
    images = [np.random.default_rng(k).integers(0, 256, (21, 21, 3), dtype=np.uint8) for k in range(2)]
    directions, slopes = literal_colours(net.pixels_of(images).double().numpy())
    run = cx.Maximization(net, "fc2", 1, images=images, beta=beta, settings={"colour": 3}, steps=1)
    term = next(prior for prior in run.priors if prior.name == "colour")
    x = 40 * torch.randn(2, 3, 7, 6, generator=torch.Generator().manual_seed(1))
    x[0, :, :3] = 5.0  # a part without any variation
    scale, values = Scale(80.0, 50), run.settings.snapshot()
    gradient = torch.ones_like(x)
    found = term(x, values, scale, gradient)
    for k in range(2):
        assert found[k].item() == pytest.approx(
            literal_variation(x[k].double().numpy(), directions, slopes, beta, 3, 50), rel=1e-4
        )
    far, step = x[1].double().numpy(), 1e-4
    for place in [(0, 2, 3), (1, 0, 0), (2, 6, 5), (1, 6, 0)]:
        moved = [far.copy(), far.copy()]
        for sign, one in zip((1, -1), moved, strict=True):
            one[place] += sign * step
        up, down = (literal_variation(one, directions, slopes, beta, 3, 50) for one in moved)
        assert gradient[1][place].item() - 1 == pytest.approx((up - down) / (2 * step), rel=1e-2, abs=1e-6)


def test_it_is_its_weight_for_the_images_that_it_was_measured_on(net):
    term = ColourVariation(colours_of(net), net.device)
    x = net.pixels_of(bundled_images(net))
    values = cx.Maximization(net, "fc2", 1, beta=2, settings={"colour": 5}, steps=1).settings.snapshot()
    assert term(x, values, Scale(80.0, 21 * 21), torch.zeros_like(x)).mean().item() == pytest.approx(5, rel=1e-4)


def test_grey_has_none_and_no_weight_costs_nothing(net):
    run = cx.Maximization(net, "fc2", 1, settings={"colour": 5}, steps=1)
    term = next(prior for prior in run.priors if prior.name == "colour")
    colours = colours_of(net)
    noise = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    grey = 60 * colours.directions[:, :1].float().view(1, 3, 1, 1) * noise
    gradient = torch.zeros_like(grey)
    assert term(grey, run.settings.snapshot().replace(beta=2.0), run.scale, gradient).max().item() < 1e-6
    assert gradient.abs().max().item() < 1e-6
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    assert term(x, run.settings.snapshot().replace(colour=0.0), run.scale, gradient).tolist() == [0, 0]


def variation(picture):
    """The mean difference of neighbouring pixels, of grey and of what is left of the colours."""
    x = picture.astype(float)
    grey = x.mean(2, keepdims=True)
    return [np.abs(np.diff(y, axis=0)).mean() + np.abs(np.diff(y, axis=1)).mean() for y in (grey, x - grey)]


def test_colours_vary_less_when_it_weighs_more_and_the_line_makes_it_again():
    net, parts = cx.load("worldnet", device="cpu"), []
    for weight in (0, 3, 100):
        run = cx.Maximization(net, "relu3", 40, settings={"colour": weight}, steps=25)
        list(run.frames())
        grey, colour = variation(run.result().picture)
        parts.append(colour / grey)
        assert np.array_equal(eval(run.to_python(), {"cx": cx}).picture, run.result().picture)
        assert run.responses.item() > 0
    assert parts[0] > 1.1 * parts[1] > 1.1**2 * parts[2]


def test_a_network_of_one_channel_has_no_such_term():
    net = cx.load("lenet", device="cpu")
    run = cx.Maximization(net, "conv4", 3, steps=2)
    list(run.frames())
    assert "colour" not in run.term_names


def test_images_without_colour_give_pictures_without():
    net = cx.load("worldnet", device="cpu")
    ramp = np.broadcast_to(np.linspace(0, 255, 96).astype(np.uint8)[:, None, None], (96, 96, 3))
    colours = colours_of(net, [ramp, ramp[::-1]])
    assert colours.slopes.tolist()[1:] == pytest.approx([1, 1])
    assert colours.directions[:, 0].tolist() == pytest.approx([3**-0.5] * 3)
