"""The pathway panel without a browser: what is switched runs, and its code remakes it."""

from __future__ import annotations

import numpy as np
import pytest
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.live.selection import EACH_STYLE


@pytest.fixture(scope="module")
def net():
    return cx.load("worldnet", device="cpu")


@pytest.fixture
def panel(keep):
    return lambda *args, **settings: keep(cx.PathwayPanel(*args, **{"steps": 4, **settings}))


def remade(p) -> np.ndarray:
    """What the panel's code makes, as the panel's picture is."""
    made = eval(p.to_python(), {"cx": cx})
    return np.stack([one.picture for one in made]) if isinstance(made, list) else made.picture


def test_it_begins_with_the_whole_network(panel, net, on_cpu):
    p = panel(net, "church")
    assert p.wait(60)
    assert "pathway" not in p.to_python()
    assert p.runner.run.units == [cx.world.CLASSES.index("church")]
    assert p.estimate.caption == "church"
    assert p.relu_masks.widget.layout.display == "none"
    assert p.locations.mask.shape == (6, 6)
    assert np.array_equal(remade(p), p.picture)
    assert p.locations.all.layout.visibility == "hidden"


def test_places_are_switched_by_dragging(panel, net, on_cpu):
    p = panel(net, 3)
    assert p.wait(60)
    p.locations.view.receive({"kind": "window", "window": [1, 0, 4, 2]})
    expected = np.zeros((6, 6), bool)
    expected[1:4, 0:2] = True
    assert np.array_equal(p.locations.mask, expected)
    p.locations.view.receive({"kind": "window", "window": [2, 0, 3, 1]})  # a click closes what is open
    expected[2, 0] = False
    p.locations.view.receive({"kind": "window", "window": [5, 5, 6, 6]})  # and opens what is closed
    expected[5, 5] = True
    assert np.array_equal(p.locations.mask, expected)
    assert "6 of 36 places" in p.locations.view.caption
    assert p.wait(60)
    until(lambda: p.estimate.box != [])
    assert np.array_equal(remade(p), p.picture)
    assert np.array_equal(p.runner.run.pathways.each[0].masks(net).m5[0].numpy(), expected)
    for row, column in np.argwhere(expected).tolist():
        p.locations.view.receive({"kind": "window", "window": [row, column, row + 1, column + 1]})
    assert p.locations.mask.all(), "with none open nothing could be seen"
    p.locations.view.receive({"kind": "window", "window": [0, 0, 3, 3]})
    p.locations.all.click()
    assert p.locations.mask.all()
    assert p.wait(60)
    until(lambda: p.estimate.box == [])


@pytest.mark.slow
def test_several_masks_and_several_seeds_stand_in_a_grid(panel, net, on_cpu):
    p = panel(net, 2, ensembles=2, seeds=2, seed=5)
    assert p.wait(60)
    assert p.picture.shape[0] == 4
    assert p.runner.run.seeds == [5, 6, 5, 6]
    assert p.estimate.columns == 2
    assert np.array_equal(remade(p), p.picture)
    codes = [one.to_python() for one in p.runner.run.pathways.each]
    assert codes == ["cx.Pathway.ensemble(0)"] * 2 + ["cx.Pathway.ensemble(1)"] * 2
    assert p.estimate.caption == "tree; one row each: network 1, network 2, seeds 5 to 6"
    assert p.relu_masks.views["m7"].caption == "fc7: 128 of 256 pass"
    p.relus.value = True
    assert p.wait(60)
    until(lambda: p.runner.run is not None and "relu=True" in p.runner.run.pathways.each[0].to_python())
    p.ensembles.value = 4
    p.starts.seeds_box.value = 4
    assert p.wait(60)
    assert p.picture.shape[0] == 16


def test_styles_of_a_class(panel, net, on_cpu, said, refused):
    masks = [np.arange(256) % 2 == 0, np.arange(256) % 3 == 0]
    p = panel(net, "church", styles={"church": masks})
    assert p.wait(60)
    assert p.class_selector.style_box.layout.display == ""
    p.class_selector.style_box.value = 1
    assert p.wait(60)
    assert np.array_equal(p.runner.run.pathways.each[0].masks(net).m7.numpy(), masks[1])
    p.class_selector.style_box.value = EACH_STYLE
    p.locations.view.receive({"kind": "window", "window": [0, 0, 3, 3]})
    assert p.wait(60)
    assert p.picture.shape[0] == 2
    assert p.estimate.caption == "church in 9 of 36 places; one row each: style 0, style 1"
    assert (p.relu_masks.views["m6"].layout.display, p.relu_masks.views["m7"].caption) == (
        "none",
        "fc7: 128, 86 of 256 pass",
    )
    assert np.array_equal(remade(p), p.picture)
    p.relus.value = True
    assert p.wait(60)
    until(lambda: p.runner.state == "finished" and ".with_relu()" in p.to_python())
    assert np.array_equal(remade(p), p.picture)
    p.class_selector.class_box.value = 0
    assert p.selection.target == 0
    assert p.class_selector.style_box.layout.display == "none"
    refused(cx.SettingError, lambda: cx.PathwayPanel(net, styles=[np.ones(7)]), "m7", "256")
    refused(cx.SettingError, lambda: cx.PathwayPanel(net, styles={"cow": masks}), "'cow'")


def test_another_network_brings_its_own_places(panel, net, said, on_cpu):
    p = panel(net, 3, ensembles=1)
    assert p.wait(60)
    p.locations.view.receive({"kind": "window", "window": [0, 0, 2, 2]})
    p.selectors.network.value = "lenet"
    until(lambda: p.runner.run is not None and p.runner.run.net.name == "lenet" and p.runner.state == "finished")
    assert p.locations.mask.shape == (4, 4)
    assert p.locations.mask.all()
    assert p.ensembles.layout.display == "none"
    assert len(p.class_selector.class_box.options) == 10
    hog = cx.load("hog")
    p.selection.set(net=hog, layer=next(iter(hog.layers)))
    assert any("fully-connected" in content.get("text", "") for content, _ in said)
    assert p.runner.run.net.name == "lenet"


def test_a_shared_selection_is_followed(panel, net, on_cpu):
    one = panel(net, 1)
    assert one.wait(60)
    two = panel(selection=one.selection)
    assert two.wait(60)
    assert two.runner.run.units == [1]
    two.class_selector.class_box.value = 4
    until(lambda: all(p.runner.run is not None and p.runner.run.units == [4] for p in (one, two)))
    assert one.class_selector.class_box.value == 4


def test_what_is_wrong_is_refused_at_once(net, refused):
    refused(cx.SettingError, lambda: cx.PathwayPanel(net, "cow"), "'cow'")
    refused(cx.SettingError, lambda: cx.PathwayPanel(net, ensembles=3), "ensembles")
    refused(cx.SettingError, lambda: cx.PathwayPanel(net, places=np.ones((2, 2))), "(2, 2)", "(6, 6)")
    refused(cx.SettingError, lambda: cx.PathwayPanel(net, places=np.zeros((6, 6))), "0 open")
    refused(cx.NetworkError, lambda: cx.PathwayPanel("hog"), "fully-connected")
