"""Activation maximisation against a literal energy, known filters, and what a person would check."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.preimage import best_responses, largest_responses, paper_weight
from cnnexplore.preimage.unit_canvas import field_canvas
from cnnexplore.zoo.architectures.alexnet import caffe_alexnet

STD = (1.5, 0.7, 1.2)
IMAGE = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 6, 5, 2, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, 1, 1), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 36, 4),
    )  # fmt: skip
    pixels = cx.Pixels("RGB", (120, 110, 100), STD)
    return cx.Network(module, size=24, pixels=pixels, labels=["ant", "bee", "cat", "dog"])


def literal_energy(net, run, canvas, position, channel, M, C):
    """The energy of preimage2016 (equations 1, 4, 5 and section 3.2.2), pixel by pixel in float64."""
    module = net.module.double()
    x = canvas.double()
    code = module[:5](x / torch.tensor(STD, dtype=torch.float64).view(1, 3, 1, 1)).detach()
    B, alpha, beta = net.pixels.norm, 6, 2
    n = run.size[0] * run.size[1]
    data = -float(code[(0, channel, *position)]) / M
    bounded = tv = 0.0
    for row in range(x.shape[2]):
        for column in range(x.shape[3]):
            bounded += float(x[0, :, row, column].square().sum()) ** (alpha / 2)
            for k in range(3):
                down = float(x[0, k, row + 1, column] - x[0, k, row, column]) if row + 1 < x.shape[2] else 0.0
                right = float(x[0, k, row, column + 1] - x[0, k, row, column]) if column + 1 < x.shape[3] else 0.0
                tv += (down**2 + right**2) ** (beta / 2)
    module.float()
    return C * data + bounded / (n * B**alpha) + tv / (n * (B / 6.5) ** beta), data


def test_the_energy_is_the_papers(net):
    run = cx.Maximization(net, "relu2", 3, preset="paper2016", jitter=0, M=0.5, C=7, steps=10)
    canvas = run.canvas.clone()
    frame = run.advance()
    position = tuple(int(v) for v in run.loss.weights[0, 3].nonzero()[0])
    energy, data = literal_energy(net, run, canvas, position, 3, 0.5, 7)
    assert frame.energies["energy"] == pytest.approx(energy, rel=1e-4)
    assert frame.energies["data"] == pytest.approx(data, rel=1e-4, abs=1e-6)
    assert frame.metric == pytest.approx(-data, rel=1e-4, abs=1e-6)
    assert math.isnan(frame.error)


def test_the_gradient_is_that_of_the_energy(net):
    run = cx.Maximization(net, "conv2", 3, jitter=0, M=0.5, C=7)
    loss, gradient = run.data_term(run.x)
    x = run.x.clone().requires_grad_()
    code = net.module[:4](x / torch.tensor(STD).view(1, 3, 1, 1))
    expected = -(code * run.loss.weights).sum()
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert torch.allclose(gradient, torch.autograd.grad(expected, x)[0], atol=1e-7)
    assert float(run.loss.weights.sum()) == pytest.approx(1 / 0.5)
    assert int((run.loss.weights != 0).sum()) == 1


def test_a_linear_unit_wants_its_own_filter():
    """Where the unit is one smooth filter, what it wants looks like it."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 11), torch.linspace(-1, 1, 11), indexing="ij")
    filters = torch.stack([rows, columns, (3 * rows).cos(), rows * columns])[:, None].repeat(1, 3, 1, 1)
    conv = nn.Conv2d(3, 4, 11, 4, bias=False)
    conv.weight.data.copy_(filters)
    net = cx.Network(conv, size=43)
    results = cx.maximize(net, net.layers[next(iter(net.layers))].name, [0, 1, 2, 3], jitter=0, M=1e4, progress=False)
    for wanted, result in zip(filters, results, strict=True):
        found = result.x[0, :, :11, :11].flatten()
        assert float(torch.corrcoef(torch.stack([found, wanted.flatten()]))[0, 1]) > 0.8
        assert result.response > 0


