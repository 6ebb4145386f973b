"""Beside captum, where captum is right: networks whose rectifiers are modules of their own, used once."""

import copy
from collections import OrderedDict

import captum.attr as peers
import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx

FILES = {"squeezenet": "squeezenet1_0-imagenet", "alexnet": "alexnet-imagenette"}


@pytest.fixture(scope="module", params=FILES)
def single(request, shared):
    """A network, an image, and captum's side, all in float32: a module that gives the scores and takes x."""
    net = cx.load(shared / "weights" / f"{FILES[request.param]}.safetensors", device="cpu")
    module = copy.deepcopy(net.module).eval()
    children = list(module.named_children())
    if children[-1][0] == "prob":
        module = nn.Sequential(OrderedDict(children[:-1]))
    for part in module.modules():
        if isinstance(part, nn.ReLU):
            part.inplace = False  # captum's own condition
    path = next((shared / "data" / "imagenet-sample").glob("0281_*.jpg"))
    return net, path, module, net.pixels_of(path)


@pytest.fixture
def case(single):
    """The same in float64: in float32 a rectifier or a maximum that is nearly a tie falls either way by rounding."""
    net, path, module, x = single
    double = cx.Network(copy.deepcopy(module).double(), size=net.size, pixels=net.pixels)
    return double, path, copy.deepcopy(module).double(), x.double()


def near(ours, theirs, share=1e-4, zero=False):
    ours, theirs = np.asarray(ours), theirs.detach().numpy()
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= share * np.abs(theirs).max()
    assert zero or np.abs(theirs).max() > 0


SIMPLE = {
    "gradient": lambda m: lambda x, t: peers.Saliency(m).attribute(x, t, abs=False),
    "input_x_gradient": lambda m: peers.InputXGradient(m).attribute,
    "deconvnet": lambda m: peers.Deconvolution(m).attribute,
    "guided_backprop": lambda m: peers.GuidedBackprop(m).attribute,
}


@pytest.mark.filterwarnings("ignore:.*backward hooks.*", "ignore:.*required_grads.*", "ignore:.*Setting.*")
@pytest.mark.parametrize("method", SIMPLE)
def test_one_pass_back(case, method):
    net, path, module, x = case
    for target in (3, None):
        a = cx.attribute(net, path, target, method=method)
        theirs = SIMPLE[method](module)(x.clone().requires_grad_(), a.target)
        near(a.raw, theirs[0], zero=method == "deconvnet")  # a class of SqueezeNet sends nothing back that is positive
        expected = theirs[0].sum(0) if method == "input_x_gradient" else theirs[0].abs().amax(0)
        near(a.map, expected, zero=method == "deconvnet")


@pytest.mark.slow
def test_integrated_gradients(case):
    net, path, module, x = case
    a = cx.attribute(net, path, 3, method="integrated_gradients", steps=8)
    theirs = peers.IntegratedGradients(module).attribute(x, target=3, n_steps=8, method="gausslegendre")
    near(a.raw, theirs[0])


def test_float32_gives_nearly_the_same(case, single):
    for method in SIMPLE:
        double, ours = (cx.attribute(net, case[1], 3, method=method).raw for net in (case[0], single[0]))
        assert np.linalg.norm(ours - double) <= 0.02 * np.linalg.norm(double)


@pytest.mark.parametrize(("window", "stride"), [(64, 32), (50, 45)])
def test_occlusion(case, window, stride):
    net, path, module, x = case
    a = cx.attribute(net, path, 3, method="occlusion", window=window, stride=stride)
    with torch.no_grad():
        theirs = peers.Occlusion(module).attribute(
            x, (3, window, window), (3, stride, stride), target=3, perturbations_per_eval=16
        )
    near(a.map, theirs[0, 0])


def test_gradcam(case):
    net, path, module, x = case
    for name in ("conv1", "conv4" if "conv4" in net.layers else "fire4"):
        a = cx.attribute(net, path, 3, method="gradcam", at=name)
        layer = module.get_submodule(net.layers[name].path)
        theirs = peers.LayerGradCam(module, layer).attribute(x, target=3)
        near(a.raw, theirs[0])


@pytest.mark.filterwarnings("ignore:.*backward hooks.*", "ignore:.*required_grads.*", "ignore:.*Setting.*")
def test_a_unit_of_a_layer(case):
    net, path, module, x = case
    name = "conv5" if "conv5" in net.layers else "fire6"
    layer = module.get_submodule(net.layers[name].path)
    a = cx.attribute(net, path, layer=name, unit=7, position=(5, 4), method="gradient")
    near(a.raw, peers.NeuronGradient(module, layer).attribute(x.clone().requires_grad_(), (7, 5, 4))[0])
    for method, peer in {"guided_backprop": peers.NeuronGuidedBackprop, "deconvnet": peers.NeuronDeconvolution}.items():
        a = cx.attribute(net, path, layer=name, unit=7, position=(5, 4), method=method)
        near(a.raw, peer(module, layer).attribute(x.clone().requires_grad_(), (7, 5, 4))[0])
