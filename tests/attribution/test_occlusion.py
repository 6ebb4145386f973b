"""Occlusion beside passes of plain torch, window by window, and what approximate maps say of their error."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import cnnexplore as cx
from cnnexplore.attribution import attribute_stream
from cnnexplore.attribution.window_falls import LEAST_MEASURED, WindowFalls, mean_over_windows

MEAN, STD = (123.0, 117.0, 104.0), (58.0, 57.0, 57.5)


def picture(size, seed=0):
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(*size, 3)), (3, 3, 0))
    return np.clip(128 + 50 * noise / noise.std(), 0, 255).astype(np.uint8)


def fed(image):
    x = (torch.from_numpy(image).double() - torch.tensor(MEAN)) / torch.tensor(STD)
    return x.permute(2, 0, 1)[None]


def plain_falls(module, image, unit, window, stride):
    """The fall of a score for every window, and its mean at every pixel, by passes of the module in float64."""
    module, x = module.double().eval(), fed(image)
    (height, width), falls = image.shape[:2], {}
    total, count = np.zeros((height, width)), np.zeros((height, width))
    with torch.no_grad():
        score = float(module(x)[0, unit])
        for top in range(0, max(height - window, 0) + stride, stride):
            for left in range(0, max(width - window, 0) + stride, stride):
                covered = x.clone()
                covered[..., top : top + window, left : left + window] = 0
                falls[top // stride, left // stride] = fall = score - float(module(covered)[0, unit])
                total[top : top + window, left : left + window] += fall
                count[top : top + window, left : left + window] += 1
    module.float()
    shape = tuple(np.max(list(falls), 0) + 1)
    return np.array(list(falls.values())).reshape(shape), total / count


def built(name):
    import torchvision.models as models

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        module = getattr(models, name)(weights=None, num_classes=7).eval()
    return module


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "size"), [("resnet18", (75, 93)), ("mobilenet_v2", (81, 70))])
def test_every_window_is_that_of_a_plain_pass(name, size):
    module, image = built(name), picture(size)
    net = cx.Network(module, size=size, pixels=cx.Pixels("RGB", MEAN, STD))
    a = cx.attribute(net, image, 4, method="occlusion", window=14, stride=9, progress=False)
    falls, mean = plain_falls(module, image, 4, 14, 9)
    change = np.abs(falls).max()
    assert a.raw.shape[1:] == falls.shape
    assert np.abs(a.raw[0] - falls).max() <= 1e-3 * change
    assert np.abs(a.map - mean).max() <= 1e-3 * np.abs(mean).max()
    assert (a.accuracy, a.bound, a.in_short) == ("exact", 0.0, "")


@pytest.mark.filterwarnings("ignore")
def test_every_discrepancy_is_that_of_a_plain_pass():
    module, size = built("resnet18"), (75, 93)
    image = picture(size)
    net = cx.Network(module, size=size, pixels=cx.Pixels("RGB", MEAN, STD))
    layer = [name for name, one in net.layers.items() if one.has_map and min(one.size) > 1][-1]
    found = cx.discrepancy_maps(net, image, layer, [1, 5], patch=16, stride=16, batch=8, progress=False)
    x, probe = net.pixels_of(image), net.probe(layer)
    with torch.no_grad():
        before = probe(net.feed(x))[layer][0]
        corners = [(row, column) for row in range(0, size[0], 16) for column in range(0, size[1], 16)]
        noise = torch.Generator().manual_seed(0)
        for k, (row, column) in enumerate(corners):
            if k % 8 == 0:
                patches = net.pixels.encode(255 * torch.rand(min(8, len(corners) - k), 3, 16, 16, generator=noise))
            covered, height, width = x.clone(), min(16, size[0] - row), min(16, size[1] - column)
            covered[0, :, row : row + height, column : column + width] = patches[k % 8][:, :height, :width]
            change = (probe(net.feed(covered))[layer][0] - before).abs()
            for n, unit in enumerate((1, 5)):
                here = change[(unit, *found.positions[n])]
                assert found.values[n, row // 16, column // 16] == pytest.approx(float(here), rel=1e-3, abs=1e-5)


shapes = st.tuples(st.integers(1, 24), st.integers(1, 24))


@settings(max_examples=60, deadline=None)
@given(shapes, st.tuples(st.integers(1, 6), st.integers(1, 6)), st.integers(0, 10**6), st.integers(1, 40))
def test_what_is_said_of_a_grid_is_true_at_every_moment(shape, steps, seed, batch):
    true = np.random.default_rng(seed).normal(size=shape).cumsum(0).cumsum(1)
    falls, measured = WindowFalls(shape, steps, seed), []
    seen = []
    for k, phase in enumerate((falls.first, falls.second, falls.last)):
        windows = phase()
        if k == 1:
            between = falls.shown[0].copy()
        for first in range(0, len(windows), batch):
            some = windows[first : first + batch]
            falls.add(some, [float(true[one]) for one in some])
            seen += some
            values, known = falls.shown
            assert (values[falls.computed] == true[falls.computed]).all()
            assert falls.computed.sum() == len(set(seen)) == len(seen)
            if falls.is_exact:
                assert falls.accuracy == "exact"
                assert falls.bound == 0
            elif falls.is_bounded:
                assert falls.accuracy.startswith("approximate")
                assert known.all()
                measured = [one for one in seen if one in set(falls._drawn)]
                assert len(measured) == falls.measured >= LEAST_MEASURED
                assert falls.bound == max(abs(true[one] - between[one]) for one in measured)
            else:
                assert falls.accuracy.startswith("unfinished")
                assert falls.bound is None
            assert k or not known[~falls.computed].any()
    assert falls.is_exact
    assert np.array_equal(falls.shown[0], true)


def test_another_window_is_as_seldom_farther_off_as_is_said():
    beyond = []
    for seed in range(300):
        random = np.random.default_rng(seed)
        true = random.standard_cauchy((16, 16)) if seed % 2 else random.normal(size=(16, 16)).cumsum(0)
        falls = WindowFalls((16, 16), (2, 2), seed)
        windows = falls.first()
        falls.add(windows, [float(true[one]) for one in windows])
        windows = falls.second()
        falls.add(windows, [float(true[one]) for one in windows])
        assert falls.measured == LEAST_MEASURED
        assert f"at most {1 / (LEAST_MEASURED + 1):.2g}" in falls.accuracy
        off = np.abs(falls.shown[0] - true)[~falls.computed]
        beyond.append(np.mean(off > falls.bound))
    # Exchangeable errors: 1 / 20 is the expected share; its mean over 300 draws is within four standard errors.
    assert np.mean(beyond) <= 1 / (LEAST_MEASURED + 1) + 4 * np.std(beyond) / np.sqrt(len(beyond))
    assert np.mean(beyond) > 0.5 / (LEAST_MEASURED + 1)


@settings(max_examples=20, deadline=None)
@given(st.tuples(st.integers(1, 30), st.integers(1, 30)), st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_the_mean_at_a_pixel_is_that_of_a_loop(size, window, stride, seed):
    stride, random = min(stride, window), np.random.default_rng(seed)
    shape = tuple(max(0, -(-(n - window) // stride)) + 1 for n in size)
    values, known = random.normal(size=shape), random.random(shape) < 0.7
    total, count = np.zeros(size), np.zeros(size)
    for i, j in np.argwhere(known):
        where = slice(i * stride, i * stride + window), slice(j * stride, j * stride + window)
        total[where] += values[i, j]
        count[where] += 1
    found = mean_over_windows(values, known, size, (window, window), (stride, stride))
    assert np.allclose(found, total / np.maximum(count, 1))


def small(seed, kernel, pooled):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = [nn.Conv2d(3, 6, kernel, padding=kernel // 2), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if pooled else [nn.Conv2d(6, 6, 3, 2), nn.ReLU()]
        return nn.Sequential(*layers, nn.Conv2d(6, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
                             nn.Linear(32, 4))  # fmt: skip


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 3, 5]), st.booleans(), st.integers(4, 6))
def test_approximate_maps_of_any_module_say_their_error(seed, kernel, pooled, window):
    image, stride = picture((27, 23), seed), 2
    net = cx.Network(small(seed, kernel, pooled), size=(27, 23), pixels=cx.Pixels("RGB", MEAN, STD))
    options = {"window": window, "stride": stride}
    falls, mean = plain_falls(net.module, image, 2, window, stride)
    scale = np.abs(falls).max()
    for a, _ in attribute_stream(net, image, 2, method="occlusion", **options):
        if a.accuracy.startswith("unfinished"):
            assert a.bound is None
            continue
        off = np.abs(a.raw[0] - falls)
        assert np.abs(a.map - mean).max() <= off.max() + 1e-3 * scale
        # 1 in 20 is expected; that half are farther off than 19 drawn ones has a probability of 2 ** -19.
        assert np.mean(off > a.bound + 1e-3 * scale) < 1 / 2
    assert a.accuracy == "exact"
    assert np.abs(a.raw[0] - falls).max() <= 1e-3 * scale
    short = cx.attribute(net, image, 2, method="occlusion", approximate=True, progress=False, **options)
    assert short.accuracy.startswith(("approximate", "exact"))
    assert short.python == cx.attribute(net, image, 2, method="occlusion", progress=False, **options).python


def test_options(refused):
    net, image = cx.load("lenet"), cx.digit(3)
    refused(cx.SettingError, lambda: cx.attribute(net, image, method="occlusion", approximate=3), "approximate is 3")
    refused(cx.SettingError, lambda: cx.attribute(net, image, method="occlusion", seed=-1), "seed is -1")
    a = cx.attribute(net, image, method="occlusion", window=6, stride=1, approximate=True, progress=False)
    assert a.accuracy.startswith("approximate")
    assert "approximate" not in a.to_python()
    assert "approximate" in a.plot().get_suptitle()
    assert a.bound > 0
