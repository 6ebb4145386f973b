"""The explorer without a browser: one selection, followed everywhere."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from torch import nn
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.explorer import QUESTIONS, Explorer
from cnnexplore.widgets.explorer import explorer as module


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
    assert explorer.shelf.grid.captions[explorer.shelf.grid.selected] == "cat"
    assert list(explorer.panels) == ["inversion"]
    assert explorer.questions["inversion"].value


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name != "styles"])
def test_each_question_is_asked_of_what_is_selected(explore, name):
    explorer = explore("lenet", [cx.digit(4), cx.digit(5)])
    assert explorer.panel.wait(60)
    explorer.strip.set_state({"selected": "conv2"})
    explorer.questions[name].value = True
    assert [key for key, one in explorer.questions.items() if one.value] == [name]
    panel = explorer.panel
    assert (panel.selection.net, panel.selection.layer) == (explorer.selection.net, "conv2")
    assert panel.selection.image is explorer.selection.image
    assert explorer._area.children == (panel.middle,)
    until(lambda: panel.runner.state == "finished", 120)
    assert "cx." in explorer.to_python()


def test_a_choice_is_followed_everywhere(explore):
    explorer = explore("lenet", [cx.digit(4), cx.digit(5)])
    explorer.shelf.grid.set_state({"selected": 1})
    assert np.array_equal(explorer.selection.image, cx.digit(5))
    assert explorer.panel.selection.image is explorer.selection.image
    explorer.strip.set_state({"selected": "conv1"})
    assert explorer.panel.layer.name == "conv1"
    until(lambda: explorer.units.grid.count == 20 and explorer.units.grid.done == 20)
    net, image = explorer.selection.net, explorer.selection.image
    answers = net.activations(image, "conv1")[0].amax((1, 2)).numpy()
    assert explorer.units.grid.order == np.argsort(-answers, kind="stable").tolist()
    best = explorer.units.grid.order[0]
    assert explorer.units.grid.captions[best] == f"{best} · {answers[best]:.3g}"
    until(lambda: len(explorer.image.classes.rows) > 0)
    rows = [(row["name"], round(row["share"], 6)) for row in explorer.image.classes.rows]
    assert rows == [(label, round(p, 6)) for label, p in net.predict(image)]
    explorer.units.grid.set_state({"selected": 3})
    explorer.image.view.receive({"kind": "pick", "row": 14, "column": 9})
    s = explorer.selection.value
    assert s.unit == 3
    assert s.position is not None
    assert explorer.panel.selection.value.unit == 3
    top, left, bottom, right = explorer.image.view.box
    assert top <= 14 <= bottom
    assert left <= 9 <= right


def test_what_is_chosen_in_a_panel_is_selected(explore):
    explorer = explore("lenet", cx.digit(4))
    explorer.ask("maximization")
    until(lambda: explorer.selection.value.unit is not None, 60)  # the panel chose the unit that responds most
    until(lambda: explorer.units.grid.selected == explorer.selection.value.unit)
    assert explorer.panel.wait(60)
    explorer.panel.selection.set(layer="conv1", unit=2)
    until(lambda: (explorer.strip.selected, explorer.selection.value.unit) == ("conv1", 2))


def test_filters_are_those_of_the_layer_before_a_relu(explore):
    explorer = explore("lenet", cx.digit(4))
    explorer.strip.set_state({"selected": "pool2"})
    explorer.ask("decoding")
    assert explorer.panel.layer.name == "conv2"
    assert explorer.selection.layer == "pool2", "the selection stays what was chosen"
    assert "filters of conv2" in explorer.question.value
    until(lambda: explorer.panel.runner.state == "finished", 60)
    assert explorer.selection.layer == "pool2"


def test_the_layers_show_what_they_keep_while_nothing_else_runs(explore):
    explorer = explore("lenet", cx.digit(4))
    assert explorer.kept.layers[0] == next(iter(explorer.selection.net.layers))
    until(lambda: explorer.kept.grid.done == len(explorer.kept.layers), 120)
    net, x = explorer.selection.net, cx.digit(4)
    first = explorer.kept.layers[0]
    run = cx.invert(net, x, first, steps=30, refine=0, progress=False)
    from cnnexplore.widgets.views.unit_grid import fit_to_square

    assert np.array_equal(explorer.kept.grid.picture(0), fit_to_square(run.picture, 96))
    explorer.kept.grid.set_state({"selected": 0})
    assert explorer.selection.layer == first


def test_a_class_that_is_chosen_is_explained(explore):
    explorer = explore("lenet", cx.digit(4))
    until(lambda: len(explorer.image.classes.rows) > 1)
    explorer.ask("attribution")
    second = explorer.image.classes.rows[1]["number"]
    explorer.image.classes.set_state({"selected": second})
    until(lambda: "gradient" in explorer.panel.found and explorer.panel.attribution.target == second, 60)
    assert explorer.selection.value.target == second


@pytest.mark.parametrize("kind", ["strongest patch", "what they want", "filters"])
def test_units_are_shown_by_what_one_asks_for(explore, kind):
    explorer = explore("lenet", cx.digit(4))
    explorer.strip.set_state({"selected": "conv1"})
    until(lambda: explorer.units.grid.done == 20)
    before = explorer.units.grid.picture(0).copy()
    explorer.units.kind.value = kind
    until(lambda: explorer.units.grid.done == 20, 120)
    until(lambda: not np.array_equal(explorer.units.grid.picture(0), before))
    explorer.units.order.value = "number"
    assert explorer.units.grid.order == list(range(20))


def test_a_panel_that_is_not_on_the_screen_stays_as_it_was(explore):
    explorer = explore("lenet")
    first = explorer.panel
    assert first.wait(60)
    run, layer = first.runner.run, first.selection.layer
    explorer.ask("units")
    other = "pool1" if layer != "pool1" else "pool2"
    explorer.strip.set_state({"selected": other})
    until(lambda: explorer.panel.runner.state == "finished" and explorer.panel.top.layer.name == other, 60)
    assert first.selection.layer == layer
    assert first.runner.run is run
    explorer.ask("inversion")
    assert explorer.panel is first
    until(lambda: first.runner.run is not None and first.runner.run.layer.name == other, 60)


def test_what_cannot_be_shown_gets_a_sentence(explore, refused, monkeypatch):
    refused(cx.ImageError, lambda: cx.explore("lenet", "nowhere.png"), "nowhere.png")
    explorer = explore("lenet")
    first = explorer.panel

    def cannot(selection, images):
        raise cx.NetworkError("this network has no <styles>.")

    monkeypatch.setitem(QUESTIONS, "units", module.QUESTIONS["units"].__class__("units", "units?", cannot))
    explorer.questions["units"].value = True
    (sentence,) = explorer._area.children
    assert "no &lt;styles&gt;." in sentence.value
    assert explorer.panel is first
    explorer.questions["inversion"].value = True
    assert explorer._area.children == (first.middle,)


def test_a_question_that_a_network_cannot_be_asked_says_why(explore):
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    photo = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    explorer = explore(cx.Network(net, size=24, labels=list("abcd"), name="pooled"), photo)
    assert explorer.questions["pathways"].disabled
    assert "fully-connected" in explorer.questions["pathways"].tooltip
    explorer.questions["completion"].value = True
    until(lambda: explorer.panel.runner.state == "finished")
    assert "cx.complete(net, image, " in explorer.to_python()
    explorer.network.value = "lenet"
    assert not explorer.questions["pathways"].disabled
    explorer.questions["pathways"].value = True
    assert explorer.panel.selection.net.name == "lenet"
    assert {layer["name"] for layer in explorer.strip.layers} <= set(cx.load("lenet").layers)


def test_a_style_goes_along_to_where_it_is_looked_for(explore, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path))
    scenes = [cx.scene(seed, "boat").image for seed in range(24)]
    explorer = explore("worldnet-styles", scenes)
    explorer.ask("styles")
    styles = explorer.panel
    until(lambda: styles.topics is not None and styles.runner.run is not None, 120)
    styles.choose(1)
    name = styles.topic_controls.name
    for panel in ("pathways", "completion"):
        explorer.ask(panel)
        class_selector = explorer.panel.class_selector
        assert (class_selector.class_box.label, class_selector.style_box.label) == (name, "style 1")
        until(lambda: explorer.panel.runner.run is not None)
        (way,) = explorer.panel.runner.run.pathways.each
        assert np.array_equal(
            way.masks(styles.selection.net).m7.numpy(),
            styles.chosen.mask(styles.topic_controls.threshold.value, styles.topic_controls.distinct.value),
        )


def test_images_of_a_folder_stand_on_the_shelf_and_are_searched_for_patches(explore, tmp_path):
    from PIL import Image

    for k in range(10):
        Image.fromarray(cx.digit(k)).save(tmp_path / f"digit-{k}.png")
    explorer = explore("lenet", tmp_path)
    assert explorer.shelf.grid.captions[:2] == ["digit-0.png", "digit-1.png"]
    explorer.ask("units")
    until(lambda: explorer.panel.top is not None, 60)
    assert len(explorer.panel.top.images) == 10


def test_thumbnails_are_as_the_network_takes_the_images(explore, refused):
    explorer = explore("lenet", [cx.digit(4), np.zeros((9, 9, 3), np.uint8)])
    until(lambda: explorer.shelf.grid.done == explorer.shelf.grid.count)
    image, grey = explorer.selection.image, explorer.shelf.grid.picture(5)
    explorer.network.value = "worldnet"
    until(lambda: explorer.shelf.grid.done == explorer.shelf.grid.count)
    assert explorer.selection.image is image, "another network looks at the same image"
    assert explorer.shelf.grid.selected == 0
    assert not np.array_equal(explorer.shelf.grid.picture(5), grey)
    refused(cx.SettingError, lambda: explorer.ask("nothing"), "nothing")


def test_a_module_with_two_outputs_is_explored_without_predictions(explore):
    class TwoHeads(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.one, self.two = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 1), nn.Conv2d(6, 2, 1)

        def forward(self, x):
            x = self.body(x)
            return self.one(x), self.two(x)

    photo = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    explorer = explore(cx.Network(TwoHeads(), size=24, name="two"), photo)
    until(lambda: explorer.units.grid.count > 0 and explorer.units.grid.done == explorer.units.grid.count)
    until(lambda: explorer.image._responses is not None and explorer.image._responses.predictions is not None)
    assert explorer.image.classes.rows == []
    assert explorer.questions["completion"].disabled
    assert explorer.panel.wait(60)


def test_keys_ask_questions_and_pause(explore):
    explorer = explore("lenet", cx.digit(4))
    explorer.guide.receive({"kind": "question", "number": 2})
    assert explorer._shown == "caricature"
    until(lambda: explorer.panel.runner.state in ("running", "finished"))
    explorer.guide.receive({"kind": "question", "number": 99})
    explorer.guide.receive({"kind": "question"})
    explorer.guide.receive({"kind": "pause"})
    assert explorer._shown == "caricature"
    until(lambda: explorer.panel.runner.state in ("paused", "finished"))


def test_a_layer_that_is_none_of_the_network_is_ignored(explore):
    explorer = explore("lenet", cx.digit(4))
    before = explorer.selection.layer
    for wrong in ("nothing", 3, None, ["conv1"]):
        explorer.strip.set_state({"selected": wrong})
    assert explorer.selection.layer == explorer.strip.selected == before


def test_a_pinned_picture_is_shown_again_with_its_settings(explore, monkeypatch):
    explorer = explore("lenet", [cx.digit(4), cx.digit(5)])
    explorer.panel.controls.sliders["C"].value = 30
    assert explorer.wait(60)
    pinned, python, C = explorer.picture, explorer.to_python(), explorer.panel.settings.C
    explorer.pin()
    pin = explorer.pins.pinned[0]
    assert pin.caption == f"What does {explorer.selection.layer} keep of the image?, {explorer.panel.number}"
    assert explorer.panel.number == f"relative error {explorer.panel.run.history['error'][-1]:.3g}"
    assert (pin.python, pin.question) == (python, "inversion")
    assert np.array_equal(pin.picture, pinned)
    explorer.shelf.grid.set_state({"selected": 1})
    explorer.strip.set_state({"selected": "conv1"})
    explorer.ask("caricature")
    assert explorer.pins.grid.selected == -1, "something else is shown"
    explorer.pins.grid.set_state({"selected": 0})
    assert (explorer._shown, explorer.selection.layer) == ("inversion", pin.selection.layer)
    assert explorer.selection.image is pin.selection.image
    assert explorer.panel.settings.C == C
    assert explorer.wait(60)
    made = eval(explorer.to_python(), {"cx": cx, "image": cx.digit(4)}).picture
    assert np.array_equal(explorer.picture, made)
    explorer.pin()
    files = []
    monkeypatch.setattr(explorer.pins, "_download", lambda name, png: files.append((name, png)))
    explorer.pins.sheet_button.click()
    text = Image.open(io.BytesIO(files[0][1])).text["cnnexplore"]
    assert text.splitlines() == [one.python for one in explorer.pins.pinned]
    explorer.pins.grid.receive({"kind": "action"})
    assert len(explorer.pins.pinned) == 1
    explorer.pins.remove(0)
    assert explorer.pins.widget.layout.display == "none"


def test_nothing_is_pinned_before_there_is_a_picture(explore):
    explorer = explore("lenet", cx.digit(4))
    explorer.panel.runner.stop()
    explorer.panel.runner.run = None
    explorer.pin()
    assert not explorer.pins.pinned
    assert explorer._message.message.startswith("there is no picture to pin: ")


def test_the_status_and_the_message_of_the_shown_panel_stand_at_the_foot(explore):
    explorer = explore("lenet", cx.digit(4))
    assert explorer.wait(60)
    until(lambda: explorer._message.status["text"].startswith("finished after"))
    first = explorer.panel
    first.run_view.set_message("refused")
    assert explorer._message.message == "refused"
    explorer._message.receive({"kind": "dismiss"})
    assert (explorer._message.message, first.run_view.message) == ("", "")
    explorer.ask("caricature")
    before = explorer._message.status
    first.run_view.set_status("failed", "of the panel that is not shown")
    assert explorer._message.status is before
    assert "cx-reports-elsewhere" not in first.run_view._dom_classes


def test_an_exercise_is_asked_checked_and_noted(explore, refused):
    exercise = cx.Exercise(
        "Which layer?", lambda s: s.layer == "conv1" or ("" if s.unit else "Not the layer."), hint="The first <b>.",
        ask="caricature", locked=["C"],
    )  # fmt: skip
    explorer = explore("lenet", cx.digit(4), exercise=exercise)
    assert explorer._shown == "caricature"
    assert explorer.panel.controls.sliders["C"].disabled
    row = explorer.exercise
    row.hint_button.click()
    assert "The first &lt;b&gt;." in row.said.value
    row.check_button.click()
    assert "Not the layer." in row.said.value
    explorer.selection.set(unit=3)
    row.check_button.click()
    explorer.strip.set_state({"selected": "conv1"})
    row.check_button.click()
    assert "Right." in row.said.value
    assert [(one.selection.layer, one.right) for one in row.attempts] == [
        ("conv2", False),
        ("conv2", False),
        ("conv1", True),
    ]
    refused(cx.SettingError, lambda: cx.Exercise(""), "text is ''")
    refused(cx.SettingError, lambda: cx.Exercise("Which?", 3), "check is 3")
    refused(cx.SettingError, lambda: cx.Exercise("Which?", ask="nothing"), "ask is 'nothing'")
    refused(cx.SettingError, lambda: cx.Exercise("Which?", locked="C"), "locked is 'C'")
    refused(cx.SettingError, lambda: cx.explore("lenet", exercise="Which?"), "expected a cx.Exercise")


def test_a_check_that_fails_says_so(explore):
    explorer = explore("lenet", cx.digit(4), exercise=cx.Exercise("Which?", lambda s: s.nothing))
    explorer.exercise.check_button.click()
    assert "the check failed: AttributeError" in explorer.exercise.said.value
    assert not explorer.exercise.attempts
