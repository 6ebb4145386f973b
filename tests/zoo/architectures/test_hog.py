"""HOG against VLFeat's own output and against a slow, literal float64 version of its formulae."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import cnnexplore as cx
from cnnexplore.zoo.architectures.hog import hog
from cnnexplore.zoo.architectures.oriented_gradients import PIXELS

GOLDEN = ["astronaut_128", "astronaut_rgb_128", "camera_128", "rocket_97x131", "step25_64", "constant_64"]
KINDS = ["noise", "8-bit", "steps", "ramp", "edge", "dot", "constant"]
TABLE_4 = {"hog": 0.366, "hog-bilinear": 0.115}  # preimage2016


# the oracles


def batch(image):
    """(H, W) or (H, W, 3) -> (1, C, H, W)."""
    return torch.from_numpy(np.atleast_3d(image).transpose(2, 0, 1)[None].copy())


def synthetic(kind, channels, rows, columns, seed):
    """An image (C, H, W) in 0..255 with ties, flat areas or extremes."""
    random = np.random.default_rng(seed)
    if kind == "noise":
        return random.uniform(0, 255, (channels, rows, columns))
    if kind == "8-bit":
        return random.integers(0, 256, (channels, rows, columns)).astype(float)
    if kind == "steps":  # few values: many flat places, equal channels and gradients straight along an axis
        return random.integers(0, 3, (channels, rows, columns)) * 100.0
    image = np.full((channels, rows, columns), 128.0)
    if kind == "ramp":
        image[:] = np.floor(np.arange(columns) * 255 / columns) + np.arange(rows)[:, None] * (seed % 3)
    elif kind == "edge":
        image[:, :, columns // 2] = 255
    elif kind == "dot":
        image[:, rows // 2, columns // 2] = 0
    return image


def nearest_directions(gx, gy, K, bilinear):
    """[(directed bin, weight)], formula 3.

    VLFeat rounds directions to float32, by which ties are broken; but the arc cosine is taken of exact numbers, for it
    would make 1e-4 of the rounding.
    """
    exact = [(math.cos(k * math.pi / K), math.sin(k * math.pi / K)) for k in range(K)]
    scores = [gx * float(np.float32(cosine)) + gy * float(np.float32(sine)) for cosine, sine in exact]
    best = second = None
    for k in range(K):
        if best is None or abs(scores[k]) > abs(scores[best]):
            best, second = k, best
        elif second is None or abs(scores[k]) > abs(scores[second]):
            second = k
    w = 0.0
    if bilinear:
        ratio = abs(gx * exact[best][0] + gy * exact[best][1]) / max(math.hypot(gx, gy), 1e-10)
        w = math.acos(min(ratio, 1)) / (math.pi / K)
    return [(k + K * (scores[k] < 0), weight) for k, weight in ((best, 1 - w), (second, w))]


def literal_hog(image, cell=8, K=9, bilinear=False):
    """(C, H, W) -> (3 K + 4, h, w), pixel by pixel and cell by cell."""
    _, H, W = image.shape
    rows, columns = (H + cell // 2) // cell, (W + cell // 2) // cell
    h = np.zeros((2 * K, rows, columns))
    for y in range(1, H - 1):
        for x in range(1, W - 1):
            m, gx, gy = -1.0, 0.0, 0.0
            for channel in image:
                dx, dy = channel[y, x + 1] - channel[y, x - 1], channel[y + 1, x] - channel[y - 1, x]
                if dx * dx + dy * dy > m:
                    m, gx, gy = dx * dx + dy * dy, dx, dy
            hy, hx = (y + 0.5) / cell - 0.5, (x + 0.5) / cell - 0.5
            for k, weight in nearest_directions(gx, gy, K, bilinear):
                for i in (math.floor(hy), math.floor(hy) + 1):
                    for j in (math.floor(hx), math.floor(hx) + 1):
                        if 0 <= i < rows and 0 <= j < columns:
                            h[k, i, j] += math.sqrt(m) * weight * (1 - abs(hy - i)) * (1 - abs(hx - j))
    u = h[:K] + h[K:]
    n = np.square(u).sum(0)
    out = np.zeros((3 * K + 4, rows, columns))
    for i in range(rows):
        for j in range(columns):
            for b, (di, dj) in enumerate([(-1, -1), (-1, 1), (1, -1), (1, 1)]):
                far_i, far_j = min(max(i + di, 0), rows - 1), min(max(j + dj, 0), columns - 1)
                f = 1 / math.sqrt(n[i, j] + n[i, far_j] + n[far_i, j] + n[far_i, far_j] + 1e-4)
                out[: 2 * K, i, j] += 0.5 * np.minimum(0.2, f * h[:, i, j])
                out[2 * K : 3 * K, i, j] += 0.5 * np.minimum(0.2, f * u[:, i, j])
                out[3 * K + b, i, j] = np.minimum(0.2, f * u[:, i, j]).sum() / math.sqrt(18)
    return out


# what it computes


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("mode", ["hard", "bilinear"])
def test_vlfeat(name, mode, shared):
    """Where VLFeat's own noise was measured: 1e-7 for hard assignment, and for its arc cosine in float32 1e-4."""
    golden = np.load(shared / "golden" / "hog" / f"{name}.npz")
    image = np.load(shared / "golden" / "inputs" / f"{name}.npy")
    tolerance = 1e-6 if mode == "hard" else 1e-4
    module = hog(bilinear=mode == "bilinear")
    cells = []
    module.cells.register_forward_hook(lambda m, args, out: cells.append(out))
    for suffix, scale in (("", 1), ("_unit", 255)):
        found = module(batch(image / np.float32(scale)))[0].permute(1, 2, 0).numpy()
        expected = golden[f"hog_{mode}{suffix}"]
        assert found.dtype == np.float32
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= tolerance
    found = cells[0][0].permute(1, 2, 0).numpy()
    assert np.abs(found - golden[f"cells_{mode}"]).max() <= tolerance * max(golden[f"cells_{mode}"].max(), 1)
    pixels = PIXELS if image.ndim == 2 else cx.Pixels("RGB")
    found = (
        cx.Network(module, size=image.shape[:2], pixels=pixels)
        .activations(image, "descriptor")[0]
        .permute(1, 2, 0)
        .numpy()
    )
    assert np.abs(found - golden[f"hog_{mode}"]).max() <= 3 * tolerance  # the way through an RGB picture rounds


