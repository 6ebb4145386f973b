"""The unit panel without a browser."""

from __future__ import annotations

import numpy as np
import pytest
from waiting import until

import cnnexplore as cx


@pytest.fixture
def panel(keep):
    def one(*args, **settings):
        made = keep(cx.UnitPanel(*args, **settings))
        assert made.wait(60)
        return made

    return one


def shown(view):
    content, buffers = view.stream._latest()
    return np.frombuffer(buffers[0], np.uint8).reshape(content["n"], content["h"], content["w"], 3)


def test_all_that_is_known_of_the_most_responsive_unit(panel):
    p = panel("lenet", "conv2")
    top = cx.top_patches(p.selection.net, "conv2", progress=False)
    best = int(top.values[:, 0].argmax())
    assert (p.selection.channel, p.grid.selected) == (best, best)
    assert p.grid.order[0] == best
    assert p.grid.done == p.grid.count == p.selection.net.layers["conv2"].channels
    assert np.array_equal(shown(p.patches), top.patches(best))
    assert np.array_equal(shown(p.projections), top.projections(best))
    assert p.field.theoretical == p.selection.net.layers["conv2"].rf_size
    assert f"{p.field.size:.0f} px in effect" in p.field_view.caption
    again = eval(p.code(), {"cx": cx})
    assert np.array_equal(again.indices, p.top.indices)
    assert p.picture.shape[2] == 3
    assert p.poster().startswith(b"\x89PNG")


def test_another_unit_rule_and_layer(panel):
    p = panel("lenet", "conv1", unit=4)
    assert p.top.units == [4]
    assert p.filter.caption == "its filter" or "weights" in p.filter.caption
    p.grid.selected = 7
    until(lambda: p.runner.state == "finished" and p.top.units == [7], 60)
    before = p._projections
    p.rule.value = "gradient"
    until(lambda: p.runner.state == "finished" and "gradient" in p.projections.caption, 60)
    assert np.array_equal(p._projections, p.top.projections(rule="gradient"))
    assert before.shape == p._projections.shape
    p.choosers.layer.value = "conv2"
    until(lambda: p.runner.state == "finished" and p.top.layer.name == "conv2", 60)
    assert p.grid.count == p.selection.net.layers["conv2"].channels
    assert p.grid.done == p.grid.count


def test_images_of_ones_own(panel):
    images = [cx.digit(k) for k in range(6)]
    p = panel("lenet", "pool2", images=images, k=3)
    assert shown(p.patches).shape[0] == 3
    assert p.filter.layout.display == "none"
    assert p.code().endswith(", images, k=3)")
    assert np.array_equal(eval(p.code(), {"cx": cx, "images": images}).values, p.top.values)


def test_what_is_wrong_gets_a_sentence(panel, refused, said):
    refused(cx.SettingError, lambda: cx.UnitPanel("lenet", "conv1", unit=900), "900")
    refused(cx.SettingError, lambda: cx.UnitPanel("lenet", k=0), "k is 0")
    refused(cx.SettingError, lambda: cx.UnitPanel("lenet", images=[]), "empty")
    panel("lenet", "conv1", images=["nowhere.png"])
    assert any("nowhere.png" in content.get("text", "") for content, _ in said)
