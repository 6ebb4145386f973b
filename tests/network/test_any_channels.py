"""Networks of 2, 4 and 16 channels: every method's numbers against plain torch, and every picture is drawn."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import cnnexplore as cx
from cnnexplore import drawing
from cnnexplore.network import Network, read_image

SIZE = (12, 14)


def network(channels, **more):
    torch.manual_seed(channels)
    module = nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5),
    )  # fmt: skip
    return Network(module, size=SIZE, name="many", **more)


def picture(channels, seed=0, size=SIZE):
    return np.random.default_rng(seed).integers(0, 256, (*size, channels), dtype=np.uint8)


def x_of(image, mean=128.0):
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() - mean


@pytest.fixture(params=[2, 4, 16])
def net(request):
    return network(request.param)


def test_numbers_and_their_order(net):
    c = net.pixels.channels
    image = picture(c)
    for given in (image, torch.from_numpy(image).permute(2, 0, 1), image / 255, image.astype(">u2") * 257, image[None]):
        assert torch.allclose(net.pixels_of(given), x_of(image), atol=1e-3)
    assert repr(net).startswith(f"<Network many: 12 x 14 {c} channels, ")
    activations = net.activations(image, ["conv1", "conv2"])
    with torch.no_grad():
        assert torch.allclose(activations["conv1"], net.module[0](x_of(image)), rtol=1e-4, atol=1e-3)
        assert torch.allclose(activations["conv2"], net.module[:4](x_of(image)), rtol=1e-4, atol=1e-3)
        p = net.module(x_of(image)).softmax(1)[0]
    (label, value), *_ = net.predict(image, 1)
    assert label == f"class {int(p.argmax())}"
    assert value == pytest.approx(float(p.max()), abs=1e-4)


def test_a_mean_and_a_deviation_for_each_channel():
    mean, std = (10.0, 20.0, 30.0, 40.0), (1.0, 2.0, 3.0, 4.0)
    net, image = network(4, pixels=cx.Pixels("channels", mean, std)), picture(4)
    fed = net.feed(net.pixels_of(image))
    for k in range(4):
        assert np.allclose(fed[0, k].numpy(), (image[..., k] - mean[k]) / std[k], atol=1e-4)
    assert cx.Pixels.from_json(net.pixels.to_json()) == net.pixels
    assert net.pixels.norm == pytest.approx(80 * math.sqrt(4 / 3))


def test_another_size_is_cropped_and_resampled_channel_by_channel(net):
    c = net.pixels.channels
    image = picture(c, size=(24, 28))
    expected = F.interpolate(x_of(image, 0.0), SIZE, mode="bicubic", antialias=True).clamp(0, 255) - 128
    assert torch.allclose(net.pixels_of(image), expected, atol=1e-2)


def test_the_channels_are_drawn_side_by_side(net):
    c = net.pixels.channels
    rows, columns = {2: (1, 2), 4: (2, 2), 16: (4, 4)}[c]
    image = picture(c)
    drawn = net.picture(net.pixels_of(image))
    assert drawn.shape == (rows * 12, columns * 14, 3)
    for k in range(c):
        top, left = 12 * (k // columns), 14 * (k % columns)
        tile = drawn[top : top + 12, left : left + 14]
        assert np.array_equal(tile, np.repeat(image[..., k : k + 1], 3, -1))
    assert net.picture(net.pixels_of([image, image])).shape == (2, *drawn.shape)


def test_five_channels_leave_a_white_place():
    pixels = cx.Pixels.for_channels(5)
    drawn = pixels.decode(torch.zeros(1, 5, 2, 3))[0].numpy()
    assert drawn.shape == (4, 9, 3)
    assert (drawn[2:, 6:] == 255).all()
    assert (drawn[:2] == 128).all()
    signed = drawing.signed_picture(np.ones((5, 2, 3)))
    assert signed.shape == (4, 9, 3)


@pytest.mark.parametrize("wrong", [1, 3, 5])
def test_another_number_of_channels_is_refused(wrong, refused):
    refused(cx.ImageError, lambda: network(4).pixels_of(picture(wrong)), "12x14", "(H, W, 4)", "(4, H, W)")


def test_pillows_pictures_of_four_channels_stay_as_they_are():
    from PIL import Image

    image = picture(4)
    for mode in ("RGBA", "CMYK"):
        assert np.array_equal(read_image(Image.fromarray(image, mode), 4).permute(1, 2, 0).numpy(), image)


def gradient_of(net, image, unit):
    x = x_of(image).requires_grad_()
    net.module(x)[0, unit].backward()
    return x.grad[0]


def test_attributions(net):
    image, c = picture(net.pixels.channels), net.pixels.channels
    gradient = gradient_of(net, image, 2)
    found = cx.attribute(net, image, target=2, method="gradient")
    assert found.raw.shape == (c, *SIZE)
    assert np.allclose(found.raw, gradient.numpy(), atol=1e-6)
    assert found.map.shape == SIZE
    rows, columns = drawing.channel_grid(c)
    assert found.overlay().shape == (rows * 12, columns * 14, 3)
    with torch.no_grad():
        x = x_of(image)
        whole, covered = net.module(x)[0, 2], x.clone()
        covered[..., 4:8, 6:10] = torch.arange(c).view(-1, 1, 1) - 128.0
        fall = float(whole - net.module(covered)[0, 2])
    raw = cx.attribute(net, image, target=2, method="occlusion", window=4, stride=2, fill=list(range(c))).raw
    assert raw[0, 2, 3] == pytest.approx(fall, abs=1e-4)


@pytest.mark.parametrize("method", cx.attribution_methods())
def test_every_attribution_is_drawn(method):
    net = network(4)
    found = cx.attribute(net, picture(4), target=1, method=method)
    assert np.isfinite(found.map).all()
    assert found.overlay().shape == (24, 28, 3)
    assert found.plot()
    assert found.picture.shape == (12, 14, 3)


def test_pre_images(net):
    c = net.pixels.channels
    image = picture(c)
    found = cx.invert(net, image, "conv2", steps=20, progress=False)
    assert found.x.shape == (1, c, *SIZE)
    with torch.no_grad():
        wanted, got = net.module[:4](x_of(image)), net.module[:4](found.x.cpu())
    assert float((got - wanted).norm() / wanted.norm()) == pytest.approx(float(found.error), rel=1e-3)
    rows, columns = drawing.channel_grid(c)
    assert found.picture.shape == (rows * 12, columns * 14, 3)
    best = cx.maximize(net, "fc3", 2, steps=30, progress=False)
    assert best.x.shape[1] == c
    with torch.no_grad():
        start = net.module(torch.zeros(1, c, *SIZE))[0, 2]
        assert net.module(best.x.cpu())[0, 2] > start
    assert best.picture.ndim == 3


def test_units_and_their_images(net):
    c = net.pixels.channels
    images = [picture(c, seed) for seed in range(6)]
    found = cx.top_patches(net, "conv1", [0, 3], images, k=2, progress=False)
    with torch.no_grad():
        peaks = net.module[0](torch.cat([x_of(one) for one in images])).flatten(2).amax(2)
    for row, unit in enumerate((0, 3)):
        values, numbers = peaks[:, unit].topk(2)
        assert np.allclose(found.values[row], values.numpy(), rtol=1e-4)
        assert found.indices[row].tolist() == numbers.tolist()
    rows, columns = drawing.channel_grid(c)
    patches = found.patches(3)
    assert patches.shape == (2, rows * 3, columns * 3, 3)
    r, q = found.positions[1, 0]
    if 1 <= r < 11 and 1 <= q < 13:
        seen = images[found.indices[1, 0]][r - 1 : r + 2, q - 1 : q + 2, c - 1]
        last = divmod(c - 1, columns)
        tile = patches[0, last[0] * 3 : last[0] * 3 + 3, last[1] * 3 : last[1] * 3 + 3]
        assert np.array_equal(tile[..., 0], seen)
    assert found.projections(3).shape == patches.shape
    assert found.plot()
    shown = cx.unit_segments(net, "conv1", 3, images, k=2, progress=False)
    assert shown.cutouts().shape == shown.pictures.shape
    assert shown.masks.shape == (2, *SIZE)
    assert cx.filters(net).pictures().shape[1:] == (rows * 3, columns * 3, 3)


def test_everything_else_that_draws(net):
    c = net.pixels.channels
    images = [picture(c, seed) for seed in range(6)]
    maps = cx.discrepancy_maps(net, images[0], "conv2", 1, patch=3, progress=False)
    assert maps.map(1).shape == SIZE
    smallest = cx.minimal_image(net, images[0], segments=4, progress=False)
    assert smallest.mask.shape == SIZE
    near = cx.neighbours(net, images[0], "conv2", images, k=2, progress=False)
    assert near.in_pixels[0] == 0
    decoded = cx.decode(net, "conv2", [1], progress=False)
    for shown in (maps, smallest, near, decoded, cx.activation_maps(net, images[0], "conv1"), cx.filters(net)):
        assert shown.plot()
        assert shown.picture.shape[-1] == 3
    features = cx.features(net, images, "conv2", progress=False)
    assert features.pictures([0, 1]).shape[0] == 2


def test_bundled_images_fill_every_channel(net):
    from cnnexplore.data import bundled_images

    image = bundled_images(net)[0]
    assert image.shape[-1] == net.pixels.channels
    assert np.array_equal(image[..., -1], cx.photograph("cat")[..., (net.pixels.channels - 1) % 3])
    assert cx.top_patches(net, "conv1", 0, k=1, progress=False).patches().shape[0] == 1


def test_what_needs_colours_says_so(refused, net):
    c = str(net.pixels.channels)
    image = picture(net.pixels.channels)
    refused(cx.NetworkError, lambda: cx.complete(net, image, np.eye(12, 14) > 0, progress=False), c, "RGB")
    refused(cx.ImageError, lambda: cx.explore(net), c, "images of your own")


def test_panels(net):
    from cnnexplore.widgets import AttributionPanel, InversionPanel

    image = picture(net.pixels.channels)
    for panel in (AttributionPanel, InversionPanel):
        shown = panel(net, image)
        assert shown
        shown.close()


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        ({"order": "channels"}, "mean"),
        ({"order": "channels", "mean": (1.0,) * 1025}, "1024"),
        ({"order": "channels", "mean": (1.0, 2.0), "std": (1.0,)}, "std"),
        ({"order": "RGB", "mean": (1e300, 0, 0)}, "mean"),
        ({"order": "RGB", "norm": "x"}, "norm"),
        ({"order": ["RGB"]}, "order"),
    ],
)
def test_conventions_that_are_none(pixels, words, refused):
    refused(cx.WeightsError, lambda: cx.Pixels(**pixels), words)


def test_means_may_be_arrays():
    assert cx.Pixels("RGB", np.array([1, 2, 3]), torch.tensor([4, 5, 6])).std == (4.0, 5.0, 6.0)
