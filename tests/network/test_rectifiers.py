"""A backward rule acts on rectifiers: where there are none it says so, where there are others too it counts them."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
METHODS = ("guided_backprop", "deconvnet")


class Acts(nn.Module):
    """A function as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class SwishFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return slope * s * (1 + x * (1 - s))


class Gated(nn.Module):
    """Squeeze and excitation: a rectifier lies in the gate."""

    def __init__(self, act=None):
        super().__init__()
        self.down, self.up, self.act = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1), act or nn.ReLU()

    def forward(self, x):
        return x * self.up(self.act(self.down(x.mean((2, 3), keepdim=True)))).sigmoid()


def network(*acts, name=""):
    """Convolutions with activation functions (or blocks) after them, and a classifier of means."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = []
        for k, act in enumerate(acts):
            layers += [nn.Conv2d(8 if k else 3, 8, 3), *(act if isinstance(act, tuple) else (act,))]
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)]
    return cx.Network(nn.Sequential(*layers).eval(), size=24, pixels=cx.Pixels(), name=name)


OTHERS = {
    "SiLU": nn.SiLU(),
    "GELU": nn.GELU(),
    "LeakyReLU": nn.LeakyReLU(0.1),
    "PReLU": nn.PReLU(),
    "RReLU": nn.RReLU(),
    "ELU": nn.ELU(),
    "SELU, an ELU": nn.SELU(),
    "CELU": nn.CELU(),
    "Hardswish": nn.Hardswish(),
    "Mish": nn.Mish(),
    "Softplus": nn.Softplus(),
    "Sigmoid": nn.Sigmoid(),
    "Tanh": nn.Tanh(),
    "Hardsigmoid": nn.Hardsigmoid(),
    "Hardtanh": nn.Hardtanh(),
    "Softshrink": nn.Softshrink(),
    "Threshold": nn.Threshold(0.1, 0),
    "maximum": Acts(lambda x: torch.maximum(x, 0.1 * x)),
    "where": Acts(lambda x: torch.where(x > 0, x, 0.1 * x)),
    "x * Sigmoid(x)": Acts(lambda x: x * torch.sigmoid(x)),
    "x * Softplus(x)": Acts(lambda x: x * torch.tanh(F.softplus(x))),
    "x * rectifier(x)": Acts(lambda x: x * F.relu6(x + 3) / 6),
    "erf": Acts(lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5))),
    "SwishFunction": Acts(SwishFunction.apply),
    "aten.silu: SiLU": Acts(torch.ops.aten.silu.default),
}


@pytest.mark.parametrize("name", OTHERS)
def test_without_a_rectifier_it_says_so(name, refused):
    net = network(OTHERS[name], OTHERS[name], name="mine")
    shown = name.split(", an ")[-1].split(": ")[-1]
    for method in METHODS:
        words = method, f"mine has none on the way to {net.scores.name}", f"are {shown};"
        refused(cx.LayerError, lambda m=method: cx.attribute(net, IMAGE, 1, method=m), *words)
    second = net.layers["2"].name  # by its path
    call = lambda: cx.attribute(net, IMAGE, layer=second, unit=1, method="guided_backprop")  # noqa: E731
    refused(cx.LayerError, call, f"on the way to {second}")
    top = cx.top_patches(net, second, [1], [IMAGE] * 2, k=1, progress=False)
    refused(cx.LayerError, lambda: top.projections(1, rule="deconvnet"), "has none on the way")


def test_before_any_activation_function_the_rule_changes_nothing():
    net = network(nn.SiLU(), nn.SiLU())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of old packages on new Pythons
        found = [cx.attribute(net, IMAGE, layer="conv1", unit=2, method=m).raw for m in ("gradient", *METHODS)]
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])
    assert found[0].any()


def test_gates_are_no_rectifiers_of_the_body(refused):
    """As in EfficientNets: the only rectifiers are those of the gates."""
    net = network((nn.SiLU(), Gated()), (nn.SiLU(), Gated()))
    refused(cx.LayerError, lambda: cx.attribute(net, IMAGE, 1, method="deconvnet"), "but for 2 in gates", "are SiLU;")


def test_a_mixture_is_counted_once():
    net = network(nn.ReLU(), (nn.Hardswish(), Gated()), nn.Hardswish(), nn.LeakyReLU(0.1), nn.ReLU6())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = [cx.attribute(net, IMAGE, 1, method="guided_backprop") for _ in range(2)]
    (said,) = [str(one.message) for one in caught]
    assert "changes what 2 of them" in said
    assert all(words in said for words in ("2 Hardswish", "1 LeakyReLU", "1 rectifiers in gates"))
    assert all(a.map.any() for a in found)


class Positive(torch.autograd.Function):
    """The identity, which passes back only what is positive."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, slope):
        return slope.clamp(min=0)


