"""Priors beside a variant's own: counted by a live weight, told by name, continued elsewhere."""

import numpy as np
import pytest
import torch

import cnnexplore as cx
from cnnexplore.preimage import Prior, Run, Settings, Values
from cnnexplore.preimage.losses import Euclidean
from cnnexplore.preimage.patch_prior import GAMMA


class Grey(Prior):
    """weight * gamma * half the squared distance to one grey; counts its calls."""

    name = "grey"
    parameters = (GAMMA,)

    def __init__(self, grey=30.0, weight=1e-3):
        self.grey, self.weight, self.calls = grey, weight, 0

    def __call__(self, x, values, scale, gradient):
        self.calls += 1
        away = x - self.grey
        gradient.add_(away, alpha=self.weight * values.gamma)
        return away.square().flatten(1).sum(1) * (self.weight * values.gamma / 2)

    def state(self):
        return {"calls": self.calls}

    def restore(self, state):
        self.calls = state["calls"]


@pytest.fixture(scope="module")
def net():
    return cx.load("photonet")


def begin(net, priors, **values):
    settings = Settings(Values(Run.parameters_for(priors=priors), **{"C": 1.0, "jitter": 3} | values))
    target = net.pixels_of(np.linspace(0, 1, net.size[0] * net.size[1] * 3).reshape(*net.size, 3))
    with torch.no_grad():
        code = net.probe("conv2")(net.feed(target))["conv2"]
    return Run(net, "conv2", Euclidean(code), settings, seeds=[0], steps=20, refine=0, priors=priors)


def test_the_energy_and_its_gradient_count_the_prior_with_its_live_weight(net):
    run = begin(net, [Grey()], gamma=2)
    x = run.x.clone()  # the first step has no border
    frame = run.advance()
    e = frame.energies
    assert list(e) == ["energy", "data", "alpha", "tv", "grey"]
    assert e["grey"] == pytest.approx(float((x - 30).square().sum()) * 1e-3, rel=1e-4)
    assert e["energy"] == pytest.approx(e["data"] + e["alpha"] + e["tv"] + e["grey"], rel=1e-4)
    run.settings.update(gamma=0)
    assert run.advance().energies["grey"] == 0
    run._set_border(0)
    without = run.energy(run.canvas, run.settings.snapshot())[1]
    run.settings.update(gamma=3)
    within = run.energy(run.canvas, run.settings.snapshot())[1]
    assert torch.allclose(within - without, 3e-3 * (run.canvas - 30), atol=1e-4)


def test_a_strong_prior_wins(net):
    far, near = begin(net, [Grey()], gamma=0), begin(net, [Grey()], gamma=100)
    for run in (far, near):
        list(run.frames())
    assert float((near.x - 30).abs().mean()) < 0.5 * float((far.x - 30).abs().mean())


def test_history_has_its_column_only_then(net):
    run, plain = begin(net, [Grey()], gamma=1), begin(net, [])
    for one in (run, plain):
        one.advance()
    assert run.history.dtype.names == ("step", "energy", "data", "alpha", "tv", "grey", "error")
    assert plain.history.dtype.names == ("step", "energy", "data", "alpha", "tv", "error")
    assert run.history["grey"][0] > 0


def test_state_continues_the_prior_to_the_bit(net, refused):
    run = begin(net, [Grey()], gamma=1)
    for _ in range(5):
        run.advance()
    state = run.state()
    other = begin(net, [Grey()], gamma=1)
    other.restore(state)
    assert other.more_priors[0].calls == 5
    assert torch.equal(run.advance().x, other.advance().x)
    assert run.more_priors[0].calls == other.more_priors[0].calls == 6
    refused(cx.SettingError, lambda: begin(net, []).restore(state), "1 more priors", "has 0")


def test_a_wrong_weight_is_refused(refused):
    refused(cx.SettingError, lambda: Values([GAMMA], gamma=-1), "gamma is -1")
