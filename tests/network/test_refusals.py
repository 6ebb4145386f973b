"""What a module cannot be given: one sentence, whose advice helps when it is followed."""

import re

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import swin_t, vit_b_16

import cnnexplore as cx


def image(side, channels=3):
    return np.random.default_rng(0).integers(0, 256, (side, side, channels), dtype=np.uint8)


def layers(module, side=32, **more):
    return lambda: cx.Network(module, size=side, **more).layers


def classifier(channels=3, features=4 * 28 * 28):
    return nn.Sequential(nn.Conv2d(channels, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(features, 3))


def size_in(sentence):
    return int(re.search(r"size=(\d+)", sentence)[1])


@pytest.mark.parametrize("side", [24, 32, 50, 100])
def test_the_size_that_a_linear_layer_needs_is_found(refused, side):
    module = classifier(features=4 * (side - 4) ** 2)
    sentence = refused(cx.NetworkError, layers(module, 40), "(1, 3, 40, 40)")
    assert size_in(sentence) == side
    assert len(cx.Network(module, size=size_in(sentence)).layers) == 4


@pytest.mark.slow
@pytest.mark.parametrize("make", [vit_b_16, lambda: swin_t()])
def test_vision_transformers_of_torchvision(make):
    module = make().eval()
    try:
        sentence = ""
        cx.Network(module, size=64).layers  # noqa: B018  Swin takes it
    except cx.NetworkError as error:
        sentence = str(error)
        assert size_in(sentence) == 224
    assert "pixels=" not in sentence


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.image_size = 48
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.positions = nn.Parameter(torch.zeros(1, 36, 8))
        self.fc = nn.Linear(8, 2)

    def forward(self, x):
        return self.fc((self.patches(x).flatten(2).mT + self.positions).mean(1))


def test_positional_embeddings(refused):
    assert size_in(refused(cx.NetworkError, layers(Positions(), 64), "Positions")) == 48


def test_channels(refused):
    rgb = cx.Pixels("RGB")
    sentence = refused(cx.NetworkError, layers(classifier(4), pixels=rgb), "takes 4 channels", "cx.Pixels('channels'")
    pixels = eval(re.search(r"pixels=(cx\.Pixels\(.*?\) \* 4\))", sentence)[1])
    assert len(cx.Network(classifier(4), size=32, pixels=pixels).layers) == 4
    sentence = refused(cx.NetworkError, layers(classifier(1), pixels=rgb), "takes one channel", "cx.Pixels('grey')")
    refused(cx.NetworkError, layers(classifier(3), pixels=cx.Pixels("grey")), "cx.Pixels('RGB')")
    inner = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(4, 8, 3))  # a fault of the module's own
    assert "pixels=" not in refused(cx.NetworkError, layers(inner), "to have 4 channels")


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x, mask, *, scale=1.0):
        return self.conv(x) * mask * scale


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4)

    def forward(self, input_ids):
        return self.table(input_ids).mean(1)


class NoImage(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self):
        return self.conv(torch.zeros(1, 3, 8, 8))


class Shouting(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, x):
        raise KeyError("the key is lost")


def test_arguments(refused):
    for module in (Two(), nn.DataParallel(Two())):
        sentence = refused(cx.NetworkError, layers(module), "2 arguments (x, mask)", "wrap it")
        assert "size=" not in sentence
    assert "size=" not in refused(cx.NetworkError, layers(Words()), "words or codes and not an image")
    assert "size=" not in refused(cx.NetworkError, layers(NoImage()), "takes no image")


def test_advice_is_left_out_where_there_is_none(refused):
    sentence = refused(cx.NetworkError, layers(Shouting()), "the key is lost")
    assert "size=" not in sentence
    assert "pixels=" not in sentence


