"""Transformations of the image: resampling by hand in float64, its gradient, draws, runs, batches and states."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.preimage import Crop, Noise, Parameter, Rotation, Run, Scaling, Transformation
from cnnexplore.preimage.settings import Values
from cnnexplore.preimage.transformations import View, draw_changes, places_of

ALL = (Scaling(), Rotation(), Crop(), Noise())
PARAMETERS = Run.parameters_for(transforms=ALL)


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 6, 5, 2), nn.ReLU(), nn.Conv2d(6, 8, 3), nn.Flatten(), nn.Linear(8 * 49, 4))
    return cx.Network(module, size=21, pixels=cx.Pixels("RGB", (120, 110, 100), (1.5, 0.7, 1.2)), labels=list("abcd"))


def literal_view(x, matrix, centre):
    """Bilinear resampling, place by place: what is beyond the edge is 0."""
    channels, height, width = x.shape
    out = torch.zeros_like(x)

    def pixel(k, row, column):
        return float(x[k, row, column]) if 0 <= row < height and 0 <= column < width else 0.0

    for row in range(height):
        for column in range(width):
            right, down = column - centre[1], row - centre[0]
            from_x = float(matrix[0, 0]) * right + float(matrix[0, 1]) * down + float(matrix[0, 2]) + centre[1]
            from_y = float(matrix[1, 0]) * right + float(matrix[1, 1]) * down + float(matrix[1, 2]) + centre[0]
            left, top = math.floor(from_x), math.floor(from_y)
            share_x, share_y = from_x - left, from_y - top
            for k in range(channels):
                out[k, row, column] = (
                    pixel(k, top, left) * (1 - share_y) * (1 - share_x)
                    + pixel(k, top, left + 1) * (1 - share_y) * share_x
                    + pixel(k, top + 1, left) * share_y * (1 - share_x)
                    + pixel(k, top + 1, left + 1) * share_y * share_x
                )
    return out


@given(st.integers(0, 1000), st.integers(3, 9), st.integers(3, 9))
def test_a_view_is_the_image_resampled_by_hand(seed, height, width):
    generator = torch.Generator().manual_seed(seed)
    values = Values(PARAMETERS, rotation=90, scaling=0.8, crop=0.6)
    x = torch.randn(2, 3, height, width, generator=generator, dtype=torch.float64)
    both = [generator, torch.Generator().manual_seed(seed + 1)]
    maps, noise = draw_changes(ALL, both, values, (3, height, width))
    centre = (0.3 * height, 0.6 * width)
    places = places_of(maps, x.shape[2:], centre)
    view = View(x, places, noise)
    for k in range(2):
        assert torch.allclose(view.seen[k], literal_view(x[k], maps[k], centre) + noise[k], atol=1e-9)
    slope = torch.randn(x.shape, generator=generator, dtype=torch.float64)
    moved = torch.randn(x.shape, generator=generator, dtype=torch.float64)  # a view is linear: <V m, s> = <m, V' s>
    assert float((View(moved, places).seen * slope).sum()) == pytest.approx(
        float((moved * view.pull(slope)).sum()), abs=1e-9
    )


def test_draws_are_what_they_say():
    generator = torch.Generator().manual_seed(0)
    values = Values(PARAMETERS, rotation=25, scaling=0.5, crop=0.4)
    turns, sizes, sides, middles = [], [], [], []
    for _ in range(2000):
        turn = Rotation().draw(generator, values, (40, 60))
        assert float(torch.linalg.det(turn)) == pytest.approx(1)
        turns.append(math.degrees(math.atan2(turn[1, 0], turn[0, 0])))
        sizes.append(1 / float(Scaling().draw(generator, values, (40, 60))[0, 0]))
        part = Crop().draw(generator, values, (40, 60))
        sides.append(float(part[0, 0]))
        middles.append((float(part[1, 2]) / 40, float(part[0, 2]) / 60))
    assert -25 <= min(turns) < -24 < 24 < max(turns) <= 25
    assert np.mean(turns) == pytest.approx(0, abs=1)
    assert 1 / 1.5 <= min(sizes) < 0.68 < 1.48 < max(sizes) <= 1.5
    assert np.mean(np.log(sizes)) == pytest.approx(0, abs=0.02)
    assert 0.4 <= min(sides) < 0.401 < 0.479 < max(sides) <= 0.48
    room = (1 - np.array(sides)) / 2
    assert (np.abs(middles) <= room[:, None] + 1e-9).all(), "inside the image"
    assert np.std(middles, 0) == pytest.approx([0.14, 0.14], abs=0.015)  # 0.15, less what the edge cuts
    noise = Noise().added(generator, Values(PARAMETERS, noise=7), (3, 40, 60))
    assert float(noise.mean()) == pytest.approx(0, abs=0.3)
    assert float(noise.std()) == pytest.approx(7, abs=0.3)
    off = Values(PARAMETERS, rotation=0, scaling=0, crop=0, noise=0)
    assert draw_changes(ALL, [generator], off, (3, 40, 60)) is None


def test_the_energy_is_that_of_the_transformed_image(net):
    """A step of a run: its data term and gradient from autograd through torch's own affine resampling."""
    run = cx.Maximization(net, "fc3", "b", jitter=0, M=1.0, C=3, settings={"rotation": 40, "scaling": 0.5}, steps=3)
    generator = torch.Generator()
    generator.set_state(run._generators[0].get_state())
    x = 40 * torch.randn(run.x.shape, generator=torch.Generator().manual_seed(1))
    terms, gradient = run.energy(x, run.settings.snapshot())
    torch.randint(0, 1, (2,), generator=generator)  # the shift
    smaller = 1.5 ** -(2 * torch.rand((), generator=generator, dtype=torch.float64) - 1)
    angle = math.radians(40) * (2 * torch.rand((), generator=generator, dtype=torch.float64) - 1)
    theta = smaller * torch.tensor([[angle.cos(), -angle.sin(), 0], [angle.sin(), angle.cos(), 0]])
    free = x.double().requires_grad_()
    grid = nn.functional.affine_grid(theta[None], list(x.shape), align_corners=False)
    seen = nn.functional.grid_sample(free, grid, align_corners=False)
    std = torch.tensor(net.pixels.std, dtype=torch.float64).view(1, 3, 1, 1)
    module = net.module.double()
    data = -module(seen / std)[0, 1]
    (expected,) = torch.autograd.grad(3 * data, free)
    module.float()
    without = torch.zeros_like(x)
    for prior in run.priors:
        prior(x, run.settings.snapshot(), run.scale, without)
    assert float(terms[1]) == pytest.approx(data.item(), rel=1e-4)
    assert torch.allclose(gradient - without, expected.float(), rtol=1e-3, atol=1e-6)


