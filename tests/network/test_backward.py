"""Backward rules against Jacobians written out by hand, in float64, for every way of writing a rectifier."""

import captum.attr as peers
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx
from cnnexplore.network import RULES, backward_rule


def in_place_and_dropped(t):
    t.relu_()
    return t


def by_index(t):
    t[t < 0] = 0
    return t


WAYS = {
    "nn.ReLU": nn.ReLU(),
    "nn.ReLU in place": nn.ReLU(True),
    "F.relu": F.relu,
    "F.relu in place": lambda t: F.relu(t, True),
    "F.relu inplace=": lambda t: F.relu(t, inplace=True),
    "F.relu_": F.relu_,
    "torch.relu": torch.relu,
    "torch.relu_": torch.relu_,
    "Tensor.relu": lambda t: t.relu(),
    "Tensor.relu_": lambda t: t.relu_(),
    "result dropped": in_place_and_dropped,
    "clamp(min=0)": lambda t: t.clamp(min=0),
    "clamp(0)": lambda t: t.clamp(0),
    "torch.clamp": lambda t: torch.clamp(t, 0.0),
    "clamp_": lambda t: t.clamp_(min=0),
    "clip": lambda t: t.clip(0),
    "clamp_min": lambda t: t.clamp_min(0),
    "clamp_min_": lambda t: t.clamp_min_(0.0),
    "nn.Threshold": nn.Threshold(0, 0),
    "F.threshold in place": lambda t: F.threshold(t, 0, 0, True),
    "hardtanh": lambda t: F.hardtanh(t, 0, 1e9),
    "maximum": lambda t: torch.maximum(t, torch.zeros_like(t)),
    "maximum with zero first": lambda t: torch.maximum(torch.zeros((), dtype=t.dtype), t),
    "max": lambda t: torch.max(t, torch.zeros(1, dtype=t.dtype)),
    "fmax": lambda t: t.fmax(torch.zeros((), dtype=t.dtype)),
    "clamp with a tensor": lambda t: t.clamp(min=torch.zeros((), dtype=t.dtype)),
    "leaky_relu without a slope": lambda t: F.leaky_relu(t, 0.0),
    "x * (x > 0)": lambda t: t * (t > 0),
    "(x > 0) * x": lambda t: (t > 0).to(t.dtype) * t,
    "x * (0 < x)": lambda t: t * (t > 0).type_as(t),
    "x * ~(x <= 0)": lambda t: t.mul(~(t <= 0)),
    "where": lambda t: torch.where(t > 0, t, 0.0),
    "where with zeros": lambda t: torch.where(t.lt(0), torch.zeros_like(t), t),
    "masked_fill": lambda t: t.masked_fill(t < 0, 0),
    "masked_fill_": lambda t: t.masked_fill_(t < 0, 0.0),
    "by index": by_index,
    "aten.relu": torch.ops.aten.relu.default,
    "aten.relu without an overload": torch.ops.aten.relu,
    "aten.relu_": torch.ops.aten.relu_.default,
    "aten.clamp_min": lambda t: torch.ops.aten.clamp_min.default(t, 0),
    "aten.clamp": lambda t: torch.ops.aten.clamp.default(t, 0),
    "aten.hardtanh": lambda t: torch.ops.aten.hardtanh.default(t, 0.0, 1e9),
    "aten.threshold": lambda t: torch.ops.aten.threshold.default(t, 0, 0),
    "aten.maximum": lambda t: torch.ops.aten.maximum.default(t, torch.zeros_like(t)),
    "aten.mul": lambda t: torch.ops.aten.mul.Tensor(t, torch.ops.aten.gt.Scalar(t, 0)),
}


def back(gradient, x, rule):
    """Equations 11, 12 and 13."""
    gradient = gradient.clone()
    if rule != "gradient":
        gradient[gradient <= 0] = 0
    if rule != "deconvnet":
        gradient[x <= 0] = 0
    return gradient


@pytest.fixture(scope="module")
def numbers():
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(6, 6, generator=generator, dtype=torch.double) for name in "xwv"}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("way", WAYS)
def test_a_rectifier_between_two_products(way, rule, numbers):
    x, w, v = numbers["x"].clone().requires_grad_(), numbers["w"], numbers["v"]
    with backward_rule(rule):
        y = WAYS[way](x @ w) @ v
    assert torch.equal(y, F.relu(x @ w) @ v)
    seed = torch.randn(6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.double)
    (found,) = torch.autograd.grad(y, x, seed)
    assert torch.allclose(found, back(seed @ v.T, x @ w, rule) @ w.T, rtol=1e-12)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "way", [lambda t: F.relu6(t), nn.ReLU6(True), lambda t: t.clamp(0, 6), lambda t: t.clip_(0, 6)]
)
def test_rectifiers_with_a_ceiling(way, rule, numbers):
    x = (6 * numbers["x"]).requires_grad_()
    with backward_rule(rule):
        y = way(x * 1)
    assert torch.equal(y, x.clamp(0, 6))
    (found,) = torch.autograd.grad(y, x, numbers["v"])
    expected = back(numbers["v"], x, rule)
    if rule != "deconvnet":
        expected[x >= 6] = 0
    assert torch.equal(found, expected)


