"""The style panel without a browser: survey, topics, encircled images, masks, and the code of what is seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from waiting import until

import cnnexplore as cx
from cnnexplore.styles.topic_visualization import DISTINCT, THRESHOLD, class_and_scale


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="module")
def net():
    return cx.load("worldnet-styles", device="cpu")


@pytest.fixture(scope="module")
def scenes():
    return cx.world.dataset(60, 5, names=["church", "boat"])


@pytest.fixture
def panel(keep, net, scenes):
    def make(*args, **settings):
        p = keep(cx.StylePanel(net, scenes, *args, **({"steps": 3} | settings)))
        until(lambda: p.search.runner.state in ("finished", "failed"))
        return p

    return make


def test_a_topic_has_images_a_mask_and_a_picture_whose_code_remakes_it(panel, net):
    p = panel("church")
    assert p.wait(60)
    assert (p.chosen.topic, len(p.topics)) == (0, 3)
    assert {p.features.classes[k] for k in p.features.labels} == {"church"}
    assert list(p.topic_controls.class_box.options) == ["all classes", "church", "boat"]
    assert [b.layout.display for b in p.topic_controls.buttons] == [""] * 3 + ["none"] * 5
    until(lambda: p.grid.done == p.grid.count == len(p.topics.images(0, None)))
    mask = p.topics.mask(0, THRESHOLD, DISTINCT)
    assert p.mask_view.caption == f"m7 of topic 0: {mask.sum()} of 256 units open"
    run = p.runner.run
    assert (run.units, run.M) == (
        list(class_and_scale(p.features, p.topics.images(0, None), mask)[:1]),
        class_and_scale(p.features, p.topics.images(0, None), mask)[1],
    )
    assert p.estimate.caption == "church; only the units of topic 0 pass"
    assert "# topic 0 of cx.topics(cx.features(cx.load('worldnet-styles'), images).of('church'), 3)" in p.to_python()
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).picture, p.picture)
    alone = cx.visualize_topic(p.topics, 0, steps=3, progress=False)
    assert np.array_equal(alone.picture, p.picture)
    assert len(p.embedding_view.scatter.widget.data[0].x) == len(p.features)


def test_another_topic_another_mask_another_class(panel):
    p = panel("church")
    p.topic_controls.buttons[2].click()
    until(lambda: p.estimate.caption == "church; only the units of topic 2 pass" and p.runner.state == "finished")
    first = p.runner.run
    p.topic_controls.distinct.value = 0.0
    until(lambda: p.runner.run is not None and p.runner.run is not first and p.runner.state == "finished")
    assert p.mask_view.caption == f"m7 of topic 2: {p.topics.mask(2, THRESHOLD).sum()} of 256 units open"
    p.topic_controls.threshold.value, p.topic_controls.distinct.value = 0.3, 1.0
    p.topic_controls.class_box.value = "boat"
    until(lambda: p.estimate.caption == "boat; only the units of topic 2 pass" and p.runner.state == "finished")
    p.topic_controls.k_box.value = 2
    until(lambda: p.topics is not None and len(p.topics) == 2 and "topic 0" in p.estimate.caption)
    p.topic_controls.class_box.value = "all classes"
    until(lambda: len(p.features) == 60 and p.search.runner.state == "finished")
    assert "cx.world.dataset" not in p.chosen.python
    assert ".of(" not in p.chosen.python


def test_points_are_picked_encircled_and_painted(panel):
    p = panel("church", selection=(shared := cx.widgets.live.selection.SharedSelection()))
    p.pick(next(k for k in range(20) if p.topics.assignment[k] == 1))
    assert p.chosen.topic == 1
    place = int(np.flatnonzero(p.topics.assignment == 1)[0])
    assert shared.image_python == f"images[{p.features.numbers[place]}][0]"
    assert np.array_equal(shared.image, p.features.image(place))
    assert p.embedding_view.picture.caption.endswith("topic 1")
    assert len(p.embedding_view.scatter.widget.data[1].x) == 1
    p.encircle([0, 3, 4])
    until(
        lambda: p.estimate.caption == "church; only the units of 3 images by hand pass" and p.runner.state == "finished"
    )
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).picture, p.picture)
    assert p.grid.count == 3
    p.encircle(list(range(len(p.features))))  # nothing is left to be told from
    until(lambda: "images by hand" in p.estimate.caption and p.grid.count > 3)
    colours = {}
    for kind in ("topic", "class", "prediction"):
        p.embedding_view.colour_box.value = kind
        colours[kind] = len(set(p.embedding_view.scatter.widget.data[0].marker.color))
    assert colours["topic"] == 3
    assert colours["class"] == 1
    assert "church" in p.embedding_view.legend.value


def test_codes_that_are_known_need_no_pass(keep, net, scenes, monkeypatch):
    found = cx.features(net, scenes, cache=False, progress=False)
    monkeypatch.setattr("cnnexplore.widgets.panels.topic_search.feature_stream", None)
    p = keep(cx.StylePanel(images=found, style_of="boat", steps=2))
    assert p.selection.net is net
    assert p.wait(60)
    assert "# topic 0 of cx.topics(features.of('boat'), 3)" in p.to_python()
    number = int(p.features.numbers[4])
    p.pick(4)
    assert p.selection.image_python == f"features.source[{number}]"
    shown = eval(p.selection.image_python, {"features": found})
    assert np.array_equal(net.pixels_of(shown), net.pixels_of(p.selection.image))


def test_an_image_of_a_folder_is_named_by_its_path(keep, net, scenes, tmp_path):
    for k in range(12):
        image, label = scenes[k]
        (tmp_path / scenes.names[label]).mkdir(exist_ok=True)
        Image.fromarray(image.numpy().transpose(1, 2, 0)).save(tmp_path / scenes.names[label] / f"{k}.png")
    p = keep(cx.StylePanel(net, tmp_path, None, k=2, steps=1))
    assert p.wait(60)
    assert list(p.topic_controls.class_box.options) == ["all classes", "boat", "church"]
    assert f"cx.features(cx.load('worldnet-styles'), {str(tmp_path)!r})" in p.to_python()
    p.pick(3)
    path = eval(p.selection.image_python)
    assert np.array_equal(net.pixels_of(path), net.pixels_of(p.selection.image))


def test_images_that_are_not_given_get_a_sentence(keep, refused, net):
    p = keep(cx.StylePanel(cx.load("photonet", device="cpu"), start=False))
    until(lambda: p.search.runner.state == "failed")
    assert "Give StylePanel a folder" in p.run_view.status["text"]
    refused(cx.SettingError, lambda: cx.StylePanel(net, k=0), "1 to 8")
    refused(cx.SettingError, lambda: cx.StylePanel(net, threshold=2), "threshold")
    refused(cx.SettingError, lambda: cx.StylePanel(net, distinct=-1), "distinct")
    refused(cx.SettingError, lambda: cx.StylePanel(net, []), "empty")


def test_ten_thousand_points_are_drawn_by_webgl():
    from cnnexplore.widgets.views.scatter import Scatter

    scatter = Scatter()
    for count, kind in ((100, "scatter"), (10_000, "scattergl"), (50, "scatter")):
        points = np.random.default_rng(0).normal(size=(count, 2))
        scatter.show(points, np.arange(count) % 30 - 1)
        assert {trace.type for trace in scatter.widget.data} == {kind}
        assert np.allclose(scatter.widget.data[0].x, points[:, 0], atol=1e-6)
        low, high = scatter.widget.layout.xaxis.range
        assert low < points[:, 0].min() < points[:, 0].max() < high
        scatter.ring(count - 1)
        assert scatter.widget.data[1].x[0] == pytest.approx(points[-1, 0], abs=1e-6)
        scatter.highlight([1, 2])
        assert list(scatter.widget.data[0].selectedpoints) == [1, 2]
    assert scatter.widget.data[0].marker.color[0] == "#999999"


def test_a_ring_that_is_asked_for_while_points_are_made(monkeypatch):
    from cnnexplore.widgets.views.scatter import Scatter

    scatter = Scatter()
    create = scatter._create_traces

    def as_another_thread_asks(count):
        create(count)
        scatter.ring(1)

    monkeypatch.setattr(scatter, "_create_traces", as_another_thread_asks)
    scatter.show([[0, 0], [1, 2], [3, 4]], [0, 0, 0])
    assert (scatter.widget.data[1].x[0], scatter.widget.data[1].y[0]) == (1, 2)
    scatter.ring(None)
    assert len(scatter.widget.data[1].x) == 0


def test_the_advice_for_activations_that_are_too_large_helps(keep, scenes):
    net = cx.load("worldnet-styles", device="cpu")
    with torch.no_grad():
        net.module.fc7.weight.mul_(1e6)
    p = keep(cx.StylePanel(net, scenes, "church", steps=3))
    until(lambda: p.search.runner.state == "failed")
    assert "give dtype='float32' to cx.features" in p.run_view.status["text"]
    helped = keep(cx.StylePanel(net, cx.features(net, scenes, dtype="float32"), "church", steps=3))
    assert helped.wait(60)
    assert helped.runner.state == "finished", helped.run_view.status