def test_responses_rise_and_the_code_remakes_the_picture(net):
    run = cx.Maximization(net, "relu2", 5, steps=40, seed=3)
    before = float(run.responses)
    for frame in run.frames():
        if frame.step == 20:
            run.settings.update(C=3.0)
    result = run.result()
    assert result.response > before + 0.5
    assert result.response == pytest.approx(float(run.responses))
    assert result.history.dtype.names == ("step", "energy", "data", "alpha", "tv", "colour", "response")
    np.testing.assert_allclose(result.history["response"], -result.history["data"])
    again = eval(run.to_python(), {"cx": cx, "net": net})
    assert np.array_equal(again.picture, result.picture)
    assert "unit 5 of relu2" in result.plot().axes[0].get_title()


def test_several_units_run_as_they_would_alone(net):
    together = cx.maximize(net, "conv2", [1, 6], steps=15, seed=2, progress=False)
    for unit, result in zip((1, 6), together, strict=True):
        alone = cx.maximize(net, "conv2", unit, steps=15, seed=2, progress=False)
        assert torch.allclose(result.x, alone.x, atol=0.05)
        assert np.array_equal(eval(result.to_python(), {"cx": cx, "net": net}).picture, result.picture)
    seeds = cx.maximize(net, "conv2", 1, seed=[2, 5], steps=15, progress=False)
    assert len(seeds) == 2
    assert not np.array_equal(seeds[0].picture, seeds[1].picture)


def test_a_class_may_be_named(net):
    by_name = cx.maximize(net, "fc3", "cat", steps=5, progress=False)
    assert by_name.picture.shape == (24, 24, 3)  # a class is maximised on the whole input
    assert np.array_equal(by_name.picture, cx.maximize(net, "fc3", 2, steps=5, progress=False).picture)
    assert by_name.about == "unit 2 of fc3 (cat)"


def test_a_position_is_that_of_the_whole_input(net):
    run = cx.Maximization(net, "conv2", 3, position=(0, 5))
    assert run.size == (24, 24)
    assert run.loss.weights[0].nonzero().tolist() == [[3, 0, 5]]
    result = cx.maximize(net, "conv2", 3, position=(0, 5), steps=60, jitter=0, progress=False)
    top, left, bottom, right = net.layers["conv2"].rf_box(0, 5)
    change = result.x[0].square().sum(0)
    inside = change[max(0, int(top)) : int(bottom) + 1, int(left) : int(right) + 1]
    assert float(inside.mean()) > 5 * float(change[14:, :10].mean())  # what it cannot see fades


@pytest.mark.parametrize(
    ("unit", "expected", "python"),
    [
        (np.int64(2), [2], "unit=2, "), (np.array([1, 3]), [1, 3], "unit=[1, 3], "),
        (range(2), [0, 1], "unit=[0, 1], "), (torch.tensor([3]), [3], "unit=[3], "),
        (["cat", 0], [2, 0], "unit=['cat', 0], "), (None, [0, 1, 2, 3], "unit=[0, 1, 2, 3], "),
        ("dog", [3], "unit='dog', "),
    ],
)  # fmt: skip
def test_units_as_callers_name_them(net, unit, expected, python):
    run = cx.Maximization(net, "fc3", unit, steps=1, M=1.0)
    assert run.units == expected
    assert python in run.to_python()
    results = run.result()
    assert len(results) == len(expected) if np.ndim(unit) or unit is None else isinstance(results, cx.PreImage)


def test_a_direction_weighs_units(net):
    code = net.activations(IMAGE, "relu2")[0]
    result = cx.maximize(net, "relu2", direction=code, steps=40, progress=False)
    assert result.response > 0.5
    assert result.about == "the given direction at relu2"
    channels = torch.zeros(8)
    channels[[1, 2]] = 1
    run = cx.Maximization(net, "relu2", direction=channels)
    assert run.loss.weights[0, 1].unique().numel() == 1
    assert float(run.loss.weights[0, 0].abs().sum()) == 0