def test_what_is_no_rectifier_is_left_alone(numbers):
    for other in (lambda t: t.clamp(min=0.1), lambda t: torch.maximum(t, 0.1 * t), lambda t: t * (t < 0),
                  lambda t: torch.where(t > 0, t, 0.1 * t), lambda t: t * (t > 0.5), lambda t: t + t.max(0).values,
                  lambda t: torch.where(t > 0, 0.0, t), lambda t: t.masked_fill(t > 0, 0), lambda t: 2 * t * (t > 0),
                  lambda t: t.clamp(max=1), F.leaky_relu, torch.tanh, F.hardtanh,
                  lambda t: F.threshold(t, 0.5, 0)):  # fmt: skip
        x = numbers["x"].clone().requires_grad_()
        plain = torch.autograd.grad(other(x), x, numbers["v"])[0]
        with backward_rule("guided_backprop"):
            y = other(x)
        assert torch.equal(torch.autograd.grad(y, x, numbers["v"])[0], plain)


class Mixed(nn.Module):
    """One rectifier used twice, a function, a method in place on a view, a max-pooling, and a branch that skips."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 4, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.fc = nn.Linear(4 * 9, 5, bias=False)

    def forward(self, x):
        x = self.relu(self.first(x))
        y = F.relu(self.second(x))
        y = F.max_pool2d(self.relu(y + self.second(x)), 2)
        half = y[:, :2]
        half -= 0.1
        half.relu_()
        return self.fc(y.flatten(1).clamp(min=0))


def matrix(layer, shape):
    """A bias-free linear layer as a matrix, column by column."""
    eye = torch.eye(shape.numel(), dtype=torch.double).view(-1, *shape)
    return layer(eye).flatten(1).T


@pytest.fixture(scope="module")
def mixed():
    torch.manual_seed(0)
    module = Mixed().double()
    net = cx.Network(module, size=8, pixels=cx.Pixels("RGB", (0, 0, 0)), labels=list("abcde"))
    image = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(2)).double() * 255
    return net, module, image.float()


@torch.no_grad()
def by_hand(module, x, target, rule):
    """d score / d x through explicit matrices."""
    a = matrix(module.first, torch.Size([3, 8, 8]))
    b = matrix(module.second, torch.Size([4, 6, 6]))
    x = x.double().flatten()
    z1 = a @ x
    h1 = z1.clamp(min=0)
    z2 = b @ h1
    h2 = z2.clamp(min=0)
    z3 = h2 + z2
    h3 = z3.clamp(min=0)
    pooled, where = F.max_pool2d(h3.view(1, 4, 6, 6), 2, return_indices=True)
    switches = torch.zeros(36, 144, dtype=torch.double)
    for k, (channel, place) in enumerate(zip(torch.arange(4).repeat_interleave(9), where.flatten(), strict=True)):
        switches[k, channel * 36 + place] = 1
    p = pooled.flatten()
    shifted = p.clone()
    shifted[:18] -= 0.1
    h4 = shifted.clone()
    h4[:18] = h4[:18].clamp(min=0)
    g = module.fc.weight[target].clone()
    g = back(g, h4, rule)  # clamp(min=0)
    g[:18] = back(g[:18], shifted[:18], rule)  # relu_ on the view
    g = switches.T @ g
    g = back(g, z3, rule)
    g2 = back(g, z2, rule)  # F.relu
    g = b.T @ g2 + b.T @ g  # both ways through the second convolution
    return (a.T @ back(g, z1, rule)).view(3, 8, 8)


@pytest.mark.parametrize("target", [0, 3])
@pytest.mark.parametrize("rule", RULES)
def test_reused_and_functional_rectifiers_inside_a_module(mixed, rule, target):
    net, module, image = mixed
    found = torch.as_tensor(cx.attribute(net, image, target, method=rule).raw)
    assert found.dtype == torch.double
    expected = by_hand(module, net.pixels_of(image)[0], target, rule)
    assert expected.abs().max() > 0
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-12)


class Functional(nn.Module):
    """A rectifier that is a function, or one module at two places."""

    def __init__(self, reused):
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(6, 6, bias=False) for _ in range(3))
        self.relu = nn.ReLU()
        self.reused = reused

    def forward(self, x):
        x = self.relu(self.a(x)) if self.reused else F.relu(self.a(x))
        return self.c(self.relu(self.b(x)))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reused", [False, True])
def test_right_where_captum_is_wrong(reused, numbers):
    torch.manual_seed(0)
    module = Functional(reused).double()
    x = numbers["x"].clone().requires_grad_()
    with torch.no_grad():
        z1 = x @ module.a.weight.T
        z2 = z1.clamp(min=0) @ module.b.weight.T
        g = back(module.c.weight[2].expand(6, 6), z2, "guided_backprop") @ module.b.weight
        expected = back(g, z1, "guided_backprop") @ module.a.weight
    with backward_rule("guided_backprop"):
        y = module(x)
    (found,) = torch.autograd.grad(y[:, 2].sum(), x)
    assert torch.allclose(found, expected, rtol=1e-12)
    theirs = peers.GuidedBackprop(module).attribute(x, target=2)
    assert torch.allclose(theirs, expected, rtol=1e-2) == reused  # its hooks see modules only


def test_nothing_stays_behind(mixed):
    def depth():
        return torch._C._len_torch_function_stack()

    before = depth()
    with backward_rule("guided_backprop"):
        assert depth() == before + 1
    assert depth() == before
    with pytest.raises(ZeroDivisionError), backward_rule("deconvnet"):
        1 / 0  # noqa: B018
    assert depth() == before
    net, _, image = mixed
    plain = cx.attribute(net, image, 1).raw
    cx.attribute(net, image, 1, method="guided_backprop")
    assert (cx.attribute(net, image, 1).raw == plain).all()


def test_an_unknown_rule(refused):
    refused(cx.SettingError, lambda: backward_rule("guided"), "'guided'", "guided_backprop")
