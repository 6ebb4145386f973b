"""The explorer explore without a browser."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.explorer import PANELS, Explorer


@pytest.fixture
def explore():
    made = []

    def one(*args, **settings):
        made.append(Explorer(*args, **settings))
        return made[-1]

    yield one
    for each in made:
        each.close()


def test_explore_begins_with_the_default_network(explore):
    explorer = explore()
    assert explorer.selection.net.name == "photonet"
    assert explorer.panel.selectors.image.value == "cat"
    assert list(explorer.panels) == ["inversion"]


@pytest.mark.parametrize("name", [name for name in PANELS if name != "styles"])
def test_each_panel_looks_at_what_the_one_before_looked_at(explore, name):
    image = cx.digit(4)
    explorer = explore("lenet", [image, cx.digit(5)])
    assert explorer.panel.wait(60)
    explorer.panel.selectors.layer.value = "conv2"
    explorer.names.value = name
    panel = explorer.panel
    assert (panel.selection.net, panel.selection.layer) == (explorer.panels["inversion"].selection.net, "conv2")
    if getattr(panel, "image_choices", None) is not None:
        assert panel.selection.image is explorer.panels["inversion"].selection.image
    assert explorer.widget.children[-1].children == (panel.widget,)
    until(lambda: panel.runner.state == "finished", 120)
    assert "cx." in explorer.to_python()


def test_a_panel_that_is_not_on_the_screen_stays_as_it_was(explore):
    explorer = explore("lenet")
    first = explorer.panel
    assert first.wait(60)
    run, layer = first.runner.run, first.selection.layer
    first.controls.sliders["C"].value = 3.0
    explorer.names.value = "units"
    other = "pool1" if layer != "pool1" else "pool2"
    explorer.panel.selectors.layer.value = other
    until(lambda: explorer.panel.runner.state == "finished" and explorer.panel.top.layer.name == other, 60)
    assert first.selection.layer == layer
    assert first.runner.run.layer is run.layer
    explorer.names.value = "inversion"
    assert explorer.panel is first
    until(lambda: first.runner.run is not None and first.runner.run.layer.name == other, 60)


def test_what_cannot_be_shown_gets_a_sentence(explore, refused, monkeypatch):
    refused(cx.ImageError, lambda: cx.explore("lenet", "nowhere.png"), "nowhere.png")
    explorer = explore("lenet")
    first = explorer.panel

    def cannot(net, images):
        raise cx.NetworkError("this network has no <styles>.")

    monkeypatch.setitem(PANELS, "units", (cannot, ""))
    explorer.names.value = "units"
    (sentence,) = explorer.widget.children[-1].children
    assert "no &lt;styles&gt;." in sentence.value
    assert explorer.panel is first
    explorer.names.value = "inversion"
    assert explorer.widget.children[-1].children == (first.widget,)


def test_a_network_without_fully_connected_layers_has_all_panels_but_one(explore, said):
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    photo = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    explorer = explore(cx.Network(module, size=24, labels=list("abcd"), name="pooled"), photo)
    explorer.names.value = "pathways"
    (sentence,) = explorer.widget.children[-1].children
    assert "fully-connected" in sentence.value
    explorer.names.value = "completion"
    until(lambda: explorer.panel.runner.state == "finished")
    assert "cx.complete(net, image, " in explorer.to_python()
    explorer.panel.selectors.network.value = "lenet"
    explorer.names.value = "pathways"
    assert explorer.panel.selection.net.name == "lenet"
    before = explorer.panels["inversion"].selection
    explorer.panel.selection.set(net=before.net, layer=before.layer)
    assert any("fully-connected" in content.get("text", "") for content, _ in said)
    assert explorer.panel.runner.run is None or explorer.panel.runner.run.net.name == "lenet"


def test_a_style_goes_along_to_where_it_is_looked_for(explore, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path))
    scenes = [cx.scene(seed, "boat").image for seed in range(24)]
    explorer = explore("worldnet-styles", scenes)
    explorer.names.value = "styles"
    styles = explorer.panel
    until(lambda: styles.topics is not None and styles.runner.run is not None, 120)
    styles.choose(1)
    name = styles.topic_controls.name
    for panel in ("pathways", "completion"):
        explorer.names.value = panel
        class_selector = explorer.panel.class_selector
        assert (class_selector.class_box.label, class_selector.style_box.label) == (name, "style 1")
        until(lambda: explorer.panel.runner.run is not None)
        (way,) = explorer.panel.runner.run.pathways.each
        assert np.array_equal(
            way.masks(styles.selection.net).m7.numpy(),
            styles.chosen.mask(styles.topic_controls.threshold.value, styles.topic_controls.distinct.value),
        )
    assert explorer.selection.layer == styles.selection.layer
