"""Presets of a maximisation, feature accentuation, mixtures of colours, and what mattered in an image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.preimage import Settings, Values, presets
from cnnexplore.preimage.colours import colour_mixtures
from cnnexplore.preimage.presets import preset_of
from cnnexplore.preimage.result import faded
from cnnexplore.preimage.solvers import Spectral

IMAGE = np.random.default_rng(3).integers(0, 256, (21, 21, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 6, 5, 2), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.Flatten(), nn.Linear(8 * 49, 4))
    return cx.Network(module, size=21, pixels=cx.Pixels("RGB", (120, 110, 100), (1.5, 0.7, 1.2)), labels=list("abcd"))


def test_the_default_and_the_papers(net):
    assert presets() == ["natural", "paper2016", "lucid", "maco"]
    run = cx.Maximization(net, "fc3", 1, steps=2)
    assert "preset" not in run.to_python()
    assert dict(run.settings.snapshot()) == dict(preset_of("natural").settings(net, net.layers["fc3"], net.size))
    paper = cx.Maximization(net, "fc3", 1, preset="paper2016", steps=2)
    assert {p.name for p in paper.parameters} == {"C", "alpha", "beta", "jitter", "rate"}
    assert (paper.settings.alpha, paper.settings.beta, paper.settings.rate) == (6, 2, 0.05)
    small, large = (preset_of("natural").settings(net, net.layers[name], net.size) for name in ("conv1", "fc3"))
    assert small.rotation < large.rotation
    assert small.jitter < large.jitter


def test_a_unit_of_a_hidden_fully_connected_layer_weighs_more_than_a_class():
    net = cx.load("worldnet", device="cpu")
    weights = {
        name: preset_of("natural").settings(net, net.layers[name], net.size).C
        for name in ("fc6", "relu7", "fc8", "prob")
    }
    paper = preset_of("paper2016").settings(net, net.layers["relu7"], net.size).C
    assert weights == {"fc6": 4 * paper, "relu7": 4 * paper, "fc8": paper, "prob": paper}


@pytest.mark.parametrize("preset", ["natural", "paper2016", "lucid", "maco"])
def test_settings_of_ones_own_are_in_the_python(net, preset):
    own = {"natural": {"rotation": 10, "beta": 2}, "paper2016": {"beta": 1.5}, "lucid": {"rotation": 10},
           "maco": {"rate": 0.05, "views": 1, "crop": 0.25}}[preset]  # fmt: skip
    named = {name: own.pop(name) for name in ("beta", "rate") if name in own}
    run = cx.Maximization(net, "fc3", 1, preset=preset, steps=3, settings=own, **named)
    list(run.frames())
    again = eval(run.to_python(), {"cx": cx, "net": net})
    assert np.array_equal(again.picture, run.result().picture)


def test_a_mailbox_of_the_papers_settings_gives_the_papers_method(net):
    box = Settings(Values(cx.Maximization.parameters_for(), C=3))
    run = cx.Maximization(net, "fc3", 1, settings=box, steps=3)
    list(run.frames())
    assert "preset='paper2016'" in run.to_python()
    assert np.array_equal(eval(run.to_python(), {"cx": cx, "net": net}).picture, run.result().picture)


def test_images_of_ones_own_are_said_in_the_python(net):
    run = cx.Maximization(net, "fc3", 1, preset="maco", images=[IMAGE], steps=3)
    list(run.frames())
    again = eval(run.to_python(), {"cx": cx, "net": net, "images": [IMAGE]})
    assert np.array_equal(again.picture, run.result().picture)


def test_a_descent_in_mixtures_of_colours_is_that_of_their_weights(net):
    """Spectral of x = M y, by hand: the gradient times M', and the step times M."""
    mixtures = math.sqrt(3) * colour_mixtures(net)
    run = cx.Maximization(net, "fc3", 1, steps=2)
    assert torch.equal(run.solver.mixtures, mixtures)
    x = torch.zeros(1, 3, 8, 8)
    target = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    mixed, weights = Spectral(x), Spectral(x)
    mixed.mixtures = mixtures
    y = x.clone()
    for _ in range(6):
        x = mixed.step(x, lambda at: at - target, 0.1)

        def of_weights(at):
            slope = torch.einsum("dc,nchw->ndhw", mixtures, at) - target
            return torch.einsum("dc,ndhw->nchw", mixtures, slope)

        y = weights.step(y, of_weights, 0.1)
        assert torch.allclose(x, torch.einsum("dc,nchw->ndhw", mixtures, y), atol=1e-4)


