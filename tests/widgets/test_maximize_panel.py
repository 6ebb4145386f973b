"""The maximisation panel and its gallery without a browser."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn as nn
from waiting import until

import cnnexplore as cx
from cnnexplore.data import bundled_images
from cnnexplore.preimage import best_responses, presets
from cnnexplore.preimage.presets import preset_of
from cnnexplore.widgets.panels.unit_gallery import _STEPS, ThumbnailTask, by_interest, captions, thumbnail_side


@pytest.fixture
def panel(keep):
    return lambda *args, **settings: keep(cx.MaximizePanel(*args, **settings))


@pytest.fixture(scope="module")
def net():
    return cx.load("lenet", device="cpu")


def test_the_most_interesting_unit_comes_first_and_its_code_remakes_it(panel, net):
    p = panel(net, "conv2", steps=15, thumbnails=False)
    assert p.wait(60)
    best = int(best_responses(net, "conv2").argmax())
    assert (p.selection.unit, p.grid.selected) == (best, best)
    assert p.estimate.caption == f"unit {best} of conv2"
    assert (p.estimate.height, p.estimate.width) == p.runner.run.size
    assert "'conv2', C=" in p.to_python()
    assert f"unit={best}" in p.to_python()
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).picture, p.picture)


def test_a_chosen_unit_starts_by_itself_and_keeps_the_settings(panel, net):
    p = panel(net, "conv2", steps=50_000, thumbnails=False)
    until(lambda: p.runner.run is not None and p.runner.run.step > 3)
    p.controls.sliders["beta"].value = 1.5
    p.grid.set_state({"selected": 7})  # as the browser does
    until(lambda: p.runner.run is not None and p.runner.run.units == [7] and p.runner.run.step > 3)
    assert p.settings.beta == 1.5
    assert p.selection.unit == 7


def test_a_position_takes_the_whole_canvas_and_is_framed(panel, net):
    p = panel(net, "conv2", unit=3, steps=10, thumbnails=False)
    assert p.wait(60)
    p.map.view.receive({"kind": "pick", "row": 2, "column": 5})
    until(lambda: p.runner.run is not None and p.runner.run.position == (2, 5) and p.runner.state == "finished")
    assert p.runner.run.size == net.size
    assert p.estimate.box == [float(v) for v in net.layers["conv2"].rf_box(2, 5)]
    assert p.map.view.box == [2, 5, 2, 5]
    assert "unit=3, position=(2, 5)" in p.to_python()
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).picture, p.picture)
    p.map.back.click()
    until(lambda: p.runner.run is not None and p.runner.run.position is None and p.runner.state == "finished")
    assert p.estimate.box == []


def test_another_layer_chooses_anew_and_what_was_the_paper_s_stays_the_paper_s(panel, net):
    p = panel(net, "conv1", unit=4, position=(1, 1), steps=5, thumbnails=False)
    assert p.wait(60)
    p.selectors.layer.value = "pool2"
    until(lambda: p.runner.run is not None and p.runner.run.layer.name == "pool2" and p.runner.state == "finished")
    assert p.runner.run.position is None
    assert p.settings.C == cx.Maximization(net, "pool2", 0).settings.C
    p.controls.sliders["C"].value = 10.0
    share = 10 / cx.Maximization(net, "pool2", 0).settings.C
    p.selectors.layer.value = "conv4"
    until(lambda: p.runner.run is not None and p.runner.run.layer.name == "conv4" and p.runner.state == "finished")
    assert pytest.approx(share * cx.Maximization(net, "conv4", 0).settings.C, rel=0.01) == p.settings.C
    assert p.map.widget.layout.display == "none"


def test_every_unit_gets_a_thumbnail_the_chosen_one_its_own(panel, net):
    p = panel(net, "conv1", steps=10)
    until(lambda: p.gallery.runner.state == "finished", 60)
    count = net.layers["conv1"].channels
    assert p.grid.done == p.grid.count == count
    assert (p.grid.note, p.grid.action) == (f"{count} units", "")
    assert sorted(p.grid.order) == list(range(count))
    assert p.grid.order == by_interest(net, net.layers["conv1"])
    unit = p.grid.order[-1]
    expected = cx.maximize(net, "conv1", unit, steps=_STEPS, progress=False).picture
    times = p.grid.side // expected.shape[0]
    assert np.array_equal(p.grid.picture(unit), expected.repeat(times, 0).repeat(times, 1))
    p.grid.selected = unit
    until(lambda: p.runner.run is not None and p.runner.run.units == [unit] and p.runner.state == "finished")
    until(lambda: np.array_equal(p.grid.picture(unit), p.picture.repeat(times, 0).repeat(times, 1)))


def test_thumbnails_are_kept_when_the_layer_is_left_and_can_wait(panel, net):
    p = panel(net, "conv2", steps=5)
    until(lambda: p.grid.note[:1].isdigit() and int(p.grid.note.split()[0]) >= 8, 60)
    p.grid.on_action()
    until(lambda: p.gallery.runner.state == "paused")
    assert p.grid.action == "go on"
    kept = {k: p.grid.picture(k) for k in p.grid.order[: int(p.grid.note.split()[0])]}
    p.selectors.layer.value = "conv1"
    until(lambda: p.grid.count == net.layers["conv1"].channels)
    p.selectors.layer.value = "conv2"
    until(lambda: p.grid.count == net.layers["conv2"].channels and p.grid.done >= len(kept))
    chosen = p.grid.order[0]  # the live run makes a better one
    assert all(np.array_equal(p.grid.picture(k), picture) for k, picture in kept.items() if k != chosen)
    until(lambda: p.gallery.runner.run is not None)
    assert not set(p.gallery.runner.run.units) & set(kept), "what is there is not made again"


def test_running_the_cell_again_replaces_the_run_and_its_gallery(panel, net, monkeypatch):
    monkeypatch.setattr("cnnexplore.widgets.panels.base.cell_key", lambda panel: "cell 7 0")
    one = panel(net, "conv2", steps=50_000)
    until(lambda: one.gallery.runner.state == one.runner.state == "running")
    two = panel(net, "conv2", steps=50_000)
    assert one.gallery.runner.state == one.runner.state == "stopped"
    until(lambda: two.gallery.runner.state == two.runner.state == "running")


def test_without_thumbnails_units_can_be_chosen_all_the_same(panel, net):
    p = panel(net, "conv2", steps=5, thumbnails=False)
    assert p.wait(60)
    assert (p.grid.count, p.grid.done) == (50, 1), "the chosen one's picture is there"
    assert (p.gallery.runner.state, p.grid.note, p.grid.action) == ("idle", "50 units", "")


def test_thumbnails_that_cannot_be_made_say_why_and_can_be_tried_again(panel, net, monkeypatch):
    def broken(self):
        raise cx.DivergedError("the energy is no longer finite.")

    monkeypatch.setattr("cnnexplore.widgets.panels.unit_gallery.ThumbnailTask.frames", broken)
    p = panel(net, "conv2", steps=5)
    until(lambda: p.gallery.runner.state == "failed" and p.grid.action == "try again")
    assert p.grid.note == "thumbnails: the energy is no longer finite."
    monkeypatch.undo()
    p.grid.on_action()
    until(lambda: p.grid.done >= 8)


def test_presets_are_methods_whose_python_is_the_pictures(panel):
    """Each method begins anew with its own settings and sliders; a setting of it can be moved."""
    net = cx.load("worldnet", device="cpu")
    p = panel(net, "fc8", 4, steps=3, thumbnails=False)
    assert p.wait(60)
    assert p.controls.preset.value == "natural"
    assert list(p.controls.preset.options)[1:5] == ["natural", "paper 2016", "lucid", "MACO"]
    for label, name, shown in (
        ("paper 2016", "paper2016", {"alpha", "beta"}), ("lucid", "lucid", {"rotation", "scaling", "views"}),
        ("MACO", "maco", {"crop", "views", "noise"}),
        ("natural", "natural", {"alpha", "beta", "colour", "rotation", "scaling"}),
    ):  # fmt: skip
        p.controls.preset.value = label
        until(lambda name=name: p.run is not None and p.run.preset.name == name and p.runner.state == "finished", 60)
        sliders = {k for k, one in p.controls.sliders.items() if one.layout.display != "none"}
        assert sliders - {"C", "jitter"} == shown
        usual = cx.Maximization(net, "fc8", 4, preset=name, steps=1).settings.snapshot()
        assert dict(p.run.first) == dict(usual)
        made = eval(p.to_python(), {"cx": cx})
        assert np.array_equal(p.picture, made.faded if name == "maco" else made.picture)
        assert p.controls.preset.value == label
    assert len(presets()) == 4
    p.controls.sliders["rotation"].value = 40.0
    until(lambda: p.run is not None and p.run.changes.get(3) == {"rotation": 40} and p.runner.state == "finished", 60)
    assert p.controls.preset.value == "settings of one's own"
    assert "'rotation': 40" in p.to_python()
    p.controls.preset.value = "closer to the unit (C × 10)"
    assert p.preset.name == "natural"
    assert p.settings.rotation == 20


def test_a_preset_is_named_and_said_in_a_sentence_and_stays_when_a_slider_goes_to_its_tick(panel, net):
    colours = cx.load("worldnet", device="cpu")
    p = panel(colours, "relu3", 40, steps=2, thumbnails=False)
    assert p.wait(60)
    exact = p.settings.rotation
    p.controls.sliders["rotation"].value = round(2 * exact) / 2  # as the browser does with a value between two ticks
    assert p.settings.rotation == exact
    assert p.controls.preset.value == "natural"
    assert preset_of("natural").about in p.controls.about.value
    assert p.controls.sliders["colour"].layout.display != "none"
    p.controls.preset.value = "MACO"
    assert "fades to white" in p.controls.about.value
    grey = panel(net, "conv2", 3, steps=2, thumbnails=False)
    assert grey.controls.sliders["colour"].layout.display == "none"


def test_an_image_is_accentuated_and_the_line_makes_it_again(panel):
    net = cx.load("worldnet", device="cpu")
    p = panel(net, "fc8", "church", steps=4, thumbnails=False)
    assert p.wait(60)
    controls = p.accentuation
    assert "fc8" not in controls.kept.options
    assert controls.row.children[1].layout.display == "none"
    controls.switch.value = True
    until(lambda: p.run is not None and p.run.keep == controls.kept.value and p.runner.state == "finished", 60)
    assert "features" in p.run.term_names
    assert p.estimate.caption == f"unit 1 of fc8 (church); begun with an image, near it in {controls.kept.value}"
    made = eval(p.to_python(), {"cx": cx})
    assert np.array_equal(made.picture, p.picture)
    near = p.run.records(p.run.step - 1)["features"][0]
    controls.slider.value = 50.0
    until(lambda: p.run.applied.closeness == 50 and p.runner.state == "finished", 60)
    controls.kept.value = "conv1"
    until(lambda: p.run is not None and p.run.keep == "conv1" and p.runner.state == "finished", 60)
    assert p.settings.closeness == 50
    assert near > 0
    p.selectors.layer.value = "conv1"
    until(lambda: p.run is not None and p.run.layer.name == "conv1" and p.runner.state == "finished", 60)
    assert controls.switch.disabled, "no layer comes before the first"
    assert p.run.keep is None


def silent_network(dead: int) -> cx.Network:
    """A network whose last map is behind a relu; one of its units has a bias that nothing overcomes."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 6, 5, 2), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 6 * 6, 3)).eval()
    with torch.no_grad():
        module[0].bias[dead] = -1e6
    return cx.Network(module, size=(16, 16), pixels=cx.Pixels(mean=(128,), std=(64,), order="grey"), labels=list("abc"))


