"""Dense SIFT against VLFeat's own output and against a slow, literal float64 version of its formulae."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_hog import KINDS, synthetic

import cnnexplore as cx
from cnnexplore.zoo.architectures.dsift import dsift
from cnnexplore.zoo.architectures.oriented_gradients import PIXELS

GOLDEN = ["astronaut_128", "camera_128", "rocket_97x131", "step25_64", "constant_64"]


# the oracles


def root(square):
    """VLFeat's square root: nothing below 1e-4."""
    return math.sqrt(square) if square >= 1e-8 else 0.0


def literal_maps(image, T):
    """(H, W) -> (T, H, W), formulae 1 to 3."""
    H, W = image.shape
    maps = np.zeros((T, H, W))
    for y in range(H):
        for x in range(W):
            left, right, up, down = max(x - 1, 0), min(x + 1, W - 1), max(y - 1, 0), min(y + 1, H - 1)
            gx = (image[y, right] - image[y, left]) / (right - left)
            gy = (image[down, x] - image[up, x]) / (down - up)
            a = abs(gy) + 2.0**-23
            r, base = ((gx - a) / (gx + a), math.pi / 4) if gx >= 0 else ((gx + a) / (a - gx), 3 * math.pi / 4)
            angle = base + (0.1821 * r * r - 0.9675) * r
            angle = (-angle if gy < 0 else angle) % (2 * math.pi)
            nt = T * angle / (2 * math.pi)
            k = math.floor(nt)
            maps[k % T, y, x] += (1 - (nt - k)) * root(gx * gx + gy * gy)
            maps[(k + 1) % T, y, x] += (nt - k) * root(gx * gx + gy * gy)
    return maps


def literal_dsift(image, cell=8, step=8, T=8, flat=True, window=2.0):
    """(H, W) -> (16 T, h, w), frame by frame and bin by bin."""
    H, W = image.shape
    maps = np.pad(literal_maps(image, T), ((0, 0), (cell, cell), (cell, cell)), mode="edge")
    offsets = np.arange(1 - cell, cell)
    triangle = 1 - np.abs(offsets) / cell
    rows, columns = (H - 1 - 3 * cell) // step + 1, (W - 1 - 3 * cell) // step + 1
    out = np.zeros((16 * T, rows, columns))

    def along(i):
        """The weights of a bin's pixels along an axis."""
        gaussian = np.exp(-(((offsets + cell * (i - 1.5)) / (window * cell)) ** 2) / 2)
        return triangle * (gaussian.mean() if flat else gaussian)

    for i in range(rows):
        for j in range(columns):
            for by in range(4):
                for bx in range(4):
                    y, x = i * step + cell * by + 1, j * step + cell * bx + 1  # of the first pixel, in the padded maps
                    patch = maps[:, y : y + 2 * cell - 1, x : x + 2 * cell - 1]
                    first = T * (bx + 4 * by)
                    out[first : first + T, i, j] = np.einsum("tyx,y,x->t", patch, along(by), along(bx))
            for again in (False, True):
                d = out[:, i, j]
                d = d / (root(d @ d) + 2.0**-23)
                out[:, i, j] = d if again else np.minimum(d, 0.2)
    return out


# what it computes


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("mode", ["flat", "gauss"])
def test_vlfeat(name, mode, shared):
    """Where VLFeat's own noise was measured: up to 1e-5."""
    golden = np.load(shared / "golden" / "dsift" / f"{name}.npz")
    image = np.load(shared / "golden" / "inputs" / f"{name}.npy")
    x = torch.from_numpy(image)[None, None]
    stages = {}
    for step in (8, 1):
        module = dsift(step=step, flat=mode == "flat")
        module.orientations.register_forward_hook(lambda m, args, out: stages.update(maps=out[0].numpy()))
        module.blocks.register_forward_hook(lambda m, args, out: stages.update(blocks=out[0].numpy()))
        found = module(x)[0].permute(1, 2, 0).numpy()
        assert found.dtype == np.float32
        if step == 8:
            expected = golden[f"{mode}_step8_raw"]
            matlab = np.minimum(512 * found, 255)
            assert np.abs(matlab - golden[f"{mode}_step8_matlab_float"]).max() <= 512e-5
            assert np.abs(matlab.astype(np.uint8).astype(int) - golden[f"{mode}_step8_matlab_uint8"]).max() <= 1
        elif f"{mode}_step1_raw" in golden:
            expected = golden[f"{mode}_step1_raw"]
        else:
            i, j = golden["step1_sample_iyix"].T
            found, expected = found[i, j], golden[f"{mode}_step1_sample_raw"]
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-5
        mean = stages["blocks"].sum(0) / 25**2
        assert np.abs(mean - golden[f"{mode}_step{step}_norm"]).max() <= 1e-5 * max(mean.max(), 1)
    expected = golden["orientation_maps"]
    assert np.abs(stages["maps"] - expected).max() <= 1e-5 * max(expected.max(), 1)
    if mode == "flat":
        net = cx.Network(dsift(), size=image.shape, pixels=PIXELS)
        found = net.activations(image, "descriptor")[0].permute(1, 2, 0).numpy()
        assert np.abs(found - golden["flat_step8_raw"]).max() <= 1e-5
        centre = [golden["step8_frames_xy"][2, 1, a] for a in (1, 0)]
        layer = net.layers["descriptor"]
        assert [o + s * p for o, s, p in zip(layer.rf_offset, layer.rf_stride, (2, 1), strict=True)] == centre


