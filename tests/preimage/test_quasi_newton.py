"""Quasi-Newton moves: against BFGS with whole matrices, on energies whose lowest point is known, and in runs."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import cnnexplore as cx
from cnnexplore.preimage import Euclidean, InnerProduct
from cnnexplore.preimage.quasi_newton import PAIRS, QuasiNewton
from cnnexplore.preimage.run import APPROACH


def quadratic(seed, images, condition):
    """Symmetric matrices (N, D, D) of a condition number, and lowest points (N, D)."""
    generator = torch.Generator().manual_seed(seed)
    matrices = []
    for _ in range(images):
        q, _ = torch.linalg.qr(torch.randn(12, 12, generator=generator, dtype=torch.double))
        matrices.append(q @ torch.diag(torch.logspace(0, np.log10(condition), 12, dtype=torch.double)) @ q.T)
    return torch.stack(matrices), torch.randn(images, 12, generator=generator, dtype=torch.double)


def gradient_of(matrices, lowest, x):
    return torch.einsum("nij,nj->ni", matrices, x.flatten(1) - lowest).view(x.shape)


def descend(newton, matrices, lowest, x, steps, length=0.1):
    for _ in range(steps):
        start, move = newton.move(x, gradient_of(matrices, lowest, x), length)
        x = start + move
    return x


def bfgs(pairs, gradient):
    """The move -H g, with H from whole matrices: Nocedal and Wright, equations 7.19 and 7.20."""
    eye = np.eye(len(gradient))
    s, y = pairs[-1]
    inverse = eye * (s @ y) / (y @ y)
    for s, y in pairs:
        rho = 1 / (s @ y)
        inverse = (eye - rho * np.outer(s, y)) @ inverse @ (eye - rho * np.outer(y, s)) + rho * np.outer(s, s)
    return -inverse @ gradient


@given(st.integers(0, 10_000), st.integers(1, 8))
def test_a_move_is_that_of_whole_matrices(seed, steps):
    matrices, lowest = quadratic(seed, 1, 5)
    newton, x, pairs = QuasiNewton(), torch.zeros(1, 3, 2, 2, dtype=torch.double), []
    before = None
    for k in range(steps):
        gradient = gradient_of(matrices, lowest, x)
        start, move = newton.move(x, gradient, 1e-3 if k == 0 else 1e3)  # long enough for every move
        if start is not x:  # taken back
            return
        flat = gradient.flatten().numpy()
        if before is not None:
            pairs = [*pairs, (before[1], flat - before[0])][-PAIRS:]
            assert np.allclose(move.flatten().numpy(), bfgs(pairs, flat), rtol=1e-6, atol=1e-9)
        before, x = (flat, move.flatten().numpy()), x + move


@given(st.integers(0, 10_000))
def test_it_finds_the_lowest_point(seed):
    matrices, lowest = quadratic(seed, 2, 30)
    x = descend(QuasiNewton(), matrices, lowest, torch.zeros(2, 3, 2, 2, dtype=torch.double), 80)
    assert torch.allclose(x.flatten(1), lowest, atol=1e-4)


def test_an_image_of_a_batch_moves_as_it_does_alone():
    matrices, lowest = quadratic(3, 3, 20)
    x = torch.zeros(3, 3, 2, 2, dtype=torch.double)
    together = descend(QuasiNewton(), matrices, lowest, x, 15)
    for k in range(3):
        alone = descend(QuasiNewton(), matrices[k : k + 1], lowest[k : k + 1], x[k : k + 1], 15)
        assert torch.allclose(together[k], alone[0], atol=1e-9)


def test_a_move_over_a_hill_is_taken_back_to_between():
    """On |x|^4 the curvature at the start says nothing of that near zero."""
    newton, x = QuasiNewton(), torch.full((2, 1, 1, 1), 3.0, dtype=torch.double)
    x[1] = 0.01
    energies = []
    for _ in range(40):
        start, move = newton.move(x, 4 * x**3, 5.0)
        if energies and bool((start != x).any()):
            assert bool((start + move).abs().max() <= x.abs().max())
        x = start + move
        energies.append(float((x**4).sum()))
    assert energies[-1] < 1e-6
    assert min(energies[:3]) > energies[-1]


def test_a_flat_or_bent_energy_gives_the_first_move_again():
    newton, x = QuasiNewton(), torch.zeros(1, 1, 2, 2)
    slope = torch.tensor([[[[1.0, -2.0], [3.0, 4.0]]]])
    for _ in range(3):  # the gradient does not change, or as in a peak
        start, move = newton.move(x, slope, 0.5)
        assert torch.equal(move, -0.5 * slope.sign())
        x, slope = start + move, slope * 1.5
    newton.clear()
    assert newton.state() == {}


def test_it_goes_on_from_its_state():
    matrices, lowest = quadratic(5, 2, 20)
    x = torch.zeros(2, 3, 2, 2, dtype=torch.double)
    first = QuasiNewton()
    x = descend(first, matrices, lowest, x, 7)
    other = QuasiNewton()
    other.restore(copy.deepcopy(first.state()))
    assert torch.equal(descend(first, matrices, lowest, x, 7), descend(other, matrices, lowest, x, 7))


# in a run


@pytest.fixture(scope="module")
def net():
    return cx.load("photonet", device="cpu")


def energy(run):
    values = run.settings.snapshot()
    priors = sum(float(prior(run.x, values, run.scale, torch.zeros_like(run.x)).sum()) for prior in run.priors)
    return values.C * float(run.data_term(run.x)[0].sum()) + priors


@pytest.mark.parametrize("layer", ["conv3", "relu4", "fc6"])
def test_twenty_moves_come_further_than_thirty_two_steps_of_adam(net, layer, monkeypatch):
    new = cx.Inversion(net, cx.photograph("cat"), layer)
    monkeypatch.setattr(cx.Inversion, "_approach", 0)
    old = cx.Inversion(net, cx.photograph("cat"), layer)
    for _ in range(32):
        old.advance()
    monkeypatch.undo()
    for _ in range(20):
        new.advance()
    assert energy(new) < energy(old)


def test_a_change_of_a_setting_forgets_the_moves_and_the_energy_falls(net):
    run = cx.Inversion(net, cx.photograph("cat"), "conv3")
    for _ in range(10):
        run.advance()
    run.settings.update(C=run.settings.C / 10, beta=1.5)
    before = energy(run)
    for _ in range(10):
        run.advance()
    assert energy(run) < before


def test_the_approach_has_no_shifts_and_ends(net):
    run = cx.Inversion(net, cx.photograph("cat"), "pool5", steps=APPROACH + 3, refine=1)
    assert run.settings.jitter > 1
    borders = []
    for _ in run.frames():
        borders.append((run.canvas.shape[-1] - run.x.shape[-1], run.solver._newton is not None))
    assert borders == [(0, True)] * APPROACH + [(run.settings.jitter - 1, False)] * 3 + [(0, False)]


def test_a_short_run_is_all_approach_and_its_energy_never_rises_at_the_refinement(net):
    run = cx.Inversion(net, cx.photograph("cat"), "conv3", steps=20, refine=15)
    energies = [energy(run) for _ in run.frames()]
    assert run.solver._newton is not None
    assert energies[-1] < energies[19] < energies[10]
    assert max(np.diff(energies[18:])) < 0.05 * energies[19]


def test_what_has_no_lowest_point_is_moved_as_before(net):
    response = cx.Maximization(net, "relu3", 0)
    assert response._approach == 0
    weights = torch.ones(net.activations(cx.photograph("cat"), "conv4").shape)
    run = cx.Inversion(net, cx.photograph("cat"), "conv4")
    assert run._approach == APPROACH
    run.loss = Euclidean(weights) + 0.1 * InnerProduct(weights, 1.0)
    assert run._approach == 0
    assert cx.Inversion(net, cx.photograph("cat"), "conv4", solver="adagrad")._approach == 0
    assert cx.Inversion(net, cx.photograph("cat"), "conv4", jitter=1)._approach == 0


def test_a_run_that_is_saved_in_the_approach_goes_on_to_the_bit(net):
    run, other = (cx.Inversion(net, cx.photograph("cat"), "conv4", steps=90, refine=2) for _ in range(2))
    for _ in range(9):
        run.advance()
    other.restore(copy.deepcopy(run.state()))
    for _ in range(4):
        assert torch.equal(run.advance().x, other.advance().x)
