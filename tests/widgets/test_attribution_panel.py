"""The attribution panel without a browser."""

from __future__ import annotations

import numpy as np
import pytest
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.live.task import Task


@pytest.fixture
def panel(keep):
    def one(*args, **settings):
        made = keep(cx.AttributionPanel(*args, **settings))
        assert made.wait(60)
        return made

    return one


def sent_pictures(view):
    """The picture a frame view shows."""
    content, buffers = view.stream.latest
    return np.frombuffer(buffers[0], np.uint8).reshape(content["h"], content["w"], 3)


def settled(p, condition):
    """Waits until all methods are there and the condition holds, too."""
    until(lambda: len(p.found) + len(p.failed) == len(p.methods) and p.runner.state == "finished" and condition(), 60)


def test_all_methods_are_there_and_the_code_remakes_the_chosen_one(panel):
    p = panel("lenet")
    assert p.runner.state == "finished"
    assert set(p.found) | set(p.failed) == set(p.methods)
    assert set(p.failed) == {"cam"}  # lenet has no global average pooling
    assert p.grid.done == len(p.methods)
    for method in ("smoothgrad", "gradcam", "occlusion"):
        p.method.value = method
        assert p.grid.selected == p.methods.index(method)
        a = eval(p.to_python(), {"cx": cx})
        assert np.array_equal(a.map, p.attribution.map)
        assert np.array_equal(sent_pictures(p.overlay), a.overlay(p.opacity.value))
        assert method.replace("_", " ") in p.overlay.caption
    p.opacity.value = 0.2
    assert np.array_equal(sent_pictures(p.overlay), a.overlay(0.2))
    assert p.poster().startswith(b"\x89PNG")


def test_a_place_on_the_map_is_explained_and_the_class_again(panel):
    p = panel("lenet", layer="conv2")
    unit = int(cx.activation_maps(p.net, p.selection.image, "conv2").maps.max((1, 2)).argmax())
    assert p.unit.value == unit
    p.map.view.receive({"kind": "pick", "row": 2, "column": 5})
    settled(p, lambda: (p.selection.unit, p.selection.position) == (unit, (2, 5)) and p.grid.done == len(p.methods))
    assert f"unit {unit} of conv2 at (2, 5)" in p.overlay.caption
    assert p.original.box == [float(v) for v in p.selection.net.layers["conv2"].rf_box(2, 5)]
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).map, p.attribution.map)
    p.unit.value = 3
    settled(p, lambda: (p.selection.unit, p.selection.position) == (3, None))
    assert "unit 3 of conv2" in p.overlay.caption
    p.map.back.click()
    settled(p, lambda: (p.selection.unit, p.selection.position) == (None, None))
    assert p.overlay.box == []
    assert "unit" not in p.overlay.caption.split(",")[0]


def test_a_click_on_the_image_takes_the_unit_that_looks_there(panel):
    p = panel("lenet", layer="conv1")
    p.original.receive({"kind": "pick", "row": 14, "column": 9})
    settled(p, lambda: p.selection.position is not None and p.found.get("gradient") is not None)
    top, left, bottom, right = p.original.box
    assert top <= 14 <= bottom
    assert left <= 9 <= right


def test_target_image_and_settings_act_at_once(panel):
    p = panel("worldnet", method="occlusion")
    first = p.attribution.target
    p.target.value = "boat"
    settled(p, lambda: p.found.get("occlusion") is not None and p.attribution.about == "boat")
    before = p.attribution.raw.shape
    (window, stride) = p.method_controls.widget.children
    stride.value = 2 * stride.value
    settled(p, lambda: p.found.get("occlusion") is not None and p.attribution.raw.shape != before)
    assert f"stride={stride.value}" in p.to_python()
    assert window.value == 12
    p.target.value = ""
    settled(p, lambda: p.found.get("occlusion") is not None and p.attribution.target == first)
    p.selectors.image.value = "scene: boat"
    settled(p, lambda: p.found.get("occlusion") is not None and p.attribution.about == "boat")
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).map, p.attribution.map)


def test_what_does_not_fit_is_a_sentence_and_the_rest_stays(panel, said):
    p = panel("lenet", method="cam")
    assert any("global average pooling" in content.get("text", "") for content, _ in said)
    word, why = p.grid.words[str(p.methods.index("cam"))]
    assert word == "does not fit"
    assert why == p.failed["cam"]
    assert np.array_equal(sent_pictures(p.overlay), p.net.picture(p.net.pixels_of(p.selection.value.image)))
    assert why in p.overlay.caption
    p.method.value = "gradient"
    assert p.attribution.method == "gradient"
    p.target.value = "a cow"
    settled(p, lambda: set(p.failed) == set(p.methods))
    assert "'a cow' is no class" in p.failed["gradient"]
    assert p.grid.words["0"][0] == "no map", "the word is not that of a method that does not fit"
    p.target.value = "3"
    settled(p, lambda: p.found.get("gradient") is not None)
    assert p.attribution.target == 3


