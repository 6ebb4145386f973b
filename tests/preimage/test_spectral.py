"""The fast solver against its formulae in float64 with every matrix written out, and what makes it steerable."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.preimage.solvers import Spectral, _fast_length

SIDE = 11  # a prime: the transform is of the next quick length, 12
IMAGE = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 6, 3, 1, 1), nn.ReLU(), nn.Conv2d(6, 4, 3, 2, 1))
    return cx.Network(module, size=SIDE, pixels=cx.Pixels("RGB", (104, 117, 123), (50, 60, 70)))


def literal_blur(side, padded):
    """W of one channel as a matrix over (row, column) pairs: pad, transform, weight by 1/sqrt(f), back, cut."""
    k = np.arange(padded)
    fourier = np.exp(-2j * np.pi * np.outer(k, k) / padded)
    frequency = np.minimum(k, padded - k) / padded
    f = np.maximum(np.hypot(frequency[:, None], frequency[None]), 1 / padded)
    half = 1 / f[:, : padded // 2 + 1]
    weight = f**-0.5 / math.sqrt(half.mean())
    columns = []
    for row in range(side):
        for column in range(side):
            image = np.zeros((padded, padded))
            image[row, column] = 1
            spectrum = fourier @ image @ fourier.T * weight
            back = fourier.conj() @ spectrum @ fourier.conj().T / padded**2
            columns.append(back[:side, :side].real.ravel())
    return np.array(columns).T


@given(st.integers(3, 9), st.integers(0, 2**32 - 1))
def test_the_blur_is_the_matrix_and_symmetric(side, seed):
    x = np.random.default_rng(seed).standard_normal((2, side, side))
    solver = Spectral(torch.zeros(1, 2, side, side))
    found = solver._blur(torch.from_numpy(x).float()[None])[0].numpy()
    W = literal_blur(side, _fast_length(side))
    assert np.allclose(W, W.T)
    assert np.linalg.eigvalsh(W).min() > 0, "nothing is lost: every picture can still be reached"
    np.testing.assert_allclose(found, (W @ x.reshape(2, -1).T).T.reshape(x.shape), atol=1e-4)


@given(st.integers(1, 3000))
def test_a_quick_length_is_the_next_even_one_without_large_factors(side):
    quick = _fast_length(side)
    smooth = {2**a * 3**b * 5**c for a in range(1, 13) for b in range(8) for c in range(6)}
    assert quick == min(length for length in smooth if length >= side)


def literal(net, first, energy_slope, steps, since):
    """x <- x - 0.05 B / 2 W (a m + (1 - a) g) / w / sqrt(v / (1 - 0.9^n)), with g = W grad E.

    n: steps so far; k: steps since a setting changed; a = 1 - 8 / (k + 80); m, w: running means of g and of 1.
    """
    W = literal_blur(SIDE, _fast_length(SIDE))

    def blur(t):
        return (t.reshape(3, -1) @ W.T).reshape(t.shape)

    x, m, v, w, out = first.copy(), 0 * first, 0 * first, 0, []
    for n in range(steps):
        k = since(n)
        a = 1 - 8 / (k + 80)
        g = blur(energy_slope(x))
        m, w, v = a * m + (1 - a) * g, a * w + (1 - a), 0.9 * v + 0.1 * g * g
        size = 0.05 * net.pixels.norm / 2
        x = x - size * blur((a * m + (1 - a) * g) / w / np.sqrt(v / (1 - 0.9 ** (n + 1))))
        length = np.sqrt((x * x).sum(0, keepdims=True))
        x = x * np.minimum(1, 2 * net.pixels.norm / length)
        out.append(x)
    return out


def test_it_is_its_formulae(net):
    run = cx.Inversion(net, IMAGE, "conv2", C=20, jitter=1, steps=40, refine=0, seed=3, schedule={15: {"C": 200}})
    assert run.solver_name == "spectral"
    module = nn.Sequential(*(type(m)(*a) for m, a in ((net.module[0], (3, 6, 3, 1, 1)), (nn.ReLU(), ())))).double()
    module.append(nn.Conv2d(6, 4, 3, 2, 1).double())
    module.load_state_dict(net.module.state_dict())
    target = module(net.pixels.feed(net.pixels_of(IMAGE).double())).detach()
    B, N, C = net.pixels.norm, SIDE * SIDE, [20.0]

    def slope(x):
        t = torch.from_numpy(x)[None].requires_grad_()
        data = (module(net.pixels.feed(t)) - target).square().sum() / target.square().sum()
        alpha = (t.square().sum(1) ** 3).sum() / (N * B**6)
        down, right = t[..., 1:, :] - t[..., :-1, :], t[..., 1:] - t[..., :-1]
        tv = (down.square().sum() + right.square().sum()) / (N * (B / 6.5) ** 2)
        return torch.autograd.grad(C[0] * data + alpha + tv, t)[0][0].numpy()

    def since(n):
        C[0] = 20.0 if n < 15 else 200.0
        return n if n < 15 else n - 15

    first = run.canvas[0].double().numpy()
    noise = run.variant.init([torch.Generator().manual_seed(3)], 3, (SIDE, SIDE))[0].double().numpy()
    W = literal_blur(SIDE, _fast_length(SIDE))
    np.testing.assert_allclose(first, (noise.reshape(3, -1) @ W.T).reshape(first.shape) / 6, atol=1e-3)
    for frame, expected in zip(run.frames(), literal(net, first, slope, 40, since), strict=True):
        found = frame.x[0].double().numpy()
        assert np.linalg.norm(found - expected) <= 1e-3 * np.linalg.norm(expected), frame.step


def test_it_does_not_depend_on_how_long_it_will_run(net):
    short = cx.Inversion(net, IMAGE, "conv2", steps=7, refine=0)
    long = cx.Inversion(net, IMAGE, "conv2", steps=500)
    for _ in range(7):
        a, b = short.advance(), long.advance()
    assert torch.equal(a.x, b.x)


@pytest.mark.parametrize("layer", ["relu1", "conv2"])
def test_it_is_below_algorithm_1_long_before(net, layer):
    def energy(solver, steps):
        run = cx.Inversion(net, IMAGE, layer, jitter=1, steps=steps, refine=0, solver=solver)
        list(run.frames())
        return run.history["energy"][-1]

    assert energy("spectral", 100) < 1.02 * energy("adagrad", 300)


@pytest.mark.parametrize("solver", ["spectral", "nadam", "adagrad"])
@pytest.mark.parametrize("layer", ["relu2", "conv5"])
def test_nothing_jumps_where_the_refinement_begins(layer, solver):
    net = cx.load("worldnet", device="cpu")
    run = cx.Inversion(net, cx.scene(7).image, layer, steps=60, refine=10, solver=solver)
    for _ in run.frames():
        pass
    records = run.records(0)
    for term in ("energy", "data"):
        before, after = records[term][50:60, 0], records[term][60:, 0]
        assert after.max() <= before.max() * 1.2, "the first steps without jitter are not longer than those before"
        assert after[-1] < before.min(), term