@settings(max_examples=50)
@given(
    st.tuples(st.integers(0, 13), st.integers(0, 13)), st.integers(1, 5), st.integers(1, 7),
    st.sampled_from([8, 8, 4, 5]), st.booleans(), st.sampled_from([2.0, 0.7, 5]), st.sampled_from(KINDS),
    st.integers(0, 9),
)  # fmt: skip
def test_the_formulae(more, cell, step, T, flat, window, kind, seed):
    rows, columns = (3 * cell + 1 + side for side in more)
    image = synthetic(kind, 1, rows, columns, seed)
    expected = literal_dsift(image[0], cell, step, T, flat, window)
    module = dsift(cell, step, T, flat, window)
    x = torch.from_numpy(image)[None]
    with torch.no_grad():
        assert np.abs(module.double()(x)[0].numpy() - expected).max() <= 1e-6
        assert np.abs(module.float()(x.float())[0].numpy() - expected).max() <= 1e-5


def test_directions_and_places():
    """Brighter to the right is direction 0, downwards 2; columns of cells count faster than rows."""
    x = torch.zeros(1, 1, 25, 25)
    x[..., 17:] = 9  # an edge at the third column of cells
    for image, direction in ((x, 0), (-x, 4), (x.mT, 2), (-x.mT, 6)):
        activation = dsift()(image)[0, :, 0, 0].view(4, 4, 8)
        activation = activation if direction in (0, 4) else activation.transpose(0, 1)
        assert not activation[:, :2].any()
        assert (activation.argmax(2)[:, 2:] == direction).all()
        assert (activation.sum(2).argmax(1) == 2).all()
    assert not dsift()(x * 0 + 7).any()


