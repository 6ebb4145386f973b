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


def test_everything_about_the_unit_arrives_by_itself(panel):
    p = panel("lenet", "conv2", 7, [cx.digit(k) for k in range(8)], k=3)
    net = p.selection.net
    assert set(p.parts) == {
        "filter", "top patches", "projections", "receptive field", "decoded filter", "effect", "maximisation",
    }  # fmt: skip
    assert np.array_equal(shown(p.views["decoded filter"].view), cx.decode(net, "conv2", 7).pictures())
    assert np.array_equal(shown(p.views["maximisation"].view)[0], cx.maximize(net, "conv2", 7, progress=False).picture)
    report = p.report
    assert report.to_python().startswith("cx.ask(cx.load('lenet'), 'conv2', 7, images, parts=['filter', ")
    again = cx.ask(net, "conv2", 7, [cx.digit(k) for k in range(8)], k=3, parts=["effect"], progress=False)
    assert report["effect"].bars == again["effect"].bars
    assert report.picture.shape[1] == 1180
    p.grid.selected = 3
    until(lambda: p._parts_of[2] == 3 and "maximisation" in p.parts and p.parts["maximisation"].done == 1, 60)
    assert np.array_equal(shown(p.views["maximisation"].view)[0], cx.maximize(net, "conv2", 3, progress=False).picture)


def test_the_slow_parts_are_computed_when_they_are_switched_on(panel):
    scenes = cx.world.dataset(6, 3)
    p = panel("worldnet", "conv1", 5, scenes, k=2, concepts=scenes)
    assert p.views["word"].widget.layout.display == "none"
    p.switches["word"].value = True
    assert p.wait(60)
    expected = cx.ask(p.net, "conv1", 5, scenes, concepts=scenes, parts=["word"], progress=False)
    assert p.parts["word"].bars == expected["word"].bars
    assert expected["word"].bars[0].label in p.views["word"]._bars.value
    p.switches["word"].value = False
    assert p.wait(60)
    assert p.views["word"].widget.layout.display == "none"


def test_the_slider_over_checkpoints_shows_each_large(panel):
    scenes = [cx.scene(seed).image for seed in range(3)]
    p = panel("worldnet", "conv1", 5, scenes, k=2, checkpoints=["worldnet@0", "worldnet"], parts=["evolution"])
    view = p.views["evolution"]
    found = cx.evolution(["worldnet@0", "worldnet"], "conv1", 5, scenes, progress=False)
    assert (view.slider.max, view.slider.value) == (1, 1)
    assert np.array_equal(shown(view.moment)[0], found.patches[1][0])
    view.slider.value = 0
    assert np.array_equal(shown(view.moment)[1], found.projections[0][0])
    assert view.moment.caption.startswith("worldnet@0")


def test_the_slider_silences_and_raises_the_unit_in_the_image_that_is_shown(panel):
    digits = [cx.digit(k) for k in range(8)]
    p = panel("lenet", "conv2", 7, digits, k=3)
    net = p.selection.net

    def expected(image, factor):
        found = cx.intervene(net, image, "conv2", unit=7, value=factor, how="scale", progress=False)
        return found.before[0], found.after[0]

    first = int(p.top.indices[0, 0])
    assert p.strength.scores.factor == 0
    np.testing.assert_allclose(p.strength.scores.after, expected(digits[first], 0)[1], rtol=1e-4, atol=1e-4)
    p.strength.slider.value = 3.0
    assert p.wait(60)
    before, after = expected(digits[first], 3)
    np.testing.assert_allclose(p.strength.scores.after, after, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(p.strength.scores.before, before, rtol=1e-4, atol=1e-4)
    assert "times 3" in p.strength._note.value
    p.patches.receive({"kind": "pick", "row": 1, "column": 1, "item": 2})
    assert p.wait(60)
    other = expected(digits[int(p.top.indices[0, 2])], 3)[1]
    np.testing.assert_allclose(p.strength.scores.after, other, rtol=1e-4, atol=1e-4)


def test_names_of_classes_and_concepts_are_escaped(panel):
    net = cx.load("lenet")
    evil = "<img src=x onerror=alert(1)>"
    named = cx.Network(net.module, net.size, net.pixels, labels=[evil, *net.labels[1:]], name="named")
    p = panel(named, "conv2", 7, [cx.digit(0), cx.digit(1)], k=1)
    shown_text = p.strength._bars.value + p.strength._note.value + p.views["effect"]._bars.value
    assert "<img" not in shown_text
    assert "&lt;img" in shown_text


def test_thumbnails_of_the_first_images_come_before_all_have_passed(keep, monkeypatch):
    first, done = [], []
    show = cx.UnitPanel._show_thumbnails

    def noted(self, found):
        show(self, found)
        (done if self.top is not None else first).append(set(found))

    monkeypatch.setattr(cx.UnitPanel, "_show_thumbnails", noted)
    digits = [cx.digit(k % 10, k // 10) for k in range(20)]
    panel = keep(cx.UnitPanel("lenet", "conv1", None, digits))
    assert panel.wait(120)
    assert set().union(*first) == set(range(20)), "of all units, before there is a chosen one"
    assert set().union(*done) == set(range(20)), "and again, of all images"
    top = cx.top_patches(cx.load("lenet"), "conv1", None, digits, k=1)
    assert panel.grid.order == np.argsort(-top.values[:, 0], kind="stable").tolist()
    for unit in (3, 11):
        expected = fit_to_square(top.only(unit, 1).patches()[0], panel.grid.side)
        assert np.array_equal(panel.grid.picture(unit), expected)