def test_a_unit_that_never_answers_is_said_to_be_silent_and_has_no_grey_thumbnail(panel):
    net = silent_network(dead=4)
    p = panel(net, "1", 4, steps=10)
    until(lambda: p.gallery.runner.state == p.runner.state == "finished", 60)
    until(lambda: p.grid.done == p.grid.count == 6)
    assert list(p.grid.words) == ["4"]
    assert p.grid.words["4"][0] == "silent"
    assert p.grid.picture(4) is None
    assert p.estimate.caption.startswith("unit 4 of relu1: silent; no response to any of the ")
    assert p.grid.words["4"][1].startswith(f"no response to any of the {len(bundled_images(net))} images at hand")
    for unit in (0, 1, 2, 3, 5):
        assert len(np.unique(p.grid.picture(unit))) > 8, "a picture, and not one colour"
    p.selectors.layer.value = "conv1"
    until(lambda: p.grid.label == "units" and not p.grid.words)
    p.selectors.layer.value = "relu1"
    until(lambda: list(p.grid.words) == ["4"], 60)


def test_nobody_looking_makes_no_thumbnails(panel, net):
    p = panel(net, "conv2", steps=5)
    p.grid.receive({"kind": "ready", "view": "a"})
    until(lambda: p.gallery.runner.state == "running")
    p.grid.receive({"kind": "gone", "view": "a"})
    assert p.gallery.runner.state == "paused"
    p.grid.receive({"kind": "ready", "view": "b"})
    until(lambda: p.gallery.runner.state == "running")


