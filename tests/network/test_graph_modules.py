"""Graph modules, exported and scripted ones: the answers of the module that they were made of, or a sentence."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn
from torchvision.models import mobilenet_v3_small, resnet18
from torchvision.models.feature_extraction import create_feature_extractor
from what_torch_can import SCRIPTS

import cnnexplore as cx
from cnnexplore.network.copying import weight_sharing_copy
from cnnexplore.network.probe import function_name

SIDE = 32
IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)
        self.bn.running_mean.uniform_(-1, 1)

    def forward(self, x):
        h = F.max_pool2d(F.relu(self.bn(self.conv(x))), 2)
        return self.fc(F.dropout(F.adaptive_avg_pool2d(h, 1).flatten(1), 0.5, training=self.training))


@pytest.fixture(scope="module")
def plain():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Net().eval()


def fingerprint(module):
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    flags = [getattr(part, "training", None) for part in module.modules()]
    return {k: (t.tolist(), t._version, t.requires_grad) for k, t in tensors.items()}, flags


ZEROS = torch.zeros(1, 3, SIDE, SIDE)
MADE = {
    "symbolic trace": fx.symbolic_trace,
    "symbolic trace in training": lambda m: fx.symbolic_trace(m.train()),
    "export": lambda m: torch.export.export(m, (ZEROS,)).module(),
    "export of any batch": lambda m: torch.export.export(
        m, (ZEROS.expand(2, -1, -1, -1),), dynamic_shapes=({0: torch.export.Dim("batch")},)
    ).module(),
    "decomposed export": lambda m: torch.export.export(m, (ZEROS,)).run_decompositions().module(),
    "jit trace": lambda m: torch.jit.trace(m, ZEROS),
    "script": torch.jit.script,
    "script in training": lambda m: torch.jit.script(m.train()),
    "frozen": lambda m: torch.jit.freeze(torch.jit.script(m)),
    "script inside": lambda m: nn.Sequential(torch.jit.script(m)),
    "graph inside": lambda m: nn.Sequential(fx.symbolic_trace(m), nn.Identity()),
    "features": lambda m: create_feature_extractor(m, {"fc": "fc"}),
}
if not SCRIPTS:
    MADE = {kind: make for kind, make in MADE.items() if not kind.startswith(("script", "frozen"))}


@pytest.mark.parametrize("kind", MADE)
def test_scores_are_those_of_the_module(kind, plain):
    module = MADE[kind](copy.deepcopy(plain))
    if kind == "features":
        module = nn.Sequential(module, Picked("fc"))
    before = fingerprint(module)
    net = cx.Network(module, size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    with torch.no_grad():
        expected = plain(x)
    got = net.activations(IMAGE, net.scores.name)
    assert torch.allclose(got.flatten(1), expected, rtol=1e-4, atol=1e-4)
    x = x.requires_grad_()
    (slope,) = torch.autograd.grad(net.probe(net.scores.name)(x)[net.scores.name].flatten()[1], x)
    again = x.detach().requires_grad_()
    (truth,) = torch.autograd.grad(plain(again)[0, 1], again)
    assert torch.allclose(slope, truth, rtol=1e-3, atol=1e-6)
    assert fingerprint(module) == before


class Picked(nn.Module):
    def __init__(self, key):
        super().__init__()
        self.key = key

    def forward(self, found):
        return found[self.key]


@pytest.mark.parametrize("kind", ["symbolic trace", "export", "decomposed export"])
def test_layers_inside_a_graph_have_the_modules_activations(kind, plain):
    net = cx.Network(MADE[kind](copy.deepcopy(plain)), size=SIDE)
    x = net.feed(net.pixels_of(IMAGE))
    with torch.no_grad():
        conv = plain.conv(x)
        relu = plain.bn(conv).relu()
    found = net.activations(IMAGE, ["conv1", "relu1"])
    assert torch.allclose(found["conv1"], conv, rtol=1e-4, atol=1e-4)
    assert torch.allclose(found["relu1"], relu, rtol=1e-4, atol=1e-4)
    layer = net.layers["conv1"]
    assert (layer.channels, layer.size, layer.rf_size) == (4, (30, 30), (3, 3))


def test_a_graph_that_was_made_in_training_is_evaluated():
    module = fx.symbolic_trace(Net().train())
    copied = weight_sharing_copy(module)
    x = torch.rand(2, 3, SIDE, SIDE)
    assert torch.equal(copied(x), copied(x))
    assert any(node.kwargs.get("training") is True for node in module.graph.nodes)  # the user's graph is as it was
    exported = torch.export.export(Net().train(), (ZEROS.expand(2, -1, -1, -1),)).module()
    copied = weight_sharing_copy(exported)
    before = fingerprint(exported)
    assert torch.equal(copied(x), copied(x))
    assert fingerprint(exported) == before


def test_hooks_of_a_graph_module_stay():
    module = fx.symbolic_trace(Net().eval())
    module.register_forward_hook(lambda m, i, o: o * 2)
    module.conv.register_forward_hook(lambda m, i, o: o + 1)
    x = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        assert torch.allclose(weight_sharing_copy(module)(x), module(x))


@pytest.mark.skipif(not SCRIPTS, reason="this torch cannot script on this Python")
def test_a_scripted_modules_weights_are_shared():
    module = torch.jit.script(Net().eval())
    copied = weight_sharing_copy(module)
    x = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        before = copied(x)
        module.conv.weight.mul_(2)
        assert torch.allclose(copied(x), module(x))
        assert not torch.allclose(copied(x), before)


@pytest.mark.slow
@pytest.mark.parametrize("make", [resnet18, mobilenet_v3_small])
def test_torchvisions_networks_as_graphs(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = make(num_classes=7).eval()
    truth = cx.Network(module, size=64)
    for graph in (fx.symbolic_trace(module), torch.export.export(module, (torch.zeros(1, 3, 64, 64),)).module()):
        net = cx.Network(graph, size=64, pixels=truth.pixels)  # a graph does not say whose network it is
        assert net.predict(IMAGE, 7) == [(name, pytest.approx(p, abs=1e-4)) for name, p in truth.predict(IMAGE, 7)]


def test_names_of_functions():
    aten = torch.ops.aten
    assert function_name(F.relu) == function_name(torch.relu) == function_name(aten.relu.default) == "relu"
    assert function_name(aten.conv2d.default) == function_name(aten.convolution.default) == "conv2d"
    assert function_name(aten.relu_.default) == "relu_"
    assert function_name(aten.relu) == "relu"
    assert function_name(aten._softmax.default) == "softmax"
    assert function_name(3) == ""