def test_weights_that_are_not_there(refused):
    lazy = nn.Sequential(nn.LazyConv2d(4, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(3))
    refused(cx.NetworkError, layers(lazy), "0.weight", "lazy", "run the module once")
    lazy(torch.zeros(1, 3, 32, 32))
    assert len(cx.Network(lazy, size=32).layers) == 4
    with torch.device("meta"):
        meta = classifier()
    refused(cx.NetworkError, layers(meta), "meta device", "load the weights")
    refused(cx.NetworkError, lambda: cx.Network(meta, size=32).predict(image(32)), "meta device")
    part = classifier()
    part[3].to("meta")
    refused(cx.NetworkError, layers(part), "3.weight", "meta device")


def test_other_dimensions(refused):
    volume = nn.Sequential(nn.Conv3d(3, 4, 3), nn.ReLU())
    row = nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU())
    assert "size=" not in refused(cx.NetworkError, layers(volume, pixels=cx.Pixels()), "volumes")
    assert "size=" not in refused(cx.NetworkError, layers(row, pixels=cx.Pixels()), "sequences")


def test_number_types(refused):
    mixed = classifier()
    mixed[3].double()
    refused(cx.NetworkError, layers(mixed), "float32 and float64", "module.float()")
    assert len(cx.Network(mixed.float(), size=32).layers) == 4


class Fails(nn.Module):
    """Runs on one image, and raises a given error on images that begin with a zero."""

    error: BaseException = RuntimeError()

    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.armed = nn.Conv2d(3, 2, 3), nn.Linear(2, 2), [False]

    def forward(self, x):
        if ARMED["error"] is not None:
            raise ARMED["error"]
        return self.fc(self.conv(x).mean((2, 3)))


ARMED: dict = {"error": None}


@pytest.mark.parametrize(
    "kind", [RuntimeError, AssertionError, IndexError, TypeError, StopIteration, ZeroDivisionError]
)
def test_what_the_module_raises_in_a_probe_is_one_sentence(refused, kind):
    ARMED["error"] = None
    net = cx.Network(Fails(), size=16)
    assert len(net.layers) >= 2
    ARMED["error"] = kind("it\nbroke")
    sentence = refused(
        cx.NetworkError, lambda: net.activations(image(16), "fc2"), "Fails", "(1, 3, 16, 16)", "it broke"
    )
    assert "size=" not in sentence or kind is RuntimeError
    with pytest.raises(cx.NetworkError) as caught:
        net.activations(image(16), "fc2")
    assert caught.value.__cause__ is ARMED["error"]
    ARMED["error"] = None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(2), cx.SettingError("one of ours.")])
def test_what_passes_through_a_probe(error):
    ARMED["error"] = None
    net = cx.Network(Fails(), size=16)
    assert len(net.layers) >= 2
    ARMED["error"] = error
    with pytest.raises(type(error)) as caught:
        net.activations(image(16), "fc2")
    assert caught.value is error
    ARMED["error"] = None


def test_an_error_of_a_replacement_is_no_fault_of_the_module():
    ARMED["error"] = None
    net = cx.Network(Fails(), size=16)
    probe = net.probe("conv1", "fc2")

    def replace(activations):
        raise ZeroDivisionError("ours")

    with pytest.raises(ZeroDivisionError, match="ours"):
        probe(net.feed(net.pixels_of(image(16))), {"conv1": replace})


def test_a_module_of_one_size_refuses_another(refused):
    net = cx.Network(Positions(), size=48)
    probe = net.probe(net.scores.name)
    refused(cx.NetworkError, lambda: probe(torch.zeros(1, 3, 40, 40)), "Positions", "(1, 3, 40, 40)")


def test_no_size_is_advised_for_an_error_that_does_not_come_again(refused):
    ARMED["error"] = None
    once = nn.Sequential(Once(), Fails())
    assert "size=" not in refused(cx.NetworkError, layers(once, 16, pixels=cx.Pixels()), "only once")


class Once(nn.Module):
    def forward(self, x):
        if not TIMES:
            TIMES.append(1)
            raise RuntimeError("only once")
        return x


TIMES: list = []
