"""Losses and priors against loops over components in float64, their gradients against autograd and differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cnnexplore as cx
from cnnexplore.preimage import Run, Values
from cnnexplore.preimage.losses import Euclidean
from cnnexplore.preimage.priors import BoundedRange, Scale, TotalVariation, initial_noise, project

PARAMETERS = Run.parameters_for()
ALPHAS = [1, 1.5, 2, 3, 6, 12, 20]
BETAS = [1, 1.5, 2, 2.7, 3]
SCALE = Scale(80.0, 30)


def slow_range(x, alpha, B, N):
    """Equation 5: 1/(N B^alpha) sum_uv (sum_k x_uvk^2)^(alpha/2)."""
    total = 0.0
    channels, height, width = x.shape
    for v in range(height):
        for u in range(width):
            total += sum(float(x[k, v, u]) ** 2 for k in range(channels)) ** (alpha / 2)
    return total / (N * B**alpha)


def slow_tv(x, beta, V, N):
    """1/(N V^beta) sum_uvk (dx^2 + dy^2)^(beta/2); for beta < 2 below 1e-6 its tangent there."""
    total = 0.0
    channels, height, width = x.shape
    for k in range(channels):
        for v in range(height):
            for u in range(width):
                down = float(x[k, v + 1, u] - x[k, v, u]) if v + 1 < height else 0.0
                right = float(x[k, v, u + 1] - x[k, v, u]) if u + 1 < width else 0.0
                s = down**2 + right**2
                if beta < 2 and s < 1e-6:
                    total += 1e-6 ** (beta / 2) + beta / 2 * 1e-6 ** (beta / 2 - 1) * (s - 1e-6)
                else:
                    total += s ** (beta / 2)
    return total / (N * V**beta)


def torch_range(x, alpha, scale):
    return (x.square().sum(1) ** (alpha / 2)).flatten(1).sum(1) / (scale.N * scale.B**alpha)


def torch_tv(x, beta, scale):
    down = torch.cat([x[..., 1:, :] - x[..., :-1, :], torch.zeros_like(x[..., :1, :])], -2)
    right = torch.cat([x[..., 1:] - x[..., :-1], torch.zeros_like(x[..., :1])], -1)
    # the last pixel's differences are always 0, where autograd has no derivative of a root
    square = (down**2 + right**2).flatten(2)[..., :-1]
    return (square ** (beta / 2)).flatten(1).sum(1) / (scale.N * scale.V**beta)


def noise(*shape, seed=0, spread=60.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * spread


def run_prior(prior, x, scale=SCALE, **values):
    gradient = torch.zeros_like(x)
    return prior(x, Values(PARAMETERS, **values), scale, gradient), gradient


def differences(f, x, h=1e-3):
    """Central differences of a function that gives (N,), component by component."""
    out = torch.zeros_like(x)
    for place in np.ndindex(*x.shape):
        up, down = x.clone(), x.clone()
        up[place] += h
        down[place] -= h
        out[place] = float((f(up) - f(down)).sum()) / (2 * h)
    return out


def close(a, b, tolerance=1e-9):
    a, b = (torch.as_tensor(t, dtype=torch.float64) for t in (a, b))
    assert a.shape == b.shape
    assert float((a - b).norm()) <= tolerance * max(float(b.norm()), 1e-12)


def test_the_scale_is_the_papers():
    assert pytest.approx(80 / 6.5) == Scale(80.0, 10).V
    assert Scale(80.0, 10).bound == 160


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("alpha", ALPHAS)
def test_bounded_range_is_equation_5(alpha, channels):
    x = noise(2, channels, 5, 6)
    value, gradient = run_prior(BoundedRange(), x, alpha=alpha)
    close(value, [slow_range(one.numpy(), alpha, SCALE.B, SCALE.N) for one in x])
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(torch_range(leaf, alpha, SCALE).sum(), leaf)
    close(gradient, expected)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("beta", BETAS)
def test_total_variation_is_the_papers(beta, channels):
    x = noise(2, channels, 5, 6)
    value, gradient = run_prior(TotalVariation(), x, beta=beta)
    close(value, [slow_tv(one.numpy(), beta, SCALE.V, SCALE.N) for one in x])
    leaf = x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(torch_tv(leaf, beta, SCALE).sum(), leaf)
    close(gradient, expected)


shapes = st.tuples(st.integers(1, 2), st.sampled_from([1, 3]), st.integers(1, 4), st.integers(1, 4))


@given(shapes, st.floats(1, 20), st.floats(1, 3), st.integers(0, 999), st.sampled_from([1.0, 60.0]))
def test_values_and_gradients_of_the_priors(shape, alpha, beta, seed, spread):
    x = noise(*shape, seed=seed, spread=spread)
    for prior, slow in (
        (BoundedRange(), lambda one: slow_range(one, alpha, SCALE.B, SCALE.N)),
        (TotalVariation(), lambda one: slow_tv(one, beta, SCALE.V, SCALE.N)),
    ):
        value, gradient = run_prior(prior, x, alpha=alpha, beta=beta)
        close(value, [slow(one.numpy()) for one in x])
        close(gradient, differences(lambda z, p=prior: run_prior(p, z, alpha=alpha, beta=beta)[0], x), 2e-4)


@pytest.mark.parametrize("beta", BETAS)
def test_total_variation_of_flat_and_almost_flat_images(beta):
    """Where the floor of 1e-6 acts: finite everywhere, and the gradient is that of the value."""
    flat = torch.full((1, 3, 4, 4), 7.0, dtype=torch.float64)
    value, gradient = run_prior(TotalVariation(), flat, beta=beta)
    close(value, [slow_tv(flat[0].numpy(), beta, SCALE.V, SCALE.N)])
    assert not gradient.any()
    almost = flat + noise(1, 3, 4, 4, spread=3e-4)
    value, gradient = run_prior(TotalVariation(), almost, beta=beta)
    close(value, [slow_tv(almost[0].numpy(), beta, SCALE.V, SCALE.N)])
    energy = lambda z: run_prior(TotalVariation(), z, beta=beta)[0]  # noqa: E731
    close(gradient, differences(energy, almost, 1e-8), 1e-3)


@pytest.mark.parametrize("alpha", ALPHAS)
def test_bounded_range_has_no_gradient_at_zero(alpha):
    value, gradient = run_prior(BoundedRange(), torch.zeros(1, 3, 2, 2), alpha=alpha)
    assert value.item() == 0
    assert not gradient.any()


@pytest.mark.parametrize("alpha", ALPHAS)
@pytest.mark.parametrize("B", [80.0, 128.0])
def test_bounded_range_in_float32_up_to_the_hard_bound(alpha, B):
    """Every alpha that the settings allow must survive float32 on every canvas that the projection allows."""
    scale = Scale(B, 224 * 224)
    x = project(noise(1, 3, 16, 16, spread=B), scale.bound)
    value, gradient = run_prior(BoundedRange(), x.float(), scale, alpha=alpha)
    leaf = x.clone().requires_grad_()
    energy = torch_range(leaf, alpha, scale)
    (expected,) = torch.autograd.grad(energy.sum(), leaf)
    close(value.double(), energy.detach(), 1e-5)
    close(gradient.double(), expected, 1e-5)


@pytest.mark.parametrize("beta", BETAS)
def test_total_variation_in_float32_up_to_the_hard_bound(beta):
    scale = Scale(80.0, 224 * 224)
    x = project(noise(1, 3, 12, 12, spread=80.0), scale.bound)
    value, gradient = run_prior(TotalVariation(), x.float(), scale, beta=beta)
    exact, slope = run_prior(TotalVariation(), x, scale, beta=beta)
    close(value.double(), exact, 1e-5)
    close(gradient.double(), slope, 1e-5)


@pytest.mark.parametrize("prior", [BoundedRange(), TotalVariation()])
def test_a_prior_adds_to_the_gradient_and_leaves_the_image(prior):
    x = noise(2, 3, 4, 5)
    kept, before = x.clone(), noise(2, 3, 4, 5, seed=1)
    gradient = before.clone()
    prior(x, Values(PARAMETERS, beta=1.5), SCALE, gradient)
    close(gradient - before, run_prior(prior, x, beta=1.5)[1])
    assert torch.equal(x, kept)


@pytest.mark.parametrize("prior", [BoundedRange(), TotalVariation()])
def test_a_batch_is_its_images(prior):
    x = noise(3, 3, 4, 5)
    value, gradient = run_prior(prior, x, alpha=5, beta=1.7)
    for k in range(3):
        alone, slope = run_prior(prior, x[k : k + 1], alpha=5, beta=1.7)
        close(value[k : k + 1], alone)
        close(gradient[k : k + 1], slope)


def slow_loss(code, reference, mask):
    """Equations 2 and 3: ||M (Phi - Phi0)||^2 / ||M Phi0||^2."""
    above = below = 0.0
    for place in np.ndindex(*code.shape):
        above += (mask[place] * (code[place] - reference[place])) ** 2
        below += (mask[place] * reference[place]) ** 2
    return above / below


MASKS = {
    "none": None,
    "whole": np.random.default_rng(0).random((4, 3, 5)),
    "positions": (np.arange(15).reshape(3, 5) % 3 > 0).astype(float),
    "channels": np.array([1.0, 0.0, 2.0, 0.5])[:, None, None],
    "per image": np.random.default_rng(1).integers(0, 2, (2, 4, 3, 5)),
    "a tensor": torch.rand(3, 5, generator=torch.Generator().manual_seed(2)),
    "booleans": np.arange(5) > 1,
}


@pytest.mark.parametrize("name", MASKS)
def test_euclidean_is_equations_2_and_3(name):
    mask = MASKS[name]
    reference, code = noise(2, 4, 3, 5, spread=2), noise(2, 4, 3, 5, seed=1, spread=2)
    full = np.broadcast_to(np.float32(1 if mask is None else mask), (2, 4, 3, 5)).astype(np.float64)
    loss, gradient = Euclidean(reference, mask)(code)
    close(loss, [slow_loss(code[k].numpy(), reference[k].numpy(), full[k]) for k in range(2)])
    leaf, m = code.clone().requires_grad_(), torch.from_numpy(full)
    energy = (m * (leaf - reference)).square().flatten(1).sum(1) / (m * reference).square().flatten(1).sum(1)
    (expected,) = torch.autograd.grad(energy.sum(), leaf)
    close(gradient, expected)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=4), st.integers(0, 999), st.booleans())
def test_values_and_gradients_of_the_euclidean_loss(shape, seed, masked):
    reference, code = noise(*shape, seed=seed, spread=3), noise(*shape, seed=seed + 1, spread=3)
    mask = noise(*shape[1:], seed=seed + 2).abs().numpy() + 0.1 if masked else None
    loss = Euclidean(reference, mask)
    gradient = loss(code)[1].clone()  # the next call may overwrite it
    close(gradient, differences(lambda z: loss(z)[0], code), 1e-6)
    assert loss(reference)[0].tolist() == [0.0] * shape[0]


def test_euclidean_refuses(refused):
    code = noise(1, 2, 3, 3)
    refused(cx.LayerError, lambda: Euclidean(torch.zeros(1, 2, 3, 3)), "zero")
    refused(cx.LayerError, lambda: Euclidean(code, np.zeros((3, 3))), "zero under the mask")
    refused(cx.LayerError, lambda: Euclidean(torch.stack([code[0], 0 * code[0]])), "zero")
    refused(cx.LayerError, lambda: Euclidean(code * math.nan), "not finite")
    refused(cx.SettingError, lambda: Euclidean(code, np.ones((4, 4))), "2 x 3 x 3")
    refused(cx.SettingError, lambda: Euclidean(code, "left half"), "mask")
    refused(cx.SettingError, lambda: Euclidean(code, np.full((3, 3), math.inf)), "not finite")
    refused(cx.LayerError, lambda: Euclidean(code)(code[..., :2]), "(2, 3, 2)", "(2, 3, 3)")


@given(shapes, st.integers(0, 999), st.sampled_from([80.0, 128.0, 80 / math.sqrt(3), 33.3]))
def test_projection(shape, seed, B):
    bound = 2 * B
    x = noise(*shape, seed=seed, spread=2 * B).float()
    y = project(x.clone(), bound)
    for n, v, u in np.ndindex(shape[0], *shape[2:]):
        before, after = x[n, :, v, u], y[n, :, v, u]
        length = math.sqrt(sum(float(c) ** 2 for c in before))
        assert math.sqrt(sum(float(c) ** 2 for c in after)) <= bound * (1 + 1e-6)
        if length <= bound:
            close(after, before, 1e-6)
        else:
            close(after, before * (bound / length), 1e-6)


def test_projection_leaves_short_pixels_to_the_bit():
    for B in (80.0, 128.0, 80 / math.sqrt(3)):
        x = noise(2, 3, 16, 16, spread=B / 4).float()
        assert float(x.square().sum(1).sqrt().max()) < 2 * B
        y = x.clone()
        for _ in range(350):  # a run's worth: what is lost each time adds up
            y = project(y, 2 * B)
        assert torch.equal(y, x)


@pytest.mark.parametrize("channels", [1, 3])
def test_start_is_noise_over_its_95th_percentile(channels):
    scale = Scale(80.0 if channels == 3 else 128.0, 32 * 40)
    seeds = (0, 7)
    x = initial_noise([torch.Generator().manual_seed(s) for s in seeds], channels, (32, 40), scale)
    assert x.shape == (2, channels, 32, 40)
    for one, seed in zip(x, seeds, strict=True):
        uniform = torch.rand(channels, 32, 40, generator=torch.Generator().manual_seed(seed)).double() * 2 - 1
        ranked = sorted(uniform.flatten().tolist())
        percentile = ranked[math.ceil(0.95 * len(ranked)) - 1]
        close(one.double(), uniform / percentile * scale.B / math.sqrt(channels), 1e-6)
        assert abs(float((one <= scale.B / math.sqrt(channels) * (1 + 1e-6)).double().mean()) - 0.95) < 1 / one.numel()
        assert abs(percentile - 0.9) < 0.05  # of a uniform variable on (-1, 1)
    assert not torch.equal(x[0], x[1])