def test_the_distance_in_features_is_the_literal_one(net):
    options = {"init": IMAGE, "keep": "conv1", "M": 1.0, "C": 0, "transforms": [], "jitter": 0, "steps": 3}
    run = cx.Maximization(net, "fc3", 1, settings={"closeness": 3}, **options)
    start = run.x.clone()
    x = start + 20 * torch.randn(start.shape, generator=torch.Generator().manual_seed(0))
    terms, gradient = run.energy(x, run.settings.snapshot())
    std = torch.tensor(net.pixels.std, dtype=torch.float64).view(1, 3, 1, 1)
    weight, bias = (p.double() for p in net.module[0].parameters())
    free = x.double().requires_grad_()
    kept, now = (nn.functional.conv2d(one / std, weight, bias, 2) for one in (start.double(), free))
    distance = (now - kept).square().sum() / kept.square().sum()
    (expected,) = torch.autograd.grad(3 * distance, free)
    assert terms[run.term_names.index("features")].item() == pytest.approx(3 * distance.item(), rel=1e-4)
    for prior in run.priors:
        if prior.name != "features":
            prior(x, run.settings.snapshot(), run.scale, gradient.neg_())
            gradient.neg_()
    assert torch.allclose(gradient, expected.float(), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("preset", ["natural", "lucid"])
def test_a_photograph_is_accentuated(net, preset):
    """The stronger the weight, the nearer the features; and the line makes it again, in a batch too."""
    apart, found = [], []
    for closeness in (0, 1, 1000):
        run = cx.Maximization(
            net, "fc3", ["a", "c"], init=IMAGE, keep="conv1", preset=preset, settings={"closeness": closeness}, steps=20
        )
        list(run.frames())
        kept = net.activations(IMAGE, "conv1")
        now = net.probe("conv1")(net.feed(run.x))["conv1"].detach()
        apart.append(float((now - kept).norm()))
        found.append(run.result()[1])
        again = eval(found[-1].to_python(), {"cx": cx, "net": net, "init": IMAGE})
        assert np.array_equal(again.picture, found[-1].picture)
    assert apart[0] > apart[1] > apart[2]
    assert found[0].response > found[2].response


def test_what_mattered_is_the_sum_of_the_gradients(net):
    run = cx.Maximization(
        net, "fc3", ["a", "b"], preset="maco", jitter=0, settings={"crop": 0, "views": 1, "noise": 0}, steps=5
    )
    expected = torch.zeros(2, 21, 21)
    for _ in range(5):
        expected += run.data_term(run.x)[1].abs().sum(1)
        run.advance()
    made = run.result()
    assert np.allclose(made[1].importance, expected[1].numpy(), rtol=1e-3)
    state = run.state()
    other = cx.Maximization(
        net, "fc3", ["a", "b"], preset="maco", jitter=0, settings={"crop": 0, "views": 1, "noise": 0}, steps=5
    )
    other.restore(state)
    assert torch.equal(other.importance, run.importance)
    assert cx.maximize(net, "fc3", 1, steps=2, progress=False).importance is None
    picture = np.zeros((2, 2, 3), np.uint8)
    shown = faded(picture, np.array([[0.0, 1.0], [5.0, 5.0]]))
    assert shown[0, 0].tolist() == [255] * 3
    assert shown[1].max() == 0, "fully opaque"
    assert 0 < shown[0, 1, 0] < 255
    assert np.array_equal(faded(picture, None), picture)


def test_what_does_not_fit_is_said(net, refused):
    refused(cx.SettingError, lambda: cx.maximize(net, "fc3", 1, keep="conv1"), "'conv1'", "init=")
    refused(cx.LayerNotFound, lambda: cx.maximize(net, "fc3", 1, init=IMAGE, keep="conv9"), "conv9")
    refused(cx.SettingError, lambda: cx.maximize(net, "fc3", 1, prior="generator", preset="maco"), "preset")
