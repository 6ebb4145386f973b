"""The field's names where the kind of a layer tells them, module paths elsewhere; every layer found by any name."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cnnexplore as cx
from cnnexplore.zoo.architectures.alexnet import caffe_alexnet


def names(module, size=64, pixels=None):
    return list(cx.Network(module, size=size, pixels=pixels).layers)


def random(name):
    return cx.load(name, weights="random", device="cpu")


def test_sequential():
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.GELU(),
        nn.Conv2d(4, 4, 1), nn.LeakyReLU(), nn.AvgPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(4 * 14 * 14, 8),
        nn.Tanh(), nn.Linear(8, 5), nn.LogSoftmax(1),
    )  # fmt: skip
    assert names(module) == [
        "conv1", "bn1", "relu1", "pool1", "conv2", "gelu2", "conv3", "relu3", "pool3", "drop3", "10", "fc4", "tanh4",
        "fc5", "logprob",
    ]  # fmt: skip
    layers = cx.Network(module, size=64).layers
    assert layers["4"] is layers["conv2"]  # the path goes on working
    assert (layers["conv2"].path, layers["conv2"].kind) == ("4", "Conv2d")


def test_two_rectifiers_after_one_convolution():
    """A name is given once; the next one keeps its path."""
    assert names(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.ReLU())) == ["conv1", "relu1", "2"]


def test_an_authors_own_names_stay():
    module = nn.Sequential()
    for name, part in {
        "conv1_1": nn.Conv2d(3, 2, 3),
        "stem": nn.Conv2d(2, 2, 3),
        "conv2": nn.Conv2d(2, 2, 3),
        "act": nn.ReLU(),
        "fc": nn.Flatten(),
    }.items():
        module.add_module(name, part)
    layers = cx.Network(module, size=32).layers
    assert next(iter(layers)) == "conv1_1"
    assert layers["conv2"].path == "conv2"  # not the stem, which is the second convolution
    assert layers["stem"].name == "stem"
    assert layers["act"].name == "relu3"


def test_containers_are_aliases_of_their_last_child():
    module = nn.Sequential()
    module.add_module("features", nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(inplace=True)))
    module.add_module("head", nn.Sequential(nn.Flatten(), nn.Linear(2 * 30 * 30, 5)))
    layers = cx.Network(module, size=32).layers
    assert list(layers) == ["conv1", "relu1", "head.0", "fc2"]
    assert layers["features"].name == "relu1"
    assert layers["head"].name == "fc2"
    assert "features" in layers
    assert len(layers) == 4


class Blur(nn.Conv2d):
    """A convolution with a name of its own."""


def test_a_library_module_under_another_name_is_one_layer():
    """Its forward pass is the library's, so what that calls is no layer of its own; the class says what it is."""
    module = nn.Sequential(OrderedDict(blur=Blur(3, 3, 5, bias=False), conv=nn.Conv2d(3, 4, 3), relu=nn.ReLU()))
    layers = cx.Network(module, size=32).layers
    assert [(layer.name, layer.kind, layer.path) for layer in layers.values()] == [
        ("blur", "Blur", "blur"), ("conv1", "Conv2d", "conv"), ("relu1", "ReLU", "relu"),
    ]  # fmt: skip
    assert layers["blur"].rf_size == (5, 5)
    with torch.no_grad():
        net = cx.Network(module, size=32)
        x = net.pixels_of(np.zeros((32, 32), np.uint8))
        assert torch.allclose(net.activations(np.zeros((32, 32), np.uint8), "blur"), module.blur(x), atol=1e-4)


def test_caffe_alexnet():
    assert names(caffe_alexnet(20, 64), 227) == list(dict(caffe_alexnet(20, 64).named_children()))


def test_torchvision_alexnet():
    assert list(random("alexnet").layers) == [
        "conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "conv3", "relu3", "conv4", "relu4", "conv5", "relu5",
        "pool5", "avgpool", "drop5", "fc6", "relu6", "drop6", "fc7", "relu7", "fc8",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "blocks"), [("vgg11", (1, 1, 2, 2, 2)), ("vgg16_bn", (2, 2, 3, 3, 3))])
