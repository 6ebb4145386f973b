"""Units behind rectifiers: where one is silent, what goes into its rectifier is maximised, and else nothing changes."""

from __future__ import annotations

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

import cnnexplore as cx
from cnnexplore.preimage import best_responses
from cnnexplore.zoo import embedded


class Parts(nn.Module):
    """Convolutions with a rectifier of a kind after each; all units of the last layer are silent for grey images."""

    def __init__(self, rectify, bias: float = -1.0):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 3, padding=1)
        self.last = nn.Linear(4, 3)
        nn.init.constant_(self.second.bias, bias)
        self.rectify, self.out = rectify, nn.Identity()

    def forward(self, x):
        x = self.out(self.rectify(self.second(self.rectify(self.first(x)))))
        return self.last(x.mean((2, 3)))


class Joined(Parts):
    """A sum of two branches goes into the last rectifier."""

    def forward(self, x):
        before = self.second(self.rectify(self.first(x)))
        x = self.out(self.rectify(before + 0.5 * before.roll(1, 1)))
        return self.last(x.mean((2, 3)))


RECTIFIERS = {
    "relu": F.relu,
    "module": nn.ReLU(),
    "in place": nn.ReLU(inplace=True),
    "relu6": F.relu6,
    "clamp": lambda x: x.clamp(min=0),
    "hardtanh": nn.Hardtanh(0, 4),
    "threshold": nn.Threshold(0, 0),
}


def pixels():
    return cx.Pixels(mean=(128, 128, 128), std=(64, 64, 64))


@pytest.mark.parametrize("kind", RECTIFIERS)
@pytest.mark.parametrize("made", [Parts, Joined])
def test_a_silent_unit_is_given_the_gradient_of_what_goes_into_its_rectifier(made, kind):
    module = made(RECTIFIERS[kind]).eval()
    net = cx.Network(module, size=(16, 16), pixels=pixels(), labels=["a", "b", "c"])
    run = cx.Maximization(net, "out", [0, 1, 2, 3], seed=[0, 1, 2, 3], M=1.0, steps=3)
    x = torch.zeros_like(run.x)
    loss, gradient = run.data_term(x)
    assert not bool(loss.any())
    fed = (x / torch.tensor(64.0)).requires_grad_()
    known = {}
    hook = module.second.register_forward_hook(lambda _, given, out: known.update(out=out.clone()))
    module(fed)
    hook.remove()
    into = known["out"] if made is Parts else known["out"] + 0.5 * known["out"].roll(1, 1)
    row, column = run._energy.loss.weights[0, 0].nonzero()[0].tolist()
    total = sum(-into[k, k, row, column] for k in range(4))
    (expected,) = torch.autograd.grad(total, fed)
    assert torch.allclose(gradient, expected / 64, atol=1e-7)


def test_units_that_respond_have_the_gradient_that_they_had():
    net = cx.load("worldnet", device="cpu")
    run = cx.Maximization(net, "relu3", [3, 40, 77], steps=3)
    x = torch.cat([torch.zeros_like(run.x[:1]), 60 * torch.randn(run.x[:2].shape, generator=torch.manual_seed(1))])
    loss, gradient = run.data_term(x)
    run._energy.watches = False
    plain_loss, plain = run.data_term(x)
    assert torch.equal(loss, plain_loss)
    responding = loss != 0
    assert responding.tolist().count(True) in (1, 2)
    assert torch.equal(gradient[responding], plain[responding]), "to the bit"
    assert not plain[~responding].any()
    assert gradient[~responding].flatten(1).any(1).all()


def test_a_relu6_that_is_full_is_not_pushed_further():
    module = Parts(F.relu6, bias=40.0).eval()
    net = cx.Network(module, size=(16, 16), pixels=pixels(), labels=["a", "b", "c"])
    run = cx.Maximization(net, "out", 0, M=1.0, steps=3)
    assert run.data_term(torch.zeros_like(run.x))[0].item() == -6
    assert not run.data_term(torch.zeros_like(run.x))[1].any()


IMAGENET = ("alexnet-imagenette", "squeezenet1_0-imagenet")


def network(name, shared):
    return cx.load(shared / "weights" / f"{name}.safetensors" if name in IMAGENET else name, device="cpu")


def behind_rectifiers(net) -> list[str]:
    """The layers whose activations are those of a rectifier: relus, and fire modules, which join two."""
    return [layer.name for layer in net.layers.values() if layer.kind in ("ReLU", "Fire")]


def unanswered(net, layer: str, count: int, steps: int, seed: int = 0) -> tuple[list[int], list[int]]:
    """Of `count` units of a layer: those that respond to images but not to their picture; those that never respond.

    The run of a batch ends as soon as all units respond.
    """
    best = best_responses(net, layer)
    units = torch.randperm(len(best), generator=torch.Generator().manual_seed(seed))[:count].sort().values
    able = units[best[units] > 0].tolist()
    found = []
    for first in range(0, len(able), 8):
        some = able[first : first + 8]
        run = cx.Maximization(net, layer, some, steps=steps)
        for frame in run.frames():
            if (frame.step % 5 == 0 or frame.step == steps) and bool((run.responses > 0).all()):
                break
        found += [unit for unit, response in zip(some, run.responses.tolist(), strict=True) if response <= 0]
    return found, units[best[units] <= 0].tolist()


@pytest.mark.slow
@pytest.mark.parametrize("name", embedded())
def test_every_unit_behind_a_relu_of_the_shipped_networks_answers(name):
    net = cx.load(name, device="cpu")
    for seed, layer in enumerate(behind_rectifiers(net)):
        assert unanswered(net, layer, 2, 30, seed)[0] == [], layer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layers"), [(IMAGENET[0], ["relu3", "relu5"]), (IMAGENET[1], ["fire6", "fire8/expand3x3_activation"])]
)
def test_units_of_the_imagenet_networks_answer(shared, name, layers):
    net = network(name, shared)
    for seed, layer in enumerate(layers):
        assert unanswered(net, layer, 3, 30, seed)[0] == [], layer


@pytest.mark.long
@pytest.mark.parametrize("name", [*embedded(), *IMAGENET])
def test_24_units_of_each_layer_behind_a_relu_answer(shared, name):
    net, rows = network(name, shared), {}
    for seed, layer in enumerate(behind_rectifiers(net)):
        rows[layer] = unanswered(net, layer, 24, 60, seed)
        print(
            f"{name:24s} {layer:28s} without answer: {len(rows[layer][0]):2d}, never answer: {len(rows[layer][1]):2d}"
        )
    assert {layer: found for layer, (found, _) in rows.items() if found} == {}
