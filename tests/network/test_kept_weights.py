"""Weights in the layout of the passes: the same numbers to the bit, and changes of the module's are followed."""

import copy
from collections import Counter

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune

import cnnexplore as cx
from cnnexplore.network.dispatch_mode import DispatchMode
from cnnexplore.network.kept_weights import USES, KeptTensor


def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 2), nn.ReLU(), nn.Conv2d(8, 6, 3, groups=2), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1)
    )


@pytest.fixture
def net():
    return cx.Network(module(), size=(31, 31), pixels=cx.Pixels())


def gradient_of(probe, x):
    x = x.clone(memory_format=torch.channels_last).requires_grad_()
    (y,) = probe(x).values()
    return y.detach(), torch.autograd.grad(y, x, torch.ones_like(y))[0]


def expected(net, x):
    x = x.clone(memory_format=torch.channels_last).requires_grad_()
    y = net.module(x)
    return y.detach(), torch.autograd.grad(y, x, torch.ones_like(y))[0]


def check(net, probe, x):
    for found, right in zip(gradient_of(probe, x), expected(net, x), strict=True):
        torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-5)


@pytest.fixture
def x():
    return torch.randn(1, 3, 31, 31)


def test_passes_that_are_repeated_give_the_same_to_the_bit(net, x):
    probe = net.probe(list(net.layers)[-1])
    first = gradient_of(probe, x)
    for _ in range(3):
        assert all(map(torch.equal, gradient_of(probe, x), first))
    check(net, probe, x)


class Copies(DispatchMode):
    """Counts copies by shape."""

    def __init__(self):
        super().__init__()
        self.found = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if func._schema.name in ("aten::clone", "aten::copy_", "aten::_to_copy", "aten::flip"):
            self.found[tuple(out.shape)] += 1
        return out


def test_from_the_third_pass_on_no_weight_is_laid_anew(net, x):
    probe, weights = net.probe(list(net.layers)[-1]), {tuple(p.shape) for p in net.module.parameters()}
    found = []
    for _ in range(4):
        with Copies() as copies:
            gradient_of(probe, x)
        found.append(sum(n for shape, n in copies.found.items() if shape in weights or len(shape) > 4))
    assert found[0] >= found[1] > 0
    assert found[2:] == [0, 0]


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m[2].weight.data.mul_(2),
        lambda m: m.load_state_dict({k: v + 1 for k, v in m.state_dict().items()}),
        lambda m: setattr(m[2], "weight", nn.Parameter(m[2].weight.detach() * 3)),
        lambda m: setattr(m[2].weight, "data", m[2].weight.detach() * 3),
    ],
    ids=["in place", "loaded", "another parameter", "other data"],
)
def test_a_change_of_the_weights_is_followed(net, x, change):
    probe = net.probe(list(net.layers)[-1])
    for _ in range(3):
        gradient_of(probe, x)
    for _ in range(3):
        with torch.no_grad():
            change(net.module)
        for _ in range(USES if "mul_" in change.__code__.co_names else 1):  # torch does not tell of a write to `data`
            gradient_of(probe, x)
        check(net, probe, x)


def test_training_steps_are_followed_at_once(net, x):
    probe = net.probe(list(net.layers)[-1])
    optimizer = torch.optim.SGD(net.module.parameters(), lr=0.1)
    for _ in range(4):
        check(net, probe, x)
        optimizer.zero_grad()
        net.module(x).square().mean().backward()
        optimizer.step()
    check(net, probe, x)


@pytest.mark.parametrize(
    "make",
    [
        lambda conv: prune.l1_unstructured(conv, "weight", 0.5),
        lambda conv: parametrizations.weight_norm(conv),
    ],
    ids=["pruned", "weight norm"],
)
def test_weights_that_are_computed_in_each_pass(x, make):
    inner = module()
    make(inner[2])
    net = cx.Network(inner, size=(31, 31), pixels=cx.Pixels())
    probe = net.probe(list(net.layers)[-1])
    for _ in range(4):
        check(net, probe, x)
        with torch.no_grad():
            for parameter in net.module.parameters():
                parameter.mul_(1.1)


class Scaled(nn.Conv2d):
    def _conv_forward(self, x, weight, bias):
        return super()._conv_forward(x, 2 * weight.view(len(weight), -1).view(weight.shape), bias)


def test_a_convolution_of_the_users_is_left_alone(x):
    inner = module()
    inner[2] = Scaled(8, 6, 3)
    net = cx.Network(inner, size=(31, 31), pixels=cx.Pixels())
    probe = net.probe(list(net.layers)[-1])
    for _ in range(4):
        check(net, probe, x)


def test_a_weight_of_one_pass_is_not_held():
    made = []
    kept = KeptTensor(lambda weight: made.append(1) or weight + 1)
    weight = torch.zeros(2)
    assert kept(weight).tolist() == [1, 1]
    assert kept._kept is None
    assert kept(weight) is kept(weight)
    assert len(made) == 2
    weight.add_(1)
    assert kept(weight).tolist() == [2, 2]
    other = copy.deepcopy(weight)
    del weight
    assert kept(other).tolist() == [2, 2]
    with torch.inference_mode():
        assert kept(torch.ones(2)).tolist() == [2, 2]