class Linear(torch.autograd.Function):
    """A rectifier by the deconvnet's rule."""

    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, slope):
        return slope.clamp(min=0)


def by_rule(net, rule, target):
    """The derivative with each rectifier written out by the rule."""
    x = net.pixels_of(IMAGE).requires_grad_()
    y = x
    for part in net.module:
        if isinstance(part, nn.ReLU):
            y = Linear.apply(y) if rule == "deconvnet" else Positive.apply(part(y))
        elif isinstance(part, Gated):
            s = part.down(y.mean((2, 3), keepdim=True))
            s = Linear.apply(s) if rule == "deconvnet" else Positive.apply(part.act(s))
            y = y * part.up(s).sigmoid()
        else:
            y = part(y)
    return torch.autograd.grad(y[0, target], x)[0][0].numpy()


@pytest.mark.filterwarnings("ignore::cnnexplore.errors.ExploreWarning")
@pytest.mark.parametrize("rule", METHODS)
def test_the_value_for_a_mixture(rule):
    net = network(nn.ReLU(), (nn.SiLU(), Gated()), nn.ReLU(), nn.LeakyReLU(0.1))
    for target in range(3):
        expected = by_rule(net, rule, target)
        found = cx.attribute(net, IMAGE, target, method=rule).raw
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * np.abs(expected).max())
        assert expected.any()


def relu(x):
    return torch.relu(x)


def relu6(x):
    return torch.nn.functional.hardtanh(x, 0.0, 6.0)


def clamped(x):
    return torch.clamp(x, min=0)


def threshold(x):
    return torch.threshold(x, 0.0, 0.0)


@pytest.mark.filterwarnings("ignore:.*jit.*")
@pytest.mark.parametrize("rule", METHODS)
@pytest.mark.parametrize("act", [relu, relu6, clamped, threshold])
def test_rectifiers_in_scripted_code(rule, act):
    """No function mode sees them; the nodes of autograd's graph do the same."""
    plain, scripted = (network(Acts(one), Acts(one), nn.ReLU()) for one in (act, torch.jit.script(act)))
    for _ in range(2):
        expected = cx.attribute(plain, IMAGE, 1, method=rule).raw
        np.testing.assert_allclose(cx.attribute(scripted, IMAGE, 1, method=rule).raw, expected, rtol=1e-4, atol=1e-9)
    assert not np.array_equal(expected, cx.attribute(plain, IMAGE, 1).raw)


GRAPHS = {
    "torch.fx": torch.fx.symbolic_trace,
    "torch.export": lambda module: torch.export.export(module, (torch.zeros(1, 3, 24, 24),)).module(),
    "torch.jit.script": torch.jit.script,
}


@pytest.mark.filterwarnings("ignore:.*")
@pytest.mark.parametrize("name", GRAPHS)
def test_rectifiers_of_graph_modules(name):
    """ATen's operators and scripted modules by the rule, as the module that they were made from."""
    plain = network(nn.ReLU(), nn.ReLU6(), nn.Hardtanh(0.0, 4.0))
    graph = cx.Network(GRAPHS[name](plain.module), size=24, pixels=cx.Pixels())
    for rule in ("gradient", *METHODS):
        expected = cx.attribute(plain, IMAGE, 1, method=rule).raw
        near = {"rtol": 1e-4, "atol": 1e-5 * np.abs(expected).max()}
        np.testing.assert_allclose(cx.attribute(graph, IMAGE, 1, method=rule).raw, expected, **near)
        assert expected.any()


def test_rectifiers_of_another_branch_do_not_count(refused):
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b, self.c = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

        def forward(self, x):
            y = F.silu(self.a(x))
            z = F.relu(self.b(x))
            return (self.c(y) + self.c(z)).mean((2, 3))

    net = cx.Network(Branches().eval(), size=24, pixels=cx.Pixels())
    name = next(one for one, layer in net.layers.items() if layer.path == "c")
    call = lambda: cx.attribute(net, IMAGE, layer=name, unit=1, method="guided_backprop")  # noqa: E731
    refused(cx.LayerError, call, "are SiLU;")