def test_the_panel_says_what_the_network_predicts_and_a_click_explains_another_class(panel):
    p = panel("worldnet", cx.scene(7).image)
    expected = p.net.predict(cx.scene(7).image, 3)
    rows = p.predictions.rows
    assert [row["name"] for row in rows] == [label for label, _ in expected]
    assert rows[0]["share"] == pytest.approx(expected[0][1])
    assert p.predictions.selected == rows[0]["number"], "the predicted class is explained at first"
    p.predictions.set_state({"selected": rows[1]["number"]})
    settled(p, lambda: p.found.get("gradient") is not None and p.attribution.about == expected[1][0])
    assert p.target.value == expected[1][0]
    assert p.predictions.selected == p.selection.value.target == rows[1]["number"]
    p.map.view.receive({"kind": "pick", "row": 0, "column": 0})
    settled(p, lambda: "unit" in p.overlay.caption)
    assert p.predictions.selected == -1, "a unit is explained, and no class"


def test_a_shared_label_is_chosen_by_its_number(panel):
    net = cx.load("lenet")
    net.labels[:] = ["digit"] * 10
    p = panel(net, cx.digit(3))
    second = int(net.activations(cx.digit(3), net.scores.name).flatten().topk(2).indices[1])
    p.predictions.set_state({"selected": second})
    settled(p, lambda: p.found.get("gradient") is not None)
    assert p.target.value == str(second) == str(p.attribution.target)


def test_another_network_starts_by_itself(panel):
    p = panel("lenet", target=2)
    p.selectors.network.value = "worldnet"
    settled(p, lambda: "gradient" in p.found and p.found["gradient"].net.name == "worldnet")
    assert p.target.value == ""
    assert list(p.target.options) == list(cx.world.CLASSES)


def test_two_panels_share_what_is_looked_at(panel):
    one = panel("lenet", layer="conv2")
    two = panel(selection=one.selection)
    two.map.view.receive({"kind": "pick", "row": 1, "column": 1})
    for p in (one, two):
        settled(p, lambda p=p: p.selection.position == (1, 1) and "gradient" in p.found)


def test_wrong_arguments_are_refused(refused):
    refused(cx.SettingError, lambda: cx.AttributionPanel("lenet", method="gradcan"), "gradcam")
    refused(cx.SettingError, lambda: cx.AttributionPanel("lenet", opacity=2), "opacity")
    refused(cx.LayerNotFound, lambda: cx.AttributionPanel("lenet", layer="conv9"), "conv9")


def test_work_waits_stops_and_goes_on():
    work = Task(iter(range(5)), 100)
    got = []
    for k in work.frames():
        got.append(k)
        if k == 2:
            work.stop()
    assert got == [0, 1, 2]
    assert work.step < work.total
    got += list(work.frames())
    assert got == [0, 1, 2, 3, 4]
    assert work.step == work.total


def test_occlusion_is_approximate_until_the_other_methods_are_there(panel):
    p = panel("lenet", method="occlusion")
    exact = p.attribution
    assert exact.accuracy == "exact"
    assert "approximate" not in p.overlay.caption
    p.found.clear()
    results = [one for one in p._stream(p._looked_at())[0] if one[0] in p.methods]
    told = [found.accuracy for what, found, _ in results if what == "occlusion"]
    assert told[-1] == "exact"
    first = next(k for k, one in enumerate(results) if getattr(one[1], "accuracy", "").startswith("approximate"))
    others = [what for what, _, share in results if what != "occlusion" and share == 1]
    last = max(k for k, one in enumerate(results) if one[0] == others[-1])
    assert set(others) == set(p.methods) - {"occlusion", *p.failed}
    assert [what for what, *_ in results[: first + 1]] == ["occlusion"] * (first + 1)  # it comes first, and waits then
    assert [what for what, *_ in results[last + 1 :]] == ["occlusion"] * (len(results) - last - 1)
    assert results[-1][2] == 1
    p._show_result(results[first])
    approximate = p.attribution
    assert f"approximate, error ≤ {approximate.bound:.2g} where measured" in p.overlay.caption
    assert approximate.python == exact.python
    assert "occlusion" in p._unfinished  # what is begun anew computes it, too
    assert "occlusion" in {one[0] for one in p._stream(p._looked_at())[0]}
    p._show_result(results[-1])
    assert np.array_equal(p.attribution.map, exact.map)
    assert "approximate" not in p.overlay.caption
    assert not p._unfinished