def test_canvas_and_weight_are_the_papers():
    layers = cx.Network(caffe_alexnet(hidden=8), size=227).layers
    sides = {name: field_canvas(layers[name], (227, 227))[0] for name in ("conv1", "conv2", "conv3", "conv5", "fc8")}
    assert sides == {"conv1": 12, "conv2": 56, "conv3": 112, "conv5": 176, "fc8": 227}
    assert paper_weight(layers["conv5"], (227, 227)) == pytest.approx(1e4 / 163**2)
    assert paper_weight(layers["fc8"], (227, 227)) == pytest.approx(1e4 / 227**2)


def test_the_unit_is_in_the_middle_of_its_canvas():
    net = cx.Network(caffe_alexnet(classes=4, hidden=8).eval(), size=227)
    for layer in ("conv1", "conv2", "pool2"):
        run = cx.Maximization(net, layer, 1, M=1)
        _, row, column = run.loss.weights[0].nonzero()[0].tolist()
        top, left, bottom, right = net.layers[layer].rf_box(row, column)
        assert (top + bottom) / 2 == pytest.approx((run.size[0] - 1) / 2, abs=net.layers[layer].rf_stride[0] / 2)
        assert min(top, left) >= -net.layers[layer].rf_stride[0]
        assert max(bottom, right) <= run.size[0] - 1 + net.layers[layer].rf_stride[0]


def test_the_largest_response_is_the_largest(net):
    images = [IMAGE, 255 - IMAGE, IMAGE[::-1].copy()]
    codes = torch.stack([net.activations(image, "relu2")[0] for image in images])
    best = codes.amax((0, 2, 3))
    expected = torch.maximum(best, best[best > 0].median())
    assert torch.allclose(largest_responses(net, "relu2", images), expected)
    assert torch.allclose(best_responses(net, "relu2", images), best)
    kept = best_responses(net, "relu2")
    assert best_responses(net, "relu2") is kept
    with torch.no_grad():
        net.module[3].weight.mul_(2)
    try:
        assert not torch.equal(best_responses(net, "relu2"), kept)  # other weights, another answer
    finally:
        with torch.no_grad():
            net.module[3].weight.div_(2)


def test_what_is_wrong_gets_a_sentence(net, refused):
    for unit in (8, -1, True, [1, 9], "ant"):
        refused(cx.SettingError, lambda unit=unit: cx.maximize(net, "conv2", unit), "0 to 7")
    refused(cx.SettingError, lambda: cx.maximize(net, "conv2", direction=2.5), "direction", "8 x 6 x 6")
    refused(cx.SettingError, lambda: cx.maximize(net, "fc3", "cow"), "'cow'", "'ant'")
    refused(cx.LayerNotFound, lambda: cx.maximize(net, "conv9", 0), "conv9")
    refused(cx.SettingError, lambda: cx.maximize(net, "conv2", 0, position=(6, 0)), "(6, 0)", "6 x 6")
    refused(cx.SettingError, lambda: cx.maximize(net, "conv2", 0, M=0), "M is 0")
    refused(cx.SettingError, lambda: cx.maximize(net, "conv2", direction=np.zeros(8)), "direction is zero")
    refused(cx.SettingError, lambda: cx.maximize(net, "conv2", direction=np.full(8, np.nan)), "not finite")
    refused(cx.SettingError, lambda: cx.maximize(net, "conv2", direction=np.ones(5)), "8 x 6 x 6")
    refused(cx.SettingError, lambda: cx.maximize(net, "conv2", [1, 2, 3], seed=[1, 2]), "3 units", "2 seeds")
    refused(cx.SettingError, lambda: cx.maximize(net, "conv2", 1, C=-1), "C is -1")