def test_a_complete_layer_has_nothing_to_go_on_with(panel, net):
    p = panel(net, "conv1", steps=5)
    until(lambda: p.grid.note == "20 units", 60)
    p.selectors.layer.value = "conv2"
    until(lambda: p.grid.count == 50 and p.gallery.runner.state == "running")
    p.selectors.layer.value = "conv1"
    until(lambda: p.grid.count == 20 and p.grid.done == 20)
    until(lambda: (p.grid.note, p.grid.action) == ("20 units", ""))


def test_classes_are_named_and_in_order(panel, net):
    p = panel("worldnet", "fc8", unit="church", steps=2, thumbnails=False, start=False)
    church = cx.world.CLASSES.index("church")
    assert p.selection.unit == church
    layer = p.selection.net.layers["fc8"]
    assert by_interest(p.selection.net, layer) == list(range(10))
    assert captions(p.selection.net, layer)[church] == f"church (unit {church})"
    assert captions(net, net.layers["conv1"]) == []


def test_wishes_can_stop_and_go_on(net):
    wishes = ThumbnailTask(net, "conv1", list(range(10)))
    steps = []
    for frame in wishes.frames():
        steps.append(frame.run.units[0])
        if len(steps) == 70:
            wishes.stop()
    assert wishes.step == 70
    steps += [frame.run.units[0] for frame in wishes.frames()]
    assert wishes.step == wishes.total == len(steps) == 2 * _STEPS
    assert steps == [0] * _STEPS + [8] * _STEPS


