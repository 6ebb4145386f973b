"""Accuracy of trained networks: the embedded LeNets, SqueezeNet and AlexNet on photographs."""

from importlib import resources

import numpy as np
import pytest
import torch
from torchvision.datasets import MNIST

import cnnexplore as cx
from cnnexplore.zoo.training.lenet import accuracy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lenet():
    return cx.load("lenet", device="cpu")


@pytest.fixture(scope="module")
def squeezenet(shared):
    return cx.load(shared / "weights" / "squeezenet1_0-imagenet.safetensors", device="cpu")


def test_lenet_is_small_and_says_what_it_is(lenet):
    file = resources.files("cnnexplore.zoo") / "weights" / "lenet.safetensors"
    assert len(file.read_bytes()) < 1_000_000
    assert (lenet.name, lenet.size, lenet.to_python()) == ("lenet", (28, 28), "cx.load('lenet')")
    assert lenet.labels == list("0123456789")
    assert not lenet.module.training
    assert [(layer.name, layer.channels, layer.size) for layer in lenet.layers.values()] == [
        ("conv1", 20, (24, 24)), ("pool1", 20, (12, 12)), ("conv2", 50, (8, 8)), ("pool2", 50, (4, 4)),
        ("conv3", 500, (1, 1)), ("relu3", 500, (1, 1)), ("conv4", 10, (1, 1)), ("prob", 10, (1, 1)),
    ]  # fmt: skip


def test_lenet_on_mnist(lenet, shared):
    digits = MNIST(shared / "data", train=False)
    x = lenet.pixels.feed(digits.data[:, None].float() - lenet.pixels.mean[0])
    score = accuracy(lenet.module, x, digits.targets)
    assert score >= 0.99
    # the same by net.predict, one image at a time
    right = 0
    for k in range(100):
        (label, p), *_ = lenet.predict(digits.data[k].numpy())
        right += label == str(int(digits.targets[k]))
        assert 0 < p <= 1
    assert right >= 97


def test_lenet_on_the_bundled_digits(lenet):
    right = [
        lenet.predict(cx.digit(value, which), k=1)[0][0] == str(value) for value in range(10) for which in range(4)
    ]
    assert sum(right) >= 34


def test_squeezenet_on_photographs(squeezenet, shared):
    """One image of every ninth class; the file's name begins with the class index."""
    paths = sorted((shared / "data" / "imagenet-sample").glob("*.jpg"))[::9]
    assert len(paths) == 100
    right = 0
    for start in range(0, 100, 20):
        activations = squeezenet.activations(paths[start : start + 20], "pool10").flatten(1)
        right += sum(
            int(activation.argmax()) == int(path.name[:4])
            for activation, path in zip(activations, paths[start : start + 20], strict=True)
        )
    assert right >= 50
    label, p = squeezenet.predict(paths[0])[0]
    assert label == squeezenet.labels[int(squeezenet.activations(paths[0], "pool10").argmax())]
    assert p == pytest.approx(float(squeezenet.activations(paths[0], "pool10").flatten().softmax(0).max()), rel=1e-4)


def test_alexnet_on_photographs(shared):
    """Five images of each of its twenty classes; needs right BGR, groups, response normalisation and pooling."""
    net = cx.load(shared / "weights" / "alexnet-imagenette.safetensors", device="cpu")
    right = 0
    for folder in sorted((shared / "data" / "classes20" / "val").iterdir()):
        paths = sorted(folder.glob("*.jpg"))[:5]
        name = folder.name.split("_", 1)[1].replace("_", " ").lower()
        activations = net.activations(paths, "fc8")
        right += sum(net.labels[int(activation.argmax())].lower() == name for activation in activations)
    assert right >= 75


def test_inversion_of_a_photograph_at_fire4(squeezenet, shared):
    """The depth of AlexNet's conv3; its published error at C = 300 is about 0.1, that of fire4 is below 0.22."""
    path = sorted((shared / "data" / "imagenet-sample").glob("*.jpg"))[150]
    run = cx.Inversion(squeezenet, path, "fire4", C=300, seed=0, steps=300, refine=0)
    for frame in run.frames():
        assert torch.isfinite(frame.terms).all()
    result = run.result()
    assert result.error < 0.22
    history = result.history
    assert history["error"][0] > 0.6
    assert history["energy"][-1] < history["energy"][0] / 5
    # it resembles the photograph, not only its activation
    original = squeezenet.pixels_of(path)
    similarity = float(np.corrcoef(result.x.flatten().numpy(), original.flatten().numpy())[0, 1])
    assert similarity > 0.5


def test_lenet_smooths_decoded_filters_answer_for_their_units(shared):
    """On MNIST's test set: the published errors but for conv3; each class's filter responds most to its own class."""
    images, labels = cx.digits(shared / "data")
    net = cx.load("lenet-smooth", device="cpu")
    x = net.pixels.feed(torch.from_numpy(images)[:, None].float() - net.pixels.mean[0])
    labels = torch.from_numpy(labels)
    assert accuracy(net.module, x, labels) >= 0.99
    for unpool in ("nearest", "bilinear", "bicubic"):
        answers = x.flatten(1) @ torch.from_numpy(cx.decode(net, "conv4", unpool=unpool).filters).flatten(1).T
        means = torch.stack([answers[labels == k].mean(0) for k in range(10)])
        assert int((means.argmax(0) == torch.arange(10)).sum()) >= 9
    table = cx.figure("decoding2015.table1", net, shared / "data", progress=False)
    most = {place: value for place, value in table.published.items() if place[0] != "conv3"}
    assert len(most) == 6
    most |= {("conv3", "bicubic"): 1.32, ("conv3", "nearest"): 1.28, ("conv3", "bilinear"): 1.56}  # 1.2, 1.2, 1.3
    for place, value in most.items():
        assert round(table.mean(*place), 2) <= value, place
