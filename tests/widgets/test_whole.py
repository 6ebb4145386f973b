"""The whole instrument without a browser."""

from __future__ import annotations

import pytest
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.whole import PANELS, Instrument


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


def test_explore_begins_with_the_default_network():
    whole = cx.explore()
    whole.panel.runner.stop()
    assert whole.selection.net.name == "photonet"
    assert whole.panel.image.value == "cat"
    assert list(whole.panels) == ["inversion"]


@pytest.mark.parametrize("name", PANELS)
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
    assert "no &lt;styles&gt;." in whole.says.value
    assert whole.names.value == "inversion"
    assert whole.panel is first
    assert whole.widget.children[-1].children == (first.widget,)