@settings(max_examples=60)
@given(
    st.tuples(st.integers(3, 26), st.integers(3, 26)), st.integers(1, 9), st.sampled_from([9, 9, 9, 3, 4, 7, 12]),
    st.booleans(), st.sampled_from([1, 3]), st.sampled_from(KINDS), st.integers(0, 9),
)  # fmt: skip
def test_the_formulae(size, cell, K, bilinear, channels, kind, seed):
    rows, columns = (max(side, cell - cell // 2) for side in size)
    image = synthetic(kind, channels, rows, columns, seed)
    expected = literal_hog(image, cell, K, bilinear)
    x = torch.from_numpy(image)[None]
    module = hog(cell, K, bilinear)
    with torch.no_grad():
        assert np.abs(module.double()(x)[0].numpy() - expected).max() <= 1e-6
        if kind != "noise":  # which float32 would round
            assert np.abs(module.float()(x.float())[0].numpy() - expected).max() <= 1e-5


@pytest.mark.parametrize(("side", "cells"), [(4, 1), (11, 1), (12, 2), (16, 2), (19, 2), (20, 3), (97, 12), (131, 16)])
def test_partial_cells(side, cells):
    """A remainder of half a cell or more is a cell; a smaller one votes in the last cell."""
    for shape, expected in (((side, 24), (cells, 3)), ((24, side), (3, cells))):
        assert hog()(torch.rand(1, 1, *shape)).shape == (1, 31, *expected)


def test_channels_point_where_they_say():
    """A ramp to the right is direction 0; its mirror image the opposite; down is 80 degrees; a batch is one by one."""
    ramp = torch.arange(32.0).expand(1, 1, 32, 32)
    images = torch.cat([ramp, ramp.flip(-1), ramp.mT, ramp.mT.flip(-2)])
    found = hog()(images)
    assert found[:, :18].amax((2, 3)).argmax(1).tolist() == [0, 9, 4, 13]
    assert found[:, 18:27].amax((2, 3)).argmax(1).tolist() == [0, 0, 4, 4]
    for k in range(4):
        assert torch.allclose(hog()(images[k : k + 1])[0], found[k], atol=1e-6)
    shared = hog(bilinear=True)(images)  # down is between 80 and 100 degrees
    assert torch.allclose(shared[2, 4], shared[2, 5], atol=1e-6)


def test_a_mirror_image_permutes_the_channels(shared):
    flip = np.load(shared / "golden" / "hog" / "astronaut_128.npz")["lr_flip_permutation"]
    x = torch.rand(1, 1, 32, 40, generator=torch.Generator().manual_seed(0))
    for bilinear in (False, True):
        module = hog(bilinear=bilinear)
        assert torch.allclose(module(x.flip(-1)).flip(-1)[:, flip], module(x), atol=1e-6)


def test_the_first_of_equal_channels_counts():
    a = torch.arange(16.0).expand(16, 16)
    x = torch.stack([torch.zeros(16, 16), a, a.T])[None]
    assert torch.equal(hog()(x), hog()(a[None, None]))
    assert torch.equal(hog()(x[:, [0, 2, 1]]), hog()(a.T[None, None]))
    assert torch.equal(hog()(a.expand(1, 3, 16, 16)), hog()(a[None, None]))


# derivatives


@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize(("cell", "shape"), [(4, (1, 1, 11, 9)), (3, (1, 3, 8, 7)), (8, (2, 1, 6, 13))])
def test_gradients(cell, shape, bilinear):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 255
    assert torch.autograd.gradcheck(hog(cell, bilinear=bilinear).double(), x.requires_grad_(), eps=1e-4, atol=1e-6)


@pytest.mark.parametrize("bilinear", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite_everywhere(kind, bilinear):
    for channels in (1, 3):
        image = torch.from_numpy(synthetic(kind, channels, 40, 44, 1)).float()[None]
        for x in (image, image / 255, image * 1e-6, image * 1e-12):
            x = x.clone().requires_grad_()
            out = hog(bilinear=bilinear)(x)
            weights = torch.rand(out.shape, generator=torch.Generator().manual_seed(0))
            (gradient,) = torch.autograd.grad((out * weights).sum(), x)
            assert torch.isfinite(gradient).all()
        if kind == "constant":
            assert not gradient.any()
    x = image.requires_grad_()
    (gradient,) = torch.autograd.grad((hog(bilinear=bilinear)(x) * weights).sum(), x)
    assert bool(gradient.any()) == (kind != "constant")


# as a network


@pytest.mark.parametrize("name", ["hog", "hog-bilinear"])
def test_layers(name):
    net = cx.load(name, device="cpu")
    assert (net.name, net.to_python(), net.size, net.labels) == (name, f"cx.load({name!r})", (224, 224), [])
    assert net.pixels == cx.Pixels("grey", (128,), (1,), 80)
    found = [(v.name, v.channels, v.size, v.rf_size, v.rf_stride, v.rf_offset) for v in net.layers.values()]
    assert found == [
        ("gradient", 2, (222, 222), (3, 3), (1, 1), (1, 1)),
        ("orientations", 18, (222, 222), (3, 3), (1, 1), (1, 1)),
        ("cells", 18, (28, 28), (18, 18), (8, 8), (3.5, 3.5)),
        ("blocks", 108, (29, 29), (26, 26), (8, 8), (-0.5, -0.5)),
        ("normalised", 108, (29, 29), (26, 26), (8, 8), (-0.5, -0.5)),
        ("clipped", 108, (29, 29), (26, 26), (8, 8), (-0.5, -0.5)),
        ("descriptor", 31, (28, 28), (34, 34), (8, 8), (3.5, 3.5)),
    ]
    activations = net.activations(cx.photograph("cat"), list(net.layers))
    assert all(tuple(activations[v.name].shape) == (1, v.channels, *v.size) for v in net.layers.values())
    assert activations["clipped"].max() <= 0.2
    assert activations["descriptor"].min() >= 0
    assert not any(p.requires_grad for p in net.module.parameters())


@pytest.mark.parametrize("layer", ["orientations", "cells", "blocks", "descriptor"])
def test_receptive_fields_are_what_gradients_reach(layer):
    net = cx.Network(hog(bilinear=True), size=(72, 80), pixels=PIXELS)
    x = torch.rand(1, 1, 72, 80, generator=torch.Generator().manual_seed(2)).mul_(255).requires_grad_()
    activation = net.probe(layer)(x)[layer]
    row, column = activation.shape[-2] // 2, activation.shape[-1] // 2
    (gradient,) = torch.autograd.grad((activation[0, :, row, column] * torch.rand(activation.shape[1])).sum(), x)
    rows, columns = gradient[0, 0].any(1).nonzero().flatten(), gradient[0, 0].any(0).nonzero().flatten()
    assert net.layers[layer].rf_box(row, column) == (rows[0], columns[0], rows[-1], columns[-1])


def test_bad_input(refused):
    small = hog()
    refused(cx.ImageError, lambda: small(torch.zeros(1, 1, 3, 20)), "3 x 20", "cells of 8", "4 x 4")
    refused(cx.ImageError, lambda: hog(2)(torch.zeros(1, 1, 2, 2)), "3 x 3")
    refused(cx.ImageError, lambda: small(torch.zeros(1, 2, 30, 30)), "1x2x30x30", "(N, 3, H, W)")
    refused(cx.ImageError, lambda: small(torch.zeros(30, 30)), "30x30")
    refused(cx.ImageError, lambda: cx.Network(hog(), size=3, pixels=PIXELS).layers, "3 x 3", "4 x 4")
    for wrong in (0, -8, 2.5, "8", True, None):
        refused(cx.SettingError, lambda wrong=wrong: hog(wrong), "cell", repr(wrong))
    refused(cx.SettingError, lambda: hog(orientations=1), "orientations is 1")
    refused(cx.WeightsError, lambda: cx.load("hog", weights="random"), "'hog'", "formulae")
    refused(cx.NetworkError, lambda: cx.load("hogg"), "'hog'")
    refused(cx.NetworkError, lambda: cx.load("hog", device="cpu").predict(cx.photograph("cat")), "hog")
    assert cx.zoo.architectures.hog.hog(np.int64(4)).cell == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", list(TABLE_4))
def test_inversion(name):
    """A third of the paper's steps already leaves less than its mean error; C is that of the authors' experiments."""
    net = cx.load(name, device="cpu")
    run = cx.Inversion(net, cx.photograph("cat"), "descriptor", steps=100, refine=0)
    assert (run.settings.C, run.settings.jitter) == (100, 1)
    for frame in run.frames():
        assert torch.isfinite(frame.terms).all()
    result = run.result()
    assert result.history["error"][0] > 0.6
    assert result.error < TABLE_4[name]
