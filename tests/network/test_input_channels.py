"""How many channels a module takes, without being told: grey, RGB or any other number."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

import cnnexplore as cx
from cnnexplore.network.input_channels import input_channels


class OnEveryPosition(nn.Module):
    """A linear layer on channels-last maps: PyTorch computes it as a product of matrices or of batches of them."""

    def __init__(self, channels):
        super().__init__()
        self.linear = nn.Linear(channels, 4)

    def forward(self, x):
        return self.linear(x.permute(0, 2, 3, 1)).mean((1, 2))


class Before(nn.Module):
    """A function of the image, and a convolution that is registered after one that runs later."""

    def __init__(self, function, taken):
        super().__init__()
        self.function = function
        self.later = nn.Conv2d(8, 4, 1)
        self.first = nn.Conv2d(taken, 8, 3)
        self.register_buffer("colour", torch.zeros(3, 1, 1))

    def forward(self, x):
        return self.later(self.first(self.function(self, x)))


def with_coordinates(module, x):
    return torch.cat([x, x.new_zeros(len(x), 2, *x.shape[2:])], 1)


def in_place(module, x):
    return x.sub_(1)


def mixed(module, x):
    return torch.bmm(torch.ones(1, 3, 2), x.flatten(2)).unflatten(2, x.shape[2:])


MODULES = {
    "one": (nn.Conv2d(1, 4, 3), 1),
    "two": (nn.Conv2d(2, 4, 3), 2),
    "three": (nn.Conv2d(3, 4, 3), 3),
    "four, in two groups": (nn.Conv2d(4, 4, 3, groups=2), 4),
    "sixteen, depthwise": (nn.Conv2d(16, 16, 3, groups=16), 16),
    "many": (nn.Conv2d(224, 4, 3), 224),
    "normalised first": (nn.Sequential(nn.BatchNorm2d(6), nn.Conv2d(6, 4, 3)), 6),
    "half precision": (nn.Conv2d(5, 4, 3).half(), 5),
    "transposed": (nn.ConvTranspose2d(2, 4, 3), 2),
    "a matrix of grey pixels": (nn.Sequential(nn.Flatten(), nn.Linear(16 * 16, 4)), 1),
    "a matrix of two channels": (nn.Sequential(nn.Flatten(), nn.Linear(2 * 16 * 16, 4)), 2),
    "channels last": (OnEveryPosition(5), 5),
    "a batch of matrices": (Before(mixed, 3), 2),
    "a product of weights before": (nn.utils.parametrizations.orthogonal(nn.Conv2d(2, 4, 3)), 2),
    "registered in another order": (Before(lambda module, x: x, 1), 1),
    "space to depth": (Before(lambda module, x: nn.functional.pixel_unshuffle(x, 2), 12), 3),
    "coordinates": (Before(with_coordinates, 5), 3),
    "grey three times": (Before(lambda module, x: x.repeat(1, 3, 1, 1), 3), 1),
    "a mean colour": (Before(lambda module, x: x - module.colour, 3), 3),
    "colours in another order": (Before(lambda module, x: x[:, [2, 1, 0]], 3), 3),
    "works in place on the image": (Before(in_place, 4), 4),
    "a grey adaptor": (nn.Sequential(nn.Conv2d(1, 3, 1), models.resnet18()), 1),
}


@pytest.mark.parametrize("name", MODULES)
def test_channels_of_the_first_convolution(name):
    module, channels = MODULES[name]
    before = {key: value.clone() for key, value in module.state_dict().items()}
    assert input_channels(module, (16, 16)) == channels
    net = cx.Network(module, size=16)
    assert net.pixels.channels == channels
    assert net.pixels.order == {1: "grey", 3: "RGB"}.get(channels, "channels")
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


@pytest.mark.parametrize("kind", [torch.jit.script, torch.jit.trace])
def test_script_modules(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = kind(
            nn.Conv2d(2, 4, 3), *[torch.zeros(1, 2, 9, 9)] * (kind.__name__ == "trace")
        )  # torch.compile replaces the function
    assert input_channels(module, (9, 9)) == 2


@pytest.mark.parametrize("module", [nn.AvgPool2d(2), nn.Unfold(2), nn.LazyConv2d(4, 3), nn.Identity()])
def test_modules_that_do_not_show_it_take_rgb(module):
    assert input_channels(module, (8, 8)) is None
    assert cx.Network(module, size=8).pixels == cx.Pixels()


def test_what_is_said_is_not_asked():
    assert cx.Network(nn.Conv2d(1, 2, 3), size=8, pixels=cx.Pixels("RGB")).pixels.order == "RGB"
    assert cx.Network(nn.Conv2d(1, 2, 3), size=8, pixels=cx.Pixels("channels", (0.0,))).pixels.order == "channels"


def test_a_grey_network_reads_an_image_in_colour():
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    luma = torch.from_numpy(image @ np.array([0.299, 0.587, 0.114])).float()[None, None]
    found = cx.Network(module, size=9).activations(image, "relu1")
    assert torch.allclose(found, module(luma - 128), rtol=1e-4, atol=1e-3)


def test_a_module_of_torchvision_gets_the_pixels_of_its_weights_and_says_so():
    with pytest.warns(cx.ExploreWarning, match="torchvision's weights"):
        net = cx.Network(models.squeezenet1_1(), size=64)
    assert net.pixels.std == pytest.approx((58.395, 57.12, 57.375))
    assert net.pixels.mean == pytest.approx((123.675, 116.28, 103.53))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = cx.Network(models.squeezenet1_1(), size=64, pixels=cx.Pixels("RGB"))
    assert given.pixels.std == (1, 1, 1)


def test_what_is_taken_for_a_module_of_which_nothing_is_known_is_said():
    with pytest.warns(cx.ExploreWarning, match="given RGB values of 0 to 255 minus 123.675, 116.28, 103.53"):
        net = cx.Network(nn.Conv2d(3, 4, 3), size=16)
    assert net.pixels == cx.Pixels()
    with pytest.warns(cx.ExploreWarning, match=r"given channels of 0 to 255 minus 128, 128, 128, \.\.\.; give"):
        cx.Network(nn.Conv2d(5, 4, 3), size=16)


@pytest.mark.parametrize(
    "wrong", [None, {}, {"mean": (0.5, 0.5, 0.5)}, {"mean": 3, "std": 4}, {"mean": "abc", "std": "abc"}]
)
def test_a_module_that_names_its_pixels_is_taken_at_its_word(wrong):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    module.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.5, 1.0)}
    assert cx.Network(module, size=16).pixels == cx.Pixels("RGB", (127.5,) * 3, (63.75, 127.5, 255.0))
    module.pretrained_cfg = wrong
    assert cx.Network(module, size=16).pixels.std == (1, 1, 1)
