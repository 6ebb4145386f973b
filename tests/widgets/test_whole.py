"""The whole instrument without a browser."""

from __future__ import annotations

import numpy as np
import pytest
from torch import nn
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.explorer import PANELS, Instrument


@pytest.fixture
def instrument(monkeypatch):
    made = []

    def one(*args, **settings):
        made.append(Instrument(*args, **settings))
        return made[-1]

    yield one
    for each in made:
        for panel in each.panels.values():
            panel.runner.stop()
            if hasattr(panel, "survey"):
                panel.survey.stop()


def test_explore_begins_with_the_default_network():
    whole = cx.explore()
    whole.panel.runner.stop()
    assert whole.selection.net.name == "photonet"
    assert whole.panel.image.value == "cat"
    assert list(whole.panels) == ["inversion"]


@pytest.mark.parametrize("name", [name for name in PANELS if name != "styles"])
def test_each_panel_looks_at_what_the_one_before_looked_at(instrument, name):
    image = cx.digit(4)
    whole = instrument("lenet", [image, cx.digit(5)])
    assert whole.panel.wait(60)
    whole.panel.layer.value = "conv2"
    whole.names.value = name
    panel = whole.panel
    assert (panel.selection.net, panel.selection.layer) == (whole.panels["inversion"].selection.net, "conv2")
    if getattr(panel, "album", None) is not None:
        assert panel.selection.image is whole.panels["inversion"].selection.image
    assert whole.widget.children[-1].children == (panel.widget,)
    until(lambda: panel.runner.state == "finished", 120)
    assert "cx." in whole.code()


def test_a_panel_that_is_not_on_the_screen_stays_as_it_was(instrument):
    whole = instrument("lenet")
    first = whole.panel
    assert first.wait(60)
    run, layer = first.runner.run, first.selection.layer
    first.controls.C.value = 3.0
    whole.names.value = "units"
    other = "pool1" if layer != "pool1" else "pool2"
    whole.panel.choosers.layer.value = other
    until(lambda: whole.panel.runner.state == "finished" and whole.panel.top.layer.name == other, 60)
    assert first.selection.layer == layer
    assert first.runner.run.layer is run.layer
    whole.names.value = "inversion"
    assert whole.panel is first
    until(lambda: first.runner.run is not None and first.runner.run.layer.name == other, 60)


def test_what_cannot_be_shown_gets_a_sentence(instrument, refused, monkeypatch):
    refused(cx.ImageError, lambda: cx.explore("lenet", "nowhere.png"), "nowhere.png")
    whole = instrument("lenet")
    first = whole.panel

    def cannot(net, images):
        raise cx.NetworkError("this network has no <styles>.")

    monkeypatch.setitem(PANELS, "units", (cannot, ""))
    whole.names.value = "units"
    (sentence,) = whole.widget.children[-1].children
    assert "no &lt;styles&gt;." in sentence.value
    assert whole.panel is first
    whole.names.value = "inversion"
    assert whole.widget.children[-1].children == (first.widget,)


def test_a_network_without_fully_connected_layers_has_all_panels_but_one(instrument, said):
    module = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    photo = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    whole = instrument(cx.Network(module, 24, labels=list("abcd"), name="pooled"), photo)
    whole.names.value = "pathways"
    (sentence,) = whole.widget.children[-1].children
    assert "fully-connected" in sentence.value
    whole.names.value = "completion"
    until(lambda: whole.panel.runner.state == "finished")
    assert "cx.complete(net, image, " in whole.code()
    whole.panel.network.value = "lenet"
    whole.names.value = "pathways"
    assert whole.panel.selection.net.name == "lenet"
    before = whole.panels["inversion"].selection
    whole.panel.selection.set(net=before.net, layer=before.layer)
    assert any("fully-connected" in content.get("text", "") for content, _ in said)
    assert whole.panel.runner.run is None or whole.panel.runner.run.net.name == "lenet"


def test_a_style_goes_along_to_where_it_is_looked_for(instrument, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path))
    scenes = [cx.scene(seed, "boat").image for seed in range(24)]
    whole = instrument("worldnet-styles", scenes)
    whole.names.value = "styles"
    styles = whole.panel
    until(lambda: styles.topics is not None and styles.runner.run is not None, 120)
    styles.choose(1)
    name = styles.choices.name
    for panel in ("pathways", "completion"):
        whole.names.value = panel
        chooser = whole.panel.chooser
        assert (chooser.unit.label, chooser.style.label) == (name, "style 1")
        until(lambda: whole.panel.runner.run is not None)
        (way,) = whole.panel.runner.run.route.pathways
        assert np.array_equal(way.masks(styles.selection.net).m7.numpy(), styles._mask)
    assert whole.selection.layer == styles.selection.layer
