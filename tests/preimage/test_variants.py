"""The method of 2015 against a literal float64 version of its formulae, step by step."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx

IMAGE = np.random.default_rng(1).integers(0, 256, (12, 12, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 4, 3, 1, 1))
    return cx.Network(module, size=12, pixels=cx.Pixels("RGB", (), (50.0, 50.0, 50.0)))


def literal(net, layers, first, steps, s2, weight):
    """E = data + lambda_alpha/2 sum x^6 / s^2 + lambda_TV/2 sum TV / s^2; momentum 0.9 on s^2 times its gradient."""
    module = nn.Sequential(*list(net.module)[:layers]).double()
    target = module(net.pixels.feed(net.pixels_of(IMAGE).double())).detach()
    x, mu, rows = first.double(), torch.zeros_like(first.double()), []
    for step in range(steps):
        x.requires_grad_()
        data = (module(net.pixels.feed(x)) - target).square().sum() / target.square().sum()
        alpha = 8e-10 / 2 * (x**6).sum() / s2
        variation = x[..., 1:, :].sub(x[..., :-1, :]).square().sum() + x[..., 1:].sub(x[..., :-1]).square().sum()
        energy = data + alpha + weight / 2 * variation / s2
        rows.append([float(v.detach()) for v in (energy, data, alpha, weight / 2 * variation / s2)])
        (slope,) = torch.autograd.grad(energy, x)
        if step in (100, 300):
            mu = torch.zeros_like(mu)
        rate = 0.004 * 0.1 ** ((step >= 100) + (step >= 300))
        mu = 0.9 * mu - rate * s2 * slope
        x = (x + mu).detach()
    module.float()
    return x, np.array(rows)


@pytest.mark.parametrize(("layer", "layers", "weight"), [("conv1", 1, 1), ("relu1", 2, 1), ("conv2", 3, 10)])
def test_it_is_the_published_algorithm(net, layer, layers, weight):
    run = cx.Inversion(net, IMAGE, layer, variant="inverting2015")
    assert (run.steps, run.refine, run.solver_name, run.first.C, run.first.jitter) == (400, 0, "momentum", 1, 1)
    s2 = 27098.1**2 * 12 * 12 / (227 * 227)
    assert float(run.x.norm()) == pytest.approx(s2**0.5, rel=1e-5)
    first = run.x.clone()
    for _ in range(120):
        run.advance()
    expected, rows = literal(net, layers, first, 120, s2, weight)
    for k, name in enumerate(("energy", "data", "alpha", "tv")):
        np.testing.assert_allclose(run.history[name], rows[:, k], rtol=2e-3, atol=1e-7)
    assert float((run.x - expected).abs().max()) < 0.5


def test_its_code_remakes_it(net):
    run = cx.Inversion(net, IMAGE, "conv1", variant="inverting2015", seed=3)
    for _ in range(110):
        run.advance()
    assert "variant='inverting2015'" in run.to_python()
    again = eval(run.to_python(), {"cx": cx, "net": net, "image": IMAGE})
    assert np.array_equal(again.picture, run.result().picture)
    whole = cx.invert(net, IMAGE, "conv1", variant="inverting2015", progress=False)
    assert len(whole.history) == 400
    assert whole.error < whole.history["error"][0] / 2


def test_an_unknown_variant_gets_a_sentence(net, refused):
    refused(cx.SettingError, lambda: cx.invert(net, IMAGE, "conv1", variant="2014"), "'2014'", "'inverting2015'")
