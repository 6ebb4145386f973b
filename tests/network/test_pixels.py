"""The pixel convention: orders, means and spreads there and back, and torchvision's own preparation."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn
from torchvision import models, transforms

import cnnexplore as cx
from cnnexplore.network import crop_and_resize, read_image

CONVENTIONS = {
    "RGB": cx.Pixels("RGB", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "BGR": cx.Pixels("BGR", (104, 117, 123)),
    "grey": cx.Pixels("grey", (33.32,), (78.57,), 128.0),
}


def picture(height=6, width=7, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def network(pixels, size):
    return cx.Network(nn.Conv2d(pixels.channels, 2, 1), size=size, pixels=pixels)


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_colours_come_back(order):
    net, image = network(CONVENTIONS[order], (6, 7)), picture()
    x = net.pixels_of(image)
    assert x.shape == (1, 3, 6, 7)
    assert x.dtype == torch.float32
    for c in range(3):
        channel = c if order == "RGB" else 2 - c
        for row, column in np.ndindex(6, 7):
            expected = float(image[row, column, channel]) - net.pixels.mean[c]
            assert float(x[0, c, row, column]) == pytest.approx(expected, abs=1e-4)
            assert float(net.pixels.feed(x)[0, c, row, column]) == pytest.approx(expected / net.pixels.std[c], abs=1e-4)
    assert np.array_equal(net.picture(x), image)


def test_grey_is_luma_and_comes_back():
    net, image = network(CONVENTIONS["grey"], (6, 7)), picture()
    x = net.pixels_of(image)
    assert x.shape == (1, 1, 6, 7)
    luma = np.asarray(Image.fromarray(image).convert("L")).astype(int)
    shown = net.picture(x)
    assert np.abs(shown[..., 0].astype(int) - luma).max() <= 1  # Pillow truncates
    assert (shown == shown[..., :1]).all()
    assert np.array_equal(net.picture(net.pixels_of(shown)), shown)
    assert float(x[0, 0, 0, 0]) == pytest.approx(float(image[0, 0] @ [0.299, 0.587, 0.114]) - 33.32, abs=1e-3)


def test_a_picture_is_clipped_to_what_a_screen_shows():
    net = network(CONVENTIONS["RGB"], 2)
    x = torch.tensor([-1000.0, 1000.0, 0.4 - 123.675, 254.6 - 123.675]).view(1, 1, 2, 2).expand(1, 3, 2, 2)
    kept = x.clone()
    assert net.picture(x)[..., 0].tolist() == [[0, 255], [0, 255]]
    assert torch.equal(x, kept)
    assert net.picture(x[0]).shape == (2, 2, 3)
    assert net.picture(x.expand(4, -1, -1, -1)).shape == (4, 2, 2, 3)


def test_defaults():
    for order, channels in (("RGB", 3), ("BGR", 3), ("grey", 1)):
        pixels = cx.Pixels(order)
        assert (pixels.channels, len(pixels.mean), pixels.std) == (channels, channels, (1.0,) * channels)
        assert pixels.norm == pytest.approx(80 * math.sqrt(channels / 3))
    assert cx.Pixels("BGR").mean == cx.Pixels("RGB").mean[::-1]
    assert cx.Pixels() == cx.Pixels("RGB")
    x = torch.rand(1, 3, 2, 2)
    assert torch.equal(cx.Pixels().feed(x), x)


@given(st.sampled_from(["RGB", "BGR", "grey"]), st.integers(0, 99), st.floats(0.5, 500))
def test_json_there_and_back(order, seed, norm):
    rng = np.random.default_rng(seed)
    channels = cx.Pixels(order).channels
    pixels = cx.Pixels(order, tuple(rng.random(channels) * 255), tuple(rng.random(channels) * 80 + 1), norm)
    assert cx.Pixels.from_json(pixels.to_json()) == pixels


def test_json_with_the_least():
    assert cx.Pixels.from_json('{"order": "BGR", "mean": [104, 117, 123]}') == cx.Pixels("BGR", (104, 117, 123))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "5", "null", "{}", '{"order": "RGB"}', '{"order": "RGB", "mean": 3}', '{"order": "HSV", "mean": [1]}',
     '{"order": "RGB", "mean": [1, 2]}', '{"order": ["RGB"], "mean": [1, 2, 3]}', '{"order": "grey", "mean": ["x"]}',
     '{"order": "grey", "mean": [NaN]}', '{"order": "grey", "mean": [1], "std": [0]}',
     '{"order": "grey", "mean": [1], "std": [-2]}', '{"order": "grey", "mean": [1], "norm": -1}',
     '{"order": "grey", "mean": [1], "norm": NaN}', '{"order": "grey", "mean": [1], "norm": Infinity}',
     '{"order": "grey", "mean": [1], "norm": "x"}'],
)  # fmt: skip
def test_conventions_that_are_none(text, refused):
    refused(cx.WeightsError, lambda: cx.Pixels.from_json(text), "ixels")


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "vgg16"])
def test_torchvisions_conventions(name):
    """At the network's own size nothing is resampled: what is fed must be what torchvision feeds."""
    weights = models.get_model_weights(name).DEFAULT
    size = weights.transforms().crop_size[0]
    theirs = weights.transforms(resize_size=size)
    net = cx.load(name, weights="random", device="cpu")
    assert net.size == (size, size)
    assert net.labels == weights.meta["categories"]
    image = picture(size, size)
    mine = net.pixels.feed(net.pixels_of(image))
    assert float((mine - theirs(Image.fromarray(image))[None]).abs().max()) < 1e-3
    by_steps = transforms.Compose([
        transforms.ToTensor(), transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    assert float((mine - by_steps(image)[None]).abs().max()) < 1e-3


def test_feeding_a_module_changes_no_number():
    """The memory layout is the network's business, the values are the convention's."""
    for parts in ([nn.Conv2d(3, 2, 3)], [nn.Conv2d(3, 2, 3), nn.LocalResponseNorm(3)]):
        net = cx.Network(nn.Sequential(*parts), size=(6, 7), pixels=CONVENTIONS["RGB"])
        x = net.pixels_of([picture(), picture(seed=1)])
        kept = x.clone()
        assert torch.equal(net.feed(x), (x.double() / torch.tensor(net.pixels.std)[:, None, None]).float())
        assert torch.equal(x, kept)


# fitting to the network's input


@pytest.mark.parametrize(("inside", "outside"), [((60, 80), (30, 40)), ((50, 64), (20, 31)), ((12, 16), (36, 48))])
def test_resampling_is_pillows_bicubic(inside, outside):
    smooth = np.asarray(Image.fromarray(picture(5, 5)).resize(inside[::-1], Image.Resampling.BICUBIC))
    mine = crop_and_resize(read_image(smooth), outside)
    assert mine.shape == (3, *outside)
    scale = max(outside[0] / inside[0], outside[1] / inside[1])
    h, w = round(outside[0] / scale), round(outside[1] / scale)
    top, left = (inside[0] - h) // 2, (inside[1] - w) // 2
    crop = Image.fromarray(smooth[top : top + h, left : left + w])
    theirs = np.asarray(crop.resize(outside[::-1], Image.Resampling.BICUBIC)).astype(float)
    assert np.abs(mine.permute(1, 2, 0).numpy() - theirs).max() <= 2.1


@pytest.mark.parametrize(("inside", "outside"), [((40, 80), (20, 20)), ((80, 40), (20, 20)), ((30, 30), (10, 20))])
def test_the_largest_centred_part_is_taken(inside, outside):
    """An image whose parts outside the centre are white: none of it may come in, and the centre must fill it."""
    scale = max(outside[0] / inside[0], outside[1] / inside[1])
    h, w = round(outside[0] / scale), round(outside[1] / scale)
    top, left = (inside[0] - h) // 2, (inside[1] - w) // 2
    image = np.full((*inside, 3), 255, np.uint8)
    image[top : top + h, left : left + w] = 100
    assert torch.allclose(crop_and_resize(read_image(image), outside), torch.tensor(100.0), atol=1e-3)
    image[top, left : left + w] = 0  # the first row of the centre is seen
    assert float(crop_and_resize(read_image(image), outside)[0, 0].min()) < 90


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30), st.integers(1, 30))
def test_any_size_fits(h, w, rows, columns):
    out = crop_and_resize(torch.rand(3, h, w) * 255, (rows, columns))
    assert out.shape == (3, rows, columns)
    assert float(out.min()) >= 0
    assert float(out.max()) <= 255


def test_the_right_size_is_left_alone():
    image = torch.rand(3, 9, 8) * 255
    assert torch.equal(crop_and_resize(image, (9, 8)), image)


def test_lists_and_stacks():
    net = network(CONVENTIONS["RGB"], (6, 7))
    images = [picture(seed=seed) for seed in range(3)]
    x = net.pixels_of(images)
    assert x.shape == (3, 3, 6, 7)
    assert torch.equal(net.pixels_of(np.stack(images)), x)
    assert torch.equal(net.pixels_of(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)), x)
    assert torch.equal(net.pixels_of([images[0], Image.fromarray(images[1]), torch.from_numpy(images[2])]), x)
    mixed = net.pixels_of([picture(30, 20), picture(5, 90)])
    assert mixed.shape == (2, 3, 6, 7)


def test_metadata_is_plain_json():
    assert json.loads(CONVENTIONS["grey"].to_json()) == {
        "order": "grey", "mean": [33.32], "std": [78.57], "norm": 128.0,
    }  # fmt: skip
