"""The decoding panel without a browser: its gallery, its controls, the walk down, what it says."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.panels.filter_detail import weighed
from cnnexplore.widgets.views.unit_grid import fit_to_square


@pytest.fixture
def panel(keep):
    def make(*args, **settings):
        one = keep(cx.DecodingPanel(*args, **settings))
        return one

    return make


def settled(p) -> None:
    """Until the gallery is full and the chosen filter is shown."""
    until(lambda: p.wait(30) and p.detail.found is not None)
    until(lambda: p.detail.found.choice.unit == p.selection.unit and p.detail.found.choice.layer == p.selection.layer)
    until(lambda: p.runner.state in ("finished", "failed") and p.grid.done == p.grid.count)


def sprite(p, unit: int) -> np.ndarray:
    return p.grid.picture(unit)


def test_the_gallery_shows_every_filter_and_one_is_chosen(panel):
    p = panel("lenet")
    settled(p)
    assert (p.selection.layer, p.grid.count) == ("conv2", 50)
    shown = cx.decode(p.selection.net, "conv2").pictures()
    for unit in (0, 17, 49):
        difference = sprite(p, unit).astype(int) - fit_to_square(shown[unit], p.grid.side)
        assert np.abs(difference).max() <= 1  # kept in half precision
    assert p.selection.unit == p.grid.order[0] == p.grid.selected
    assert sorted(p.grid.order) == list(range(50))
    assert p.run_view.status["text"].startswith("50 filters of conv2")
    assert p.to_python() == f"cx.decode(cx.load('lenet'), 'conv2', {p.selection.unit}, unpool='bilinear')"
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).picture, p.picture)


def test_controls_act_at_once(panel):
    p = panel("lenet", unit=7)
    settled(p)
    assert p.grid.selected == 7
    whole = sprite(p, 3).copy()
    p.part_box.value = "strong +"
    assert p.share_box.layout.visibility == "visible"
    assert set(np.unique(sprite(p, 3))) <= {128, 255}
    few = (sprite(p, 3) == 255).sum()
    p.share_box.value = 0.8
    assert 0 < (sprite(p, 3) == 255).sum() < few
    assert p.to_python().endswith(".threshold(0.8, 'positive')")
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).picture, p.picture)
    p.part_box.value = "whole"
    assert np.array_equal(sprite(p, 3), whole)
    p.unpool_box.value = "nearest"
    until(lambda: p.detail.found.choice.unpool == "nearest")
    settled(p)
    assert not np.array_equal(sprite(p, 3), whole)
    assert "unpool='nearest'" in p.to_python()
    p.unpool_box.value = "bilinear"
    assert np.array_equal(sprite(p, 3), whole)  # it was kept
    orders = set()
    for kind in ("by shape", "by class", "as numbered"):
        p.order_box.value = kind
        assert sorted(p.grid.order) == list(range(50))
        orders.add(tuple(p.grid.order))
    assert len(orders) == 3
    assert p.grid.order == list(range(50))
    assert p.selection.unit == 7


def test_a_walk_down_and_back_up(panel):
    p = panel("characters", layer="conv3", unit=0)
    settled(p)
    assert {unit + 1 for _, unit, _ in p.detail.found.parts[:4]} == {1, 4, 9, 11}
    assert p.detail.back.layout.visibility == "hidden"
    place = next(k for k, (_, unit, _) in enumerate(p.detail.found.parts) if unit == 0)
    p.detail.parts.selected = place
    settled(p)
    assert (p.selection.layer, p.selection.unit) == ("conv2", 0)
    assert p.detail.back.layout.visibility == "visible"
    assert {unit + 1 for _, unit, _ in p.detail.found.parts} == {3, 4}
    p.detail.parts.selected = 0
    settled(p)
    assert p.selection.layer == "conv1"
    assert p.detail.found.parts == []
    assert "its own filter" in p.detail.parts_title.value
    p.detail.back.click()
    settled(p)
    p.detail.back.click()
    settled(p)
    assert (p.selection.layer, p.selection.unit) == ("conv3", 0)
    assert p.detail.back.layout.visibility == "hidden"


def test_the_responses_are_those_of_the_image(panel):
    p = panel("lenet", unit=11)
    settled(p)
    net = p.selection.net
    code = net.activations(p.selection.image, "conv2")[0, 11]
    assert np.allclose(p.detail.found.one.network[0, 0], code, atol=1e-4)
    row, column = divmod(int(code.argmax()), 8)
    assert p.detail.image.box == [float(v) for v in net.layers["conv2"].rf_box(row, column)]
    before = p.detail.found
    p.selectors.image.value = "digit 7"
    until(lambda: p.detail.found is not before)
    assert np.allclose(p.detail.found.one.network[0, 0], net.activations(cx.digit(7), "conv2")[0, 11], atol=1e-4)
    p.selection.set(layer="conv4", unit=3)
    settled(p)
    assert "responds more to the image than" in p.detail.summary.value
    best = p.detail.found.many.top(3, 3)[0]
    assert [net.predict(p.detail.found.images[k], 1)[0][0] for k in best] == ["3"] * 3


def test_layers_and_networks_change_what_is_shown(panel):
    p = panel("lenet")
    settled(p)
    p.selectors.layer.value = "conv3"
    settled(p)
    assert p.grid.count == 500
    p.selectors.network.value = "worldnet"
    settled(p)
    assert p.selection.net.name == "worldnet"
    assert p.grid.count == p.selection.net.layers[p.selection.layer].channels


def test_it_leaves_a_still(panel):
    p = panel("characters", layer="conv3")
    poster = Image.open(io.BytesIO(p.poster()))
    assert poster.size == (3 * (8 * 28 + 7 * 10), 3 * 28)


def test_what_is_wrong_gets_a_sentence(panel, refused):
    refused(cx.LayerNotFound, lambda: cx.DecodingPanel("lenet", layer="conv9"), "conv9")
    refused(cx.SettingError, lambda: cx.DecodingPanel("lenet", layer="conv2", unit=50), "unit is 50")
    refused(cx.SettingError, lambda: cx.DecodingPanel("lenet", unpool="linear"), "linear")

    class Product(nn.Module):
        def forward(self, x):
            return x * x.flip(1)

    torch.manual_seed(0)
    net = cx.Network(nn.Sequential(nn.Conv2d(3, 4, 3), Product(), nn.Conv2d(4, 2, 3)), size=20)
    p = panel(net, layer="conv1")
    settled(p)
    p.selectors.layer.value = "conv2"
    until(lambda: p.run_view.status["state"] == "failed")
    assert "cannot be decoded" in p.run_view.status["text"]
    p.selectors.layer.value = "conv1"  # and goes on
    settled(p)
    assert p.run_view.status["state"] == "finished"


def test_bars_tell_weights():
    picture = np.full((14, 14, 3), 50, np.uint8)
    whole, half, minus = weighed(picture, 1.0), weighed(picture, 0.5), weighed(picture, -1.0)

    def bar(image):
        return int((image[-4] != 255).any(-1).sum())

    assert bar(whole) == bar(minus) == pytest.approx(2 * bar(half), abs=2)
    assert minus[-4, 10, 0] > minus[-4, 10, 2]
    assert whole[-4, 10, 0] < whole[-4, 10, 2]


def test_labels_that_are_markup_stay_text(panel):
    label = "<img src=x onerror=alert(1)>"
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    p = panel(cx.Network(module, size=12, labels=[label, "b"]), unit=0)
    settled(p)
    html = [one.value for one in (p.detail.summary, p.detail.parts_title)]
    assert not any("<img" in value for value in html)
    assert "&lt;img src=x onerror=alert(1)&gt;" in "".join(html)
