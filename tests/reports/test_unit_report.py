"""ask: each part is what the function of its own gives, arrives when it is made, and says why where it cannot be."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import cnnexplore as cx
from cnnexplore.reports import PARTS, ask_stream
from cnnexplore.reports.effect import UnitEffect

DIGITS = [cx.digit(value, which) for value in range(6) for which in range(2)]


@pytest.fixture(scope="module")
def report():
    return cx.ask(cx.load("lenet"), "conv2", 7, DIGITS, k=4, steps=10, progress=False)


def test_each_part_is_what_its_own_function_gives(report):
    net = report.net
    assert list(report.parts) == list(PARTS)
    assert all(not part.why and part.done == 1 for part in report.parts.values())
    top = cx.top_patches(net, "conv2", 7, DIGITS, k=4, progress=False)
    assert np.array_equal(np.stack(report["top patches"].pictures), top.patches())
    assert np.array_equal(np.stack(report["projections"].pictures), top.projections())
    assert np.array_equal(report["decoded filter"].pictures[0], cx.decode(net, "conv2", 7).pictures()[0])
    assert np.array_equal(report["filter"].value.weights, cx.filters(net, "conv2", 7).weights)
    field = cx.receptive_field(net, "conv2", 7, top, k=3, progress=False)
    assert np.array_equal(report["receptive field"].value.map, field.map)
    again = cx.maximize(net, "conv2", 7, steps=10, progress=False)
    assert np.array_equal(report["maximisation"].pictures[0], again.picture)


def test_the_effect_is_what_plain_torch_computes(report):
    """LeNet without the unit, by hand: its weights of conv2 set to zero."""
    net = report.net
    top = report["top patches"].value
    x = net.pixels_of([DIGITS[k] for k in top.indices[0]])
    with torch.no_grad():
        before = net.activations([DIGITS[k] for k in top.indices[0]], net.scores.name).flatten(1)
        conv = net.module.get_submodule(net.layers["conv2"].path)
        kept = conv.weight[7].clone(), conv.bias[7].clone()
        try:
            conv.weight[7] = 0
            conv.bias[7] = 0
            after = net.probe(net.scores.name)(net.feed(x))[net.scores.name].flatten(1)
        finally:
            conv.weight[7], conv.bias[7] = kept
    np.testing.assert_allclose(report["effect"].value, (after - before).mean(0).numpy(), atol=1e-4)
    most = report["effect"].bars[0]
    assert abs(most.value) == pytest.approx(np.abs(report["effect"].value).max())
    assert most.label == net.labels[int(np.abs(report["effect"].value).argmax())]
    assert most.reference is not None


@pytest.mark.parametrize("factor", [0.0, 1.0, 3.0])
def test_a_unit_is_scaled_at_every_position(factor):
    torch.manual_seed(0)
    first, last = nn.Conv2d(3, 5, 3), nn.Linear(5, 4)
    module = nn.Sequential(first, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
    net = cx.Network(module, size=12)
    x = torch.rand(2, 3, 12, 12) * 100
    with torch.no_grad():
        maps = torch.relu(first(net.feed(x))).mean((2, 3))
        maps[:, [1, 3]] *= factor
        expected = last(maps)
    found = UnitEffect(net, net.layers["relu1"], x).scores([1, 3], factor)
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-5, atol=1e-5)
    assert not first._forward_hooks


def test_parts_arrive_one_by_one_the_cheap_ones_first_and_long_ones_grow():
    seen = [
        (list(report.parts)[-1], report.parts[list(report.parts)[-1]].done)
        for report in ask_stream(cx.load("lenet"), "conv1", 2, DIGITS[:4], k=2, steps=30)
    ]
    names = list(dict.fromkeys(name for name, _ in seen))
    assert names == list(PARTS)
    shares = [done for name, done in seen if name == "maximisation"]
    assert shares == [10 / 30, 20 / 30, 1]


def test_what_cannot_be_made_says_why_in_its_place():
    net = cx.load("lenet")
    report = cx.ask(net, "pool2", 3, DIGITS[:3], k=2, parts=["filter", "top patches"], progress=False)
    assert "conv" in report["filter"].why
    assert not report["filter"].pictures
    assert report["top patches"].pictures
    words = [text.get_text() for text in report.plot().texts]
    assert report["filter"].why.split()[0] in " ".join(words)
    scores = cx.ask(net, net.scores.name, "3", DIGITS[:3], parts=["effect", "receptive field"], progress=False)
    assert "class scores" in scores["effect"].why
    assert "no map" in scores["receptive field"].why


def test_the_page_is_a_picture_with_its_python(report, tmp_path):
    assert report.picture.shape[1] == 1180
    report.save(tmp_path / "unit.png")
    assert Image.open(tmp_path / "unit.png").text["cnnexplore"] == report.to_python()
    assert report.to_python() == "cx.ask(cx.load('lenet'), 'conv2', 7, images, k=4, steps=10)"
    again = eval(report.to_python(), {"cx": cx, "images": DIGITS})
    assert np.array_equal(again["maximisation"].pictures[0], report["maximisation"].pictures[0])
    some = cx.ask(report.net, "conv2", 7, DIGITS, parts=["filter"], progress=False)
    assert some.to_python().endswith("parts=['filter'])")


def test_what_is_wrong_gets_a_sentence(refused):
    net = cx.load("lenet")
    refused(cx.SettingError, lambda: cx.ask(net, "conv2", 900), "900")
    refused(cx.SettingError, lambda: cx.ask(net, "conv2", 1, parts=["filters"]), "filters")
    refused(cx.LayerNotFound, lambda: cx.ask(net, "conv9", 1), "conv9")
    report = cx.ask(net, "conv2", 1, parts=["filter"], progress=False)
    refused(cx.SettingError, lambda: report["word"], "word")
