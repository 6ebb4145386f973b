"""The unit panel without a browser."""

from __future__ import annotations

import numpy as np
import pytest
from waiting import until

import cnnexplore as cx
from cnnexplore import drawing
from cnnexplore.widgets.views.unit_grid import fit_to_square


@pytest.fixture
def panel(keep):
    def one(*args, **settings):
        made = keep(cx.UnitPanel(*args, **settings))
        assert made.wait(60)
        return made

    return one


def shown(view):
    content, buffers = view.stream.latest
    return np.frombuffer(buffers[0], np.uint8).reshape(content["n"], content["h"], content["w"], 3)


def test_all_that_is_known_of_the_most_responsive_unit(panel):
    p = panel("lenet", "conv2")
    top = cx.top_patches(p.selection.net, "conv2", progress=False)
    best = int(top.values[:, 0].argmax())
    assert (p.selection.unit, p.grid.selected) == (best, best)
    assert p.grid.order[0] == best
    assert p.grid.done == p.grid.count == p.selection.net.layers["conv2"].channels
    assert np.array_equal(shown(p.patches), top.patches(best))
    assert np.array_equal(shown(p.projections), top.projections(best))
    assert p.field.theoretical == p.selection.net.layers["conv2"].rf_size
    assert f"{p.field.size:.0f} px in effect" in p.field_view.caption
    again = eval(p.to_python(), {"cx": cx})
    assert np.array_equal(again.indices, p.top.indices)
    assert p.picture.shape[2] == 3
    assert p.poster().startswith(b"\x89PNG")


def test_another_unit_rule_and_layer(panel):
    p = panel("lenet", "conv1", unit=4)
    assert p.top.units == [4]
    assert p.filter.caption == "its filter" or "weights" in p.filter.caption
    p.grid.selected = 7
    until(lambda: p.runner.state == "finished" and p.top.units == [7], 60)
    before = p.projected
    p.rule.value = "gradient"
    until(lambda: p.runner.state == "finished" and "gradient" in p.projections.caption, 60)
    assert np.array_equal(p.projected, p.top.projections(rule="gradient"))
    assert before.shape == p.projected.shape
    p.selectors.layer.value = "conv2"
    until(lambda: p.runner.state == "finished" and p.top.layer.name == "conv2", 60)
    assert p.grid.count == p.selection.net.layers["conv2"].channels
    assert p.grid.done == p.grid.count


def test_images_of_ones_own(panel):
    images = [cx.digit(k) for k in range(6)]
    p = panel("lenet", "pool2", images=images, k=3)
    assert shown(p.patches).shape[0] == 3
    assert p.filter.layout.display == "none"
    assert p.to_python().endswith(", images, k=3)")
    assert np.array_equal(eval(p.to_python(), {"cx": cx, "images": images}).values, p.top.values)


def test_what_is_wrong_gets_a_sentence(panel, refused, said):
    refused(cx.SettingError, lambda: cx.UnitPanel("lenet", "conv1", unit=900), "900")
    refused(cx.SettingError, lambda: cx.UnitPanel("lenet", k=0), "k is 0")
    refused(cx.SettingError, lambda: cx.UnitPanel("lenet", images=[]), "empty")
    refused(cx.ImageError, lambda: cx.UnitPanel("lenet", images=["nowhere.png"]), "nowhere.png")
    panel("lenet", "conv1", images=[cx.digit(1), "nowhere.png"])
    assert any("nowhere.png" in content.get("text", "") for content, _ in said)


def test_thumbnails_are_filters_or_maps_and_lead_to_the_unit(panel):
    p = panel("lenet", "conv2")
    net = p.selection.net
    before = [p.grid.picture(k) for k in range(p.grid.count)]
    assert p.kind.options == ("top patches", "filters", "maps")
    p.kind.value = "filters"
    until(lambda: p.runner.state == "finished" and p.shown[2] == "filters", 60)
    assert p.grid.done == p.grid.count
    tiles = cx.filters(net, "conv2").tiles(3)
    assert np.array_equal(p.grid.picture(3), fit_to_square(drawing.tiles(tiles, 5, background=150), p.grid.side))
    p.grid.selected = 3
    until(lambda: p.runner.state == "finished" and p.top.units == [3], 60)
    assert p.to_python().endswith("cx.filters(cx.load('lenet'), 'conv2')")
    p.kind.value = "maps"
    until(lambda: p.runner.state == "finished" and p.shown[2] == "maps", 60)
    assert p.grid.done == p.grid.count
    scope = {"cx": cx}
    first, second = p.to_python().split("\n")
    exec(first, scope)
    maps = eval(second, scope)
    assert np.array_equal(maps.image, shown(p.image)[0])
    peak = np.unravel_index(maps.maps[3].argmax(), maps.maps.shape[1:])
    assert p.image.box[0] == np.floor(maps.layer.rf_box(*map(int, peak))[0])
    heat = drawing.heat(maps.maps, True, drawing.limits(maps.maps, True))  # of a convolution: signed
    assert np.array_equal(p.grid.picture(3), fit_to_square(heat[3], p.grid.side))
    p.kind.value = "top patches"
    until(lambda: p.runner.state == "finished" and p.shown[2] == "top patches", 60)
    assert p.grid.done == p.grid.count
    assert all(np.array_equal(p.grid.picture(k), picture) for k, picture in enumerate(before))


def test_a_click_on_a_patch_shows_its_image_and_maps_follow(panel):
    p = panel("lenet", "conv2", unit=5)
    p.patches.receive({"kind": "pick", "row": 1, "column": 1, "item": 4})
    assert np.array_equal(shown(p.image)[0], p.top.pictures()[4])
    assert p.image.caption.startswith(f"image {p.top.indices[0, 4]};")
    p.kind.value = "maps"
    until(lambda: p.runner.state == "finished" and p.shown[2] == "maps", 60)
    assert p.shown[3] == p.top.indices[0, 4]
    p.patches.receive({"kind": "pick", "row": 1, "column": 1, "item": 2})
    until(lambda: p.runner.state == "finished" and p.shown[3] == p.top.indices[0, 2], 60)
    assert p.grid.done == p.grid.count
    assert p.grid.selected == 5


def test_a_layer_offers_the_thumbnails_that_it_has(panel):
    p = panel("lenet", "conv1")
    assert p.kind.options == ("top patches", "filters", "maps")
    p.kind.value = "filters"
    until(lambda: p.runner.state == "finished" and p.shown[2] == "filters", 60)
    assert p.grid.done == p.grid.count
    colours = cx.filters(p.selection.net, "conv1").pictures()
    assert np.array_equal(p.grid.picture(2), fit_to_square(colours[2], p.grid.side))
    p.selectors.layer.value = "pool2"
    until(lambda: p.runner.state == "finished" and p.top.layer.name == "pool2", 60)
    assert (p.kind.options, p.kind.value) == (("top patches", "maps"), "top patches")