def test_vgg(name, blocks):
    expected = []
    for k, convolutions in enumerate(blocks, 1):
        for j in range(1, convolutions + 1):
            expected += [f"conv{k}_{j}", *([f"bn{k}_{j}"] if "bn" in name else []), f"relu{k}_{j}"]
        expected.append(f"pool{k}")
    expected += ["avgpool", "fc6", "relu6", "drop6", "fc7", "relu7", "drop7", "fc8"]
    # the widths do not matter to the names; the published ones would cost a second each
    from torchvision.models import vgg

    module = vgg.VGG(vgg.make_layers([8 if v != "M" else v for v in vgg.cfgs["A" if name == "vgg11" else "D"]],
                                     "bn" in name), 10, init_weights=False)  # fmt: skip
    module.classifier = nn.Sequential(
        nn.Linear(8 * 49, 9), nn.ReLU(), nn.Dropout(), nn.Linear(9, 9), nn.ReLU(), nn.Dropout(), nn.Linear(9, 5)
    )
    assert names(module, 224) == expected


def test_squeezenet():
    layers = random("squeezenet1_0").layers
    fires = [f"fire{k}" for k in range(2, 10)]
    assert [name for name in layers if "/" not in name] == [
        "conv1", "relu1", "pool1", *fires[:3], "pool4", *fires[3:7], "pool8", fires[7], "drop9", "conv10", "relu10",
        "pool10",
    ]  # fmt: skip
    inside = ["squeeze", "squeeze_activation", "expand1x1", "expand1x1_activation", "expand3x3", "expand3x3_activation"]
    assert [name for name in layers if name.startswith("fire4/")] == [f"fire4/{part}" for part in inside]
    assert layers["fire2"].path == "features.3"
    assert layers["fire2"].kind == "Fire"
    assert list(random("squeezenet1_1").layers)[:4] == ["conv1", "relu1", "pool1", "fire2/squeeze"]