def test_colour_is_turned_to_grey():
    x = torch.rand(2, 3, 30, 30, generator=torch.Generator().manual_seed(0)) * 255
    grey = (x * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    assert torch.allclose(dsift()(x), dsift()(grey), atol=1e-5)


# derivatives


@pytest.mark.parametrize("flat", [True, False])
@pytest.mark.parametrize(
    ("cell", "step", "shape"), [(2, 3, (1, 1, 11, 9)), (3, 1, (1, 1, 10, 11)), (2, 2, (1, 3, 7, 8))],
)  # fmt: skip
def test_gradients(cell, step, shape, flat):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 255
    assert torch.autograd.gradcheck(dsift(cell, step, flat=flat).double(), x.requires_grad_(), eps=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite_everywhere(kind):
    image = torch.from_numpy(synthetic(kind, 1, 40, 44, 1)).float()[None]
    for scale in (1e-12, 1e-6, 1 / 255, 1):
        x = (image * scale).requires_grad_()
        out = dsift()(x)
        weights = torch.rand(out.shape, generator=torch.Generator().manual_seed(0))
        (gradient,) = torch.autograd.grad((out * weights).sum(), x)
        assert torch.isfinite(gradient).all()
    assert bool(gradient.any()) == (kind != "constant")


def test_the_gradient_of_a_straight_edge():
    """Where d/dy is exactly 0, as often in 8-bit pictures, a turn of the gradient still counts."""
    gradient = torch.tensor([50.0, 0.0]).view(1, 2, 1, 1).requires_grad_()
    maps = dsift().orientations(gradient)[0, :, 0, 0]
    (turned,) = torch.autograd.grad(maps[0] - maps[7], gradient)
    assert float(turned[0, 1]) == pytest.approx(2 * 8 / (2 * math.pi), rel=0.3)  # the polynomial is steep there


# as a network


def test_layers():
    net = cx.load("dsift", device="cpu")
    assert (net.name, net.to_python(), net.size, net.labels) == ("dsift", "cx.load('dsift')", (224, 224), [])
    assert net.pixels == cx.load("hog", device="cpu").pixels
    found = [(v.name, v.channels, v.size, v.rf_size, v.rf_stride, v.rf_offset) for v in net.layers.values()]
    assert found == [
        ("gradient", 2, (224, 224), (3, 3), (1, 1), (0, 0)),
        ("orientations", 8, (224, 224), (3, 3), (1, 1), (0, 0)),
        ("cells", 8, (28, 28), (17, 17), (8, 8), (0, 0)),
        ("blocks", 128, (25, 25), (41, 41), (8, 8), (12, 12)),
        ("normalised", 128, (25, 25), (41, 41), (8, 8), (12, 12)),
        ("clipped", 128, (25, 25), (41, 41), (8, 8), (12, 12)),
        ("descriptor", 128, (25, 25), (41, 41), (8, 8), (12, 12)),
    ]
    activations = net.activations(cx.photograph("cat"), list(net.layers))
    assert all(tuple(activations[v.name].shape) == (1, v.channels, *v.size) for v in net.layers.values())
    assert activations["clipped"].max() <= 0.2
    lengths = activations["descriptor"].square().sum(1).sqrt()
    assert torch.allclose(lengths, torch.ones_like(lengths), atol=1e-5)


@pytest.mark.parametrize(("cell", "step", "flat"), [(8, 8, True), (4, 6, True), (3, 2, False)])
def test_receptive_fields_are_what_gradients_reach(cell, step, flat):
    net = cx.Network(dsift(cell, step, flat=flat), size=(72, 80), pixels=PIXELS)
    x = torch.rand(1, 1, 72, 80, generator=torch.Generator().manual_seed(2)).mul_(255).requires_grad_()
    for layer in ("orientations", "cells", "blocks", "descriptor"):
        activation = net.probe(layer)(x)[layer]
        row, column = activation.shape[-2] // 2, activation.shape[-1] // 2
        (gradient,) = torch.autograd.grad((activation[0, :, row, column] * torch.rand(activation.shape[1])).sum(), x)
        rows, columns = gradient[0, 0].any(1).nonzero().flatten(), gradient[0, 0].any(0).nonzero().flatten()
        assert net.layers[layer].rf_box(row, column) == (rows[0], columns[0], rows[-1], columns[-1])


def test_bad_input(refused):
    refused(cx.ImageError, lambda: dsift()(torch.zeros(1, 1, 24, 90)), "24 x 90", "25 x 25")
    refused(cx.ImageError, lambda: dsift()(torch.zeros(1, 4, 30, 30)), "1x4x30x30")
    refused(cx.ImageError, lambda: cx.Network(dsift(), size=20, pixels=PIXELS).layers, "20 x 20", "25 x 25")
    refused(cx.SettingError, lambda: dsift(0), "cell is 0")
    refused(cx.SettingError, lambda: dsift(step=0), "step is 0")
    refused(cx.SettingError, lambda: dsift(step=1.5), "step is 1.5")
    refused(cx.SettingError, lambda: dsift(orientations=1), "orientations is 1")
    for wrong in (0, -1, math.nan, math.inf, "2", True):
        refused(cx.SettingError, lambda wrong=wrong: dsift(window=wrong), "window", repr(wrong))
    refused(cx.WeightsError, lambda: cx.load("dsift", weights="a.safetensors"), "'dsift'")


@pytest.mark.slow
def test_inversion():
    """A third of the paper's steps already leaves less than its mean error, 9.4 % (preimage2016, table 4)."""
    run = cx.Inversion(cx.load("dsift", device="cpu"), cx.photograph("cat"), "descriptor", steps=100, refine=0)
    assert (run.settings.C, run.settings.jitter) == (100, 1)
    for frame in run.frames():
        assert torch.isfinite(frame.terms).all()
    result = run.result()
    assert result.history["error"][0] > 0.6
    assert result.error < 0.094
