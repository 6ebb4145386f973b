"""A prior that a user adds in one file: it acts, is steered, and appears in history, plot and Python."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn
from toy_prior import MeanColour

import cnnexplore as cx
from cnnexplore.preimage import Inversion, Parameter, Prior, Scale, Settings, Values
from cnnexplore.preimage.losses import Euclidean, InnerProduct
from cnnexplore.preimage.patch_prior import PatchPrior

SIDE = 20
IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
QUICK = {"steps": 6, "refine": 2, "progress": False}


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 6, 5, 2), nn.ReLU(), nn.Conv2d(6, 8, 3))
    return cx.Network(module, size=SIDE, pixels=cx.Pixels("RGB", (120, 110, 100), (58, 57, 55)))


# value and gradient


@pytest.mark.parametrize("size", [(7, 9), (20, 20)])
def test_value_and_gradient_against_autograd(size):
    x = torch.randn(2, 3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 40 + 7
    values = Values(MeanColour.parameters, mean_weight=3.5, mean_level=-12)
    x.requires_grad_()
    expected = 3.5 * ((x.mean((2, 3)) + 12) ** 2).sum(1) / 80**2
    (slope,) = torch.autograd.grad(expected.sum(), x)
    before = torch.randn_like(x).detach()
    gradient = before.clone()
    found = MeanColour()(x.detach(), values, Scale(80.0, 400), gradient)
    assert torch.allclose(found, expected.detach(), rtol=1e-12)
    assert torch.allclose(gradient - before, slope, rtol=1e-9, atol=1e-14)


def test_the_energy_of_a_run_is_that_of_all_terms(net):
    """The whole gradient against autograd of the energy in float64, with pixels of another mean and deviation."""
    run = cx.Inversion(net, IMAGE, "conv2", C=7, jitter=1, priors=[MeanColour()], settings={"mean_weight": 50})
    x = run.canvas.clone()
    terms, gradient = run.energy(x, run.settings.snapshot())
    double = copy.deepcopy(net.module).double()
    y = x.double().requires_grad_()
    std = torch.tensor(net.pixels.std, dtype=torch.float64).view(1, 3, 1, 1)
    reference = double(run.target.double() / std).detach()
    data = (double(y / std) - reference).square().sum() / reference.square().sum()
    B, N = run.scale.B, run.scale.N
    alpha = (y.square().sum(1) ** 3).sum() / (N * B**6)
    down, right = y[..., 1:, :] - y[..., :-1, :], y[..., 1:] - y[..., :-1]
    tv = (down.square().sum() + right.square().sum()) / (N * run.scale.V**2)
    toy = 50 * y.mean((2, 3)).square().sum() / B**2
    energy = 7 * data + alpha + tv + toy
    assert terms[:, 0].tolist() == pytest.approx([float(v.detach()) for v in (energy, data, alpha, tv, toy)], rel=1e-4)
    (expected,) = torch.autograd.grad(energy, y)
    assert torch.allclose(gradient.double(), expected, rtol=1e-3, atol=1e-6 * float(expected.abs().max()))


def test_it_acts(net):
    def mean(**settings):
        r = cx.invert(net, IMAGE, "conv2", steps=60, refine=0, priors=[MeanColour()], settings=settings, progress=False)
        return float(r.x.mean())

    assert mean(mean_weight=1e4, mean_level=40) == pytest.approx(40, abs=6)
    assert mean(mean_weight=1e4, mean_level=-40) == pytest.approx(-40, abs=6)


# steering


def test_its_parameters_are_those_of_the_run(net):
    run = cx.Inversion(net, IMAGE, "conv2", priors=[MeanColour()])
    assert [p.name for p in run.parameters] == ["C", "alpha", "beta", "jitter", "rate", "mean_weight", "mean_level"]
    assert run.parameters == Inversion.parameters_for(priors=[MeanColour])
    assert run.settings.snapshot().mean_weight == 1
    assert "mean_weight" not in run.settings.snapshot().replace(C=3).only(Inversion.parameters_for())


def test_it_is_steered_live_and_by_a_schedule(net):
    run = cx.Inversion(net, IMAGE, "conv2", steps=6, priors=[MeanColour()], schedule={4: {"mean_weight": 0}})
    first = run.advance().energies["mean_colour"]
    run.settings.update(mean_weight=10, mean_level=5)
    assert run.advance().energies["mean_colour"] > 3 * first > 0
    energies = [frame.energies["mean_colour"] for frame in run.frames()]
    assert energies[2] == 0 == energies[3]
    assert run.changes == {1: {"mean_weight": 10, "mean_level": 5}, 4: {"mean_weight": 0}}


def test_a_saved_run_continues_to_the_bit(net):
    def begin():
        return cx.Inversion(net, IMAGE, "conv2", steps=8, priors=[MeanColour()], settings={"mean_level": 9})

    run, other = begin(), begin()
    for _ in range(3):
        run.advance()
    run.settings.update(mean_level=-9)
    other.restore(run.state())
    assert torch.equal(run.advance().x, other.advance().x)
    assert other.settings.mean_level == -9


# where it appears


@pytest.mark.parametrize(
    "call",
    [
        lambda net, **more: cx.invert(net, IMAGE, "conv2", **more),
        lambda net, **more: cx.maximize(net, "conv2", 3, **more),
        lambda net, **more: cx.caricature(net, IMAGE, "conv2", **more),
    ],
    ids=["invert", "maximize", "caricature"],
)
def test_it_appears_in_history_plot_and_python(net, call):
    settings = {"mean_weight": 250, "mean_level": 4.5}
    result = call(net, priors=[MeanColour()], settings=settings, schedule={3: {"mean_level": 1}}, **QUICK)
    names = [name for name in result.history.dtype.names if name != "colour"]  # the default of a maximisation
    assert names[:6] == ["step", "energy", "data", "alpha", "tv", "mean_colour"]
    (line,) = (one for one in result.plot().axes[1].lines if one.get_label() == "mean colour")
    assert line.get_color() == "#9333ea"
    assert np.allclose(line.get_ydata(), np.maximum(result.history["mean_colour"], 1e-12))
    python = result.to_python()
    assert "priors=[MeanColour()], " in python
    assert "settings={'mean_weight': 250, 'mean_level': 4.5}" in python
    again = eval(python, {"cx": cx, "net": net, "image": IMAGE, "MeanColour": MeanColour})
    assert np.array_equal(again.picture, result.picture)
    assert again.to_python() == python
    plain = call(net, **QUICK)
    assert "settings" not in plain.to_python()
    assert not np.array_equal(plain.picture, result.picture)


# declarations


def test_values_are_an_immutable_mapping():
    values = Values(MeanColour.parameters, mean_level=3)
    assert dict(values) == {"mean_weight": 1, "mean_level": 3}
    assert values.mean_level == values["mean_level"] == 3
    other = values.replace(mean_level=4)
    assert (values.mean_level, values.changed(other)) == (3, {"mean_level": 4})
    assert values == Values(MeanColour.parameters, mean_level=3.0) != other
    assert len({values, Values(MeanColour.parameters, mean_level=3), other}) == 2
    for made in (copy.copy(values), copy.deepcopy(values), pickle.loads(pickle.dumps(values))):
        assert made == values
        assert made.parameters == values.parameters
    assert Values(MeanColour.parameters, mean_level=np.float32(2)).mean_level == 2


class Twice(Prior):
    name = "tv"

    def __call__(self, x, values, scale, gradient):
        return x.new_zeros(len(x))


class Clash(Twice):
    name = "clash"
    parameters = (Parameter("C", 0, 1),)


def test_contradictions_are_refused(net, refused):
    refused(cx.SettingError, lambda: cx.Inversion(net, IMAGE, "conv2", priors=[Twice()]), "tv", "name of its own")
    refused(cx.SettingError, lambda: cx.Inversion(net, IMAGE, "conv2", priors=[Clash()]), "'C'", "another name")
    refused(cx.SettingError, lambda: cx.Inversion(net, IMAGE, "conv2", priors=["tv"]), "'tv'", "Prior")
    refused(cx.SettingError, lambda: Parameter("a b", 0, 1), "'a b'")
    refused(cx.SettingError, lambda: Parameter("items", 0, 1), "'items'")
    refused(cx.SettingError, lambda: Parameter("a", 0, 1, default=2), "a is 2", "0 to 1")
    refused(cx.SettingError, lambda: Parameter("a", 0, 1, "cubic"), "'cubic'")
    refused(
        cx.SettingError,
        lambda: cx.Inversion(net, IMAGE, "conv2", settings={"warmth": 1}, priors=[MeanColour()]),
        "'warmth'",
        "mean_level",
    )
    refused(cx.SettingError, lambda: cx.invert(net, IMAGE, "conv2", settings={"mean_level": 1}), "mean_level")
    box = Settings(Values(Inversion.parameters_for()))
    refused(
        cx.SettingError, lambda: cx.Inversion(net, IMAGE, "conv2", settings=box, priors=[MeanColour()]), "'mean_weight'"
    )


def test_a_mailbox_may_hold_more_than_a_run_needs(net):
    box = Settings(Values(Inversion.parameters_for(priors=[MeanColour, PatchPrior]), C=20, jitter=2))
    run = cx.Inversion(net, IMAGE, "conv2", settings=box, steps=4)
    run.advance()
    box.update(mean_level=5)
    run.advance()
    assert run.changes == {}
    assert "mean" not in run.to_python()


def test_numbers_of_numpy_are_taken(net):
    settings = {"C": np.float32(20), "alpha": np.int64(5), "jitter": np.int32(2), "steps": np.int64(3), "refine": 0}
    a = cx.invert(net, IMAGE, "conv2", seed=np.int64(4), progress=False, **settings)
    b = cx.invert(net, IMAGE, "conv2", seed=4, C=20, alpha=5, jitter=2, steps=3, refine=0, progress=False)
    assert np.array_equal(a.x, b.x)
    assert a.to_python() == b.to_python()
    many = cx.invert(net, IMAGE, "conv2", seed=np.arange(2), progress=False, **settings)
    assert len(many) == 2
    units = cx.maximize(net, "conv2", np.array([1, 4]), steps=2, M=np.float64(3), progress=False)
    assert [one.about for one in units] == ["unit 1 of conv2", "unit 4 of conv2"]
    assert "np." not in units[0].to_python()


# losses


def test_losses_add_up_with_weights():
    generator = torch.Generator().manual_seed(0)
    reference, weights = (torch.randn(2, 4, 3, 3, generator=generator) for _ in range(2))
    z = torch.randn(2, 4, 3, 3, generator=generator)
    total, slope = (Euclidean(reference) + 0.25 * InnerProduct(weights, 2.0) * 2)(z)
    first, second = Euclidean(reference)(z), InnerProduct(weights, 2.0)(z)
    assert torch.allclose(total, first[0] + 0.5 * second[0])
    assert torch.allclose(slope, first[1] + 0.5 * second[1])


def test_a_sum_of_losses_runs(net):
    target = net.pixels_of(IMAGE)
    with torch.no_grad():
        activation = net.probe("conv2")(net.feed(target))["conv2"]
    from cnnexplore.preimage import Run

    loss = Euclidean(activation) + 0.1 * InnerProduct(activation, float(activation.square().sum()))
    run = Run(net, "conv2", loss, Settings(Values(Run.parameters_for(), C=100)), seeds=[0], steps=20, refine=0)
    frames = list(run.frames())
    assert frames[-1].metric < 0.3 * frames[0].metric
    assert run.history.dtype.names[-1] == "loss"
    assert np.isfinite(run.result().plot().axes[1].lines[0].get_ydata()).all()