@pytest.mark.parametrize(("canvas", "side"), [((7, 7), 49), ((56, 40), 56), ((104, 104), 104), ((227, 227), 128)])
def test_a_thumbnail_s_side_is_a_whole_multiple(canvas, side):
    assert thumbnail_side(canvas) == side


def test_what_is_wrong_is_refused_at_once(net, refused):
    refused(cx.LayerNotFound, lambda: cx.MaximizePanel(net, "conv9"), "conv9")
    refused(cx.SettingError, lambda: cx.MaximizePanel(net, "conv1", unit=900), "unit is 900")
    refused(cx.SettingError, lambda: cx.MaximizePanel(net, "conv1", unit="cow"), "'cow'")
    refused(cx.SettingError, lambda: cx.MaximizePanel(net, "conv1", C=-1), "C is -1")
    refused(cx.SettingError, lambda: cx.MaximizePanel(net, "conv1", 1, position=(99, 0)), "position is (99, 0)")
    refused(cx.SettingError, lambda: cx.MaximizePanel(net, "conv1", 1, gamma=1e6), "gamma", "to 100000")
    refused(cx.ImageError, lambda: cx.MaximizePanel(net, "conv1", 1, patches=[None]))


def test_a_panel_that_shares_what_is_looked_at_follows(panel, net):
    one = panel(net, "conv1", unit=2, steps=5, thumbnails=False)
    assert one.wait(60)
    two = panel(selection=one.selection, steps=5, thumbnails=False)
    assert two.wait(60)
    assert two.runner.run.units == [2]
    two.grid.selected = 6
    until(lambda: all(p.runner.run is not None and p.runner.run.units == [6] for p in (one, two)))
    until(lambda: one.grid.selected == 6)