class LeNetStyle(nn.Module):
    """The tutorial's way: layers as attributes, the rest as functions."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(16 * 4 * 4, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = self.fc1(x.flatten(1)).relu()
        return F.log_softmax(self.fc3(self.fc2(x).clamp(min=0)), 1)


def test_a_functional_module():
    layers = cx.Network(LeNetStyle(), size=28, pixels=cx.Pixels("grey")).layers
    assert list(layers) == [
        "conv1", "relu1", "pool1", "conv2", "relu2", "pool2", "fc1", "relu3", "fc2", "relu4", "fc3", "logprob",
    ]  # fmt: skip
    assert layers["relu2"].path == "relu():2"
    assert layers["relu():2"].name == "relu2"


def test_resnet_keeps_paths_after_its_stem():
    layers = list(random("resnet18").layers)
    assert layers[:6] == ["conv1", "bn1", "relu1", "pool1", "layer1.0.conv1", "layer1.0.bn1"]
    assert "layer1.0.relu:2" in layers
    assert "layer2.0.downsample.0" in layers
    assert layers[-2:] == ["avgpool", "fc"]
    assert all(name.startswith("layer") for name in layers[4:-2])
    assert random("resnet18").layers["layer3"].name == "layer3.1.relu:2"


@pytest.mark.parametrize("name", ["densenet121", "googlenet", "mobilenet_v2", "efficientnet_b0", "vit_b_32"])
def test_any_classifier_of_torchvision(name):
    """Names are unique, and each finds its own layer."""
    layers = random(name).layers
    assert len(layers) > 20
    for layer in layers.values():
        assert layers[layer.name] is layer
        assert layers[layer.path] is layer
        assert layer.channels > 0


def test_layer_not_found(refused):
    layers = cx.Network(caffe_alexnet(5, 8), size=227, name="alexnet").layers
    sentence = refused(cx.LayerNotFound, lambda: layers["conv6"])
    assert sentence == "'conv6' is not a layer of alexnet; did you mean 'conv5'?"
    refused(cx.LayerNotFound, lambda: layers["Conv_1"], "did you mean 'conv1'?")
    refused(cx.LayerNotFound, lambda: layers["xyz"], "its layers are conv1, relu1, ")
    refused(cx.LayerNotFound, lambda: layers[3], "3 is not a layer")
    refused(cx.LayerNotFound, lambda: layers[["conv1"]], "is not a layer")
    assert issubclass(cx.LayerNotFound, KeyError)
    assert "conv6" not in layers
    assert layers.get("conv6") is None


def test_the_mapping():
    net = cx.Network(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU()), size=16, name="two")
    assert [net.layers.depth(layer) for layer in net.layers.values()] == [0, 1]
    table = repr(net.layers).splitlines()
    assert [row.split()[:2] for row in table] == [["conv1", "Conv2d"], ["relu1", "ReLU"]]
    assert repr(net) == "<Network two: 16 x 16 RGB, 2 layers>"


def test_modules_that_are_no_networks(refused):
    refused(cx.NetworkError, lambda: cx.Network("alexnet"), "nn.Module", "cx.load")
    refused(cx.LayerNotFound, lambda: cx.Network(nn.Identity(), size=8).layers["0"], "identity")
    refused(cx.NetworkError, lambda: cx.Network(nn.Sequential(nn.Linear(5, 5)), size=8).layers, "(1, 3, 8, 8)", "size=")
    grey = nn.Conv2d(1, 2, 3)
    refused(cx.NetworkError, lambda: cx.Network(grey, size=8, pixels=cx.Pixels("RGB")).layers)
    for wrong in ((8,), (8, 8, 8), (0, 8), (8.5, 8), "88"):
        refused(cx.SettingError, lambda size=wrong: cx.Network(nn.ReLU(), size=size), "size")


def test_a_single_module_is_a_layer():
    net = cx.Network(nn.Conv2d(3, 2, 3), size=8)
    assert list(net.layers) == ["conv1"]
    assert net.activations(np.zeros((8, 8, 3), np.uint8), "conv1").shape == (1, 2, 6, 6)


def test_a_module_that_fails_in_many_lines(refused):
    class Fails(nn.Module):
        def forward(self, x):
            raise ValueError("one\n\ttwo" + 5000 * "!")

    sentence = refused(
        cx.NetworkError, lambda: cx.Network(Fails(), size=8).layers, "Fails", "one two!!!", "(1, 3, 8, 8)"
    )
    assert len(sentence) < 600


class Feeding(nn.Module):
    def __init__(self):
        super().__init__()
        self.batches = (k for k in range(3))

    def forward(self, x):
        return F.relu(x)


def test_a_module_that_cannot_be_copied(refused):
    refused(cx.NetworkError, lambda: cx.Network(Feeding(), size=8).layers, "Feeding cannot be copied", "'batches'")


class Blocks(nn.Module):
    """Blocks that were compiled or wrapped one by one, as large models are."""

    def __init__(self, wrap):
        super().__init__()
        parts = [nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.Sequential(nn.Conv2d(4, 5, 3), nn.Softsign())]
        self.blocks, self.fc = nn.ModuleList(map(wrap, parts)), nn.Linear(5, 3)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))


WRAPS = {"compiled": lambda part: torch.compile(part, backend="eager"), "on several devices": nn.DataParallel}


@pytest.mark.parametrize("wrap", WRAPS.values(), ids=list(WRAPS))
def test_a_wrapper_changes_no_name(wrap):
    plain = cx.Network(Blocks(lambda part: part), size=12).layers
    assert list(plain) == ["conv1", "relu1", "conv2", "blocks.1.1", "fc3"]
    for module in (Blocks(wrap), wrap(Blocks(lambda part: part)), wrap(Blocks(wrap))):
        layers = cx.Network(module, size=12).layers
        assert list(layers) == list(plain)
        for name in ("blocks.0", "blocks.0.0", "blocks.1.1", "fc"):
            assert layers[name].name == plain[name].name
        for layer in layers.values():
            assert layers[layer.path] is layer
            assert dict(module.named_modules())[layer.path].__class__.__name__ == layer.kind