def test_without_transformations_it_is_the_papers_method(net):
    same = {"preset": "paper2016", "steps": 8, "progress": False}
    plain = cx.maximize(net, "fc3", 1, **same)
    off = {"rotation": 0, "scaling": 0, "noise": 0}
    without = cx.maximize(net, "fc3", 1, transforms=[Rotation(), Scaling(), Noise()], settings=off, **same)
    assert torch.equal(without.x, plain.x)
    assert not torch.equal(cx.maximize(net, "fc3", 1, steps=8, progress=False).x, plain.x)


def test_images_of_a_batch_are_changed_as_they_would_be_alone(net):
    together = cx.maximize(net, "fc3", [0, 2], seed=[3, 4], steps=10, progress=False)
    for unit, seed, one in zip((0, 2), (3, 4), together, strict=True):
        alone = cx.maximize(net, "fc3", unit, seed=seed, steps=10, progress=False)
        assert torch.allclose(one.x, alone.x, atol=0.05)


class Mirror(Transformation):
    """Left and right change in some steps."""

    parameters = (Parameter("mirrored", 0, 1, "linear", 0.5, "the share of steps in which left and right change"),)

    def draw(self, generator, values, size):
        if float(torch.rand((), generator=generator)) >= values.mirrored:
            return None
        return torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))


def test_a_transformation_of_ones_own_is_steered_and_made_again(net, refused):
    run = cx.Maximization(net, "fc3", 1, transforms=[Mirror(), Rotation()], settings={"mirrored": 1}, steps=9, refine=2)
    for frame in run.frames():
        if frame.step == 4:
            run.settings.update(mirrored=0.25, rotation=33)
            state = run.state()
    assert run.changes == {4: {"mirrored": 0.25, "rotation": 33}}
    names = {"cx": cx, "net": net, "Mirror": Mirror}
    assert np.array_equal(eval(run.to_python(), names).picture, run.result().picture)
    assert "transforms=[Mirror(), cx.preimage.Rotation()]" in run.to_python()
    other = cx.Maximization(net, "fc3", 1, transforms=[Mirror(), Rotation()], steps=9, refine=2)
    other.restore(state)
    list(other.frames())
    assert torch.equal(other.x, run.x)
    refused(cx.SettingError, lambda: cx.maximize(net, "fc3", 1, transforms=["turn"]), "'turn'", "Transformation")
    refused(cx.SettingError, lambda: cx.maximize(net, "fc3", 1, settings={"crop": 0.5}), "'crop'", "rotation")


def test_a_unit_at_a_position_is_turned_about_its_own_place(net):
    """What the unit sees stays in sight: the middle of its receptive field is where it was."""
    run = cx.Maximization(net, "conv2", 3, position=(0, 6), settings={"rotation": 180, "scaling": 0})
    row, column = (round(float(net.layers["conv2"].centres(a)[(0, 6)[a]])) for a in (0, 1))
    x = torch.zeros(run.x.shape)
    x[..., row, column] = 1
    maps = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))[None]
    assert View(x, places_of(maps, run.size, run._centre)).seen[0, 0, row, column] == pytest.approx(1, abs=1e-5)
