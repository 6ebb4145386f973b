"""The inversion panel without a browser: what its controls do, what it says, what it leaves behind."""

from __future__ import annotations

import datetime
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image
from torch import nn
from waiting import until

import cnnexplore as cx
from cnnexplore.preimage import paper_C, paper_jitter
from cnnexplore.widgets.panels.run_pictures import FrameHistory


def uploaded(name: str, content: bytes) -> dict:
    """What a browser's file picker gives."""
    now = datetime.datetime.now(datetime.UTC)
    return {"name": name, "type": "image/png", "size": len(content), "content": content, "last_modified": now}


@pytest.fixture
def panel(keep):
    return lambda *args, **settings: keep(cx.InversionPanel(*args, **settings))


def test_it_begins_by_itself_and_ends(panel):
    p = panel("lenet", steps=30)
    assert p.wait(60)
    assert p.runner.run.step == 80
    assert p.selection.layer == "conv2"
    assert p.to_python().startswith("cx.invert(cx.load('lenet'), cx.digit(2), 'conv2', C=100,")


def test_the_code_remakes_the_picture_to_the_bit_also_after_steering(panel):
    p = panel("lenet", steps=400)
    until(lambda: p.runner.run is not None and p.runner.run.step > 20)
    p.controls.sliders["C"].value = 10**0.5
    until(lambda: p.runner.run.step > 60)
    p.controls.sliders["jitter"].value = 3
    until(lambda: p.runner.run.step > 100)
    p.pause()
    until(lambda: p.runner.state == "paused")
    time.sleep(0.1)
    code = p.to_python()
    assert "schedule={" in code
    assert np.array_equal(eval(code, {"cx": cx}).picture, p.picture)


def test_the_first_frame_of_a_moved_setting_does_not_wait_for_the_pace(panel, monkeypatch):
    offered = []
    p = panel("lenet", steps=50_000, start=False)
    monkeypatch.setattr(p.estimate, "offer", lambda make, soon=False: offered.append((p.run.step, soon)))
    p.start()
    until(lambda: len(offered) > 20)
    p.controls.sliders["C"].value = 10**0.5
    until(lambda: p.run.changes and len(offered) > max(p.run.changes) + 5)
    p.pause()
    (moved,) = p.run.changes
    assert [step for step, soon in offered if soon] == [moved + 1]


def test_sliders_write_into_the_mailbox_and_nothing_starts_over(panel):
    p = panel("lenet", steps=50_000)
    until(lambda: p.runner.run is not None and p.runner.run.step > 5)
    run = p.runner.run
    p.controls.sliders["beta"].value = 1.3
    p.controls.sliders["alpha"].value = 4.0
    p.controls.sliders["C"].value = 19.95
    step = run.step
    until(lambda: run.step > step + 5)
    assert p.runner.run is run
    values = run.settings.snapshot()
    assert (values.beta, values.alpha, values.C) == (1.3, 4.0, 20.0)
    p.controls.preset.value = "the paper's for this layer"
    assert run.settings.snapshot().C == 100
    assert p.controls.sliders["C"].value == 100


def test_a_setting_off_the_slider_s_ticks_survives_the_browser_s_echo(panel):
    p = panel("lenet", C=333, start=False)
    p.controls.sliders["C"].value = 331.1311
    assert p.settings.C == 333


def test_another_layer_image_seed_or_network_starts_afresh_and_keeps_the_settings(panel):
    p = panel("lenet", steps=50_000)
    until(lambda: p.runner.run is not None and p.runner.run.step > 5)
    p.controls.sliders["C"].value = 10
    for change in (
        lambda: setattr(p.selectors.layer, "value", "pool1"),
        lambda: setattr(p.selectors.image, "value", "digit 7"),
        lambda: setattr(p.starts.seed_box, "value", 5),
    ):
        before = p.runner.run
        change()
        until(lambda before=before: p.runner.run not in (None, before) and p.runner.run.step > 2)
        assert p.settings.C == 10
    assert p.runner.run.seeds == [5]
    assert p.to_python().startswith("cx.invert(cx.load('lenet'), cx.digit(7), 'pool1', C=10,")


def test_what_a_preset_sets_follows_the_layer_and_what_a_person_sets_stays(panel):
    p = panel("lenet", layer="conv1", steps=50_000)
    assert p.controls.preset.value == "the paper's for this layer"
    for layer in ("conv3", "conv1", "pool2"):
        p.selectors.layer.value = layer
        assert p.settings.C == paper_C(p.layer, p.net.size) == p.controls.sliders["C"].value
        assert p.settings.jitter == paper_jitter(p.layer)
        assert p.controls.preset.value == "the paper's for this layer"
    p.controls.preset.value = "closer to the activation (C × 10)"
    p.selectors.layer.value = "conv1"
    assert 10 * paper_C(p.layer, p.net.size) == p.settings.C
    p.controls.sliders["C"].value = 3000 * 1.5
    p.selectors.layer.value = "pool2"
    assert p.settings.C == 4500
    assert p.controls.preset.value == "settings of one's own"


def test_a_refusal_stays_while_the_run_writes_its_pace_until_something_succeeds(panel):
    p = panel("lenet", steps=50_000)
    until(lambda: p.runner.run is not None and p.runner.run.step > 5)
    p.starts.steps_box.value = 12.5
    said = "steps is 12.5; expected a whole number from 1 to 100000, so 50000 stays."
    assert p.run_view.message == said
    assert p.starts.steps_box.value == p.starts.steps == 50_000
    p.starts.seed_box.value = 1e9
    assert p.run_view.message.startswith("seed is 1e+09; expected a whole number from 0 to")
    assert p.starts.seed_box.value == p.starts.seed == 0
    step = p.runner.run.step
    until(lambda: p.runner.run.step > step + 5)
    assert p.run_view.message.startswith("seed is 1e+09")
    p.starts.seed_box.value = 4
    assert p.run_view.message == ""
    p.run_view.set_message("refused")
    p.run_view._handle_custom_msg({"kind": "dismiss"}, [])
    assert p.run_view.message == ""


def test_the_step_that_ends_after_a_look_back_does_not_take_its_number(panel, said):
    p = panel("lenet", steps=50_000)
    until(lambda: p.runner.run is not None and p.runner.run.step > 60)
    p.scrub(20)
    until(lambda: p.runner.state == "paused")
    time.sleep(0.2)
    statuses = [content for content, _ in said if content["kind"] == "status"]
    shown = p.run_pictures.shown
    assert statuses[-1]["step"] == shown
    assert not statuses[-1]["live"]
    assert statuses[-1]["text"].startswith(f"looking back at step {shown} of ")


def test_looking_back_shows_an_earlier_frame_and_its_code(panel):
    p = panel("lenet", steps=40)
    assert p.wait(60)
    newest = p.picture
    p.scrub(8)
    shown = p.run_pictures.shown
    assert abs(shown - 8) <= 4
    assert f"steps={shown}," in p.to_python()
    assert not np.array_equal(p.picture, newest)
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).picture, p.picture)
    p.scrub(90)
    assert np.array_equal(p.picture, newest)


def test_a_network_that_cannot_be_loaded_gets_a_sentence_and_all_stays(panel, said, monkeypatch):
    from cnnexplore.zoo.architectures import torchvision_classifiers as vision

    def offline(*args):
        raise cx.WeightsError("the weights of alexnet could not be downloaded.")

    monkeypatch.setattr(vision, "published", offline)
    p = panel("lenet", steps=50_000)
    until(lambda: p.runner.run is not None and p.runner.run.step > 2)
    run = p.runner.run
    p.selectors.network.value = "alexnet"
    assert any("could not be downloaded" in content.get("text", "") for content, _ in said)
    assert p.selectors.network.value == "lenet"
    assert p.runner.run is run


def test_bad_numbers_and_uploads_get_a_sentence(panel, said):
    p = panel("lenet", steps=50_000)
    p.starts.seed_box.value = -3
    assert any("seed is -3; expected a whole number" in content.get("text", "") for content, _ in said)
    assert p.starts.seed == 0
    p.selectors.upload.value = (uploaded("x.png", b"abc"),)
    assert any("not an image" in content.get("text", "") for content, _ in said)
    picture = io.BytesIO()
    Image.new("RGB", (40, 30), "white").save(picture, "PNG")
    p.selectors.upload.value = (uploaded("y.png", picture.getvalue()),)
    assert p.selectors.image.value == "y.png"
    until(lambda: p.runner.run is not None and p.runner.run.step > 2)
    assert "'y-" in p.to_python()


@pytest.mark.parametrize("wrong", [{"layer": "conv9"}, {"image": "nowhere.png"}, {"C": -1}, {"beta": 7}])
def test_bad_arguments_are_refused_at_once(wrong):
    with pytest.raises(cx.ExploreError):
        cx.InversionPanel("lenet", **wrong)


def test_a_user_s_own_module_and_array(panel):
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2)).train()
    image = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    p = panel(cx.Network(module, size=32), image, steps=5)
    assert p.wait(60)
    assert p.to_python().startswith("cx.invert(net, image, 'relu1'")
    assert module.training
    assert all(q.requires_grad for q in module.parameters())


def test_the_poster_is_a_png_of_both_pictures_with_the_code_inside(panel):
    p = panel("lenet", steps=5)
    assert p.wait(60)
    poster = Image.open(io.BytesIO(p.poster()))
    assert poster.width == 2 * poster.height + 10
    assert poster.text["cnnexplore"] == p.to_python()


def test_a_click_draws_what_a_unit_sees(panel):
    p = panel("lenet", layer="pool2", start=False)
    p.original.receive({"kind": "pick", "row": 0, "column": 27})
    assert p.selection.position == (0, 3)
    assert p.original.box == [0, 12, 15, 27]
    p.estimate.receive({"kind": "pick", "row": 14, "column": 14})
    assert p.original.box == p.estimate.box


def test_nobody_looking_pauses_and_a_look_goes_on(panel):
    p = panel("lenet", steps=50_000)
    until(lambda: p.runner.run is not None and p.runner.run.step > 2)
    p.estimate.receive({"kind": "ready", "view": "a"})
    assert p.runner.state == "running"
    p.estimate.receive({"kind": "gone", "view": "a"})
    until(lambda: p.runner.state == "paused")
    p.estimate.receive({"kind": "ready", "view": "b"})
    until(lambda: p.runner.state == "running")


def test_two_panels_share_what_they_look_at(panel):
    one = panel("lenet", start=False)
    two = panel(selection=one.selection, start=False)
    assert two.selection.net is one.selection.net
    two.selectors.layer.value = "pool1"
    assert one.selectors.layer.value == "pool1"
    # Each panel prepares its run in a thread of its own, so each has to be waited for.
    for shown in (one, two):
        until(lambda shown=shown: shown.runner.run is not None and shown.runner.run.layer.name == "pool1")
    assert two.to_python().startswith("cx.invert(cx.load('lenet'), cx.digit(2), ")


@pytest.mark.parametrize(("net", "first"), [("lenet", "digit 2"), ("worldnet", "scene: church"), ("photonet", "cat")])
def test_the_pictures_that_suit_the_network_come_first(panel, net, first):
    p = panel(net, start=False)
    assert p.selectors.image.value == first
    assert p.selectors.image.options[0].split()[0].rstrip(":") == {"cat": "cat"}.get(
        first, first.split()[0].rstrip(":")
    )
    assert {"cat", "scene: boat", "digit 7"} <= set(p.selectors.image.options)
    p.selectors.image.value = "scene: boat"
    code = p.selection.image_python
    assert np.array_equal(eval(code, {"cx": cx}), p.selection.image)
    assert {"photonet", "photonet-robust", "worldnet", "worldnet-robust", "lenet"} <= set(p.selectors.network.options)


def test_a_window_of_the_map_masks_the_code_and_is_framed(panel):
    p = panel("lenet", layer="pool1", steps=5)
    assert p.wait(60)
    p.map.view.receive({"kind": "window", "window": [2, 3, 6, 5]})
    until(lambda: p.runner.run is not None and p.runner.run.mask is not None and p.runner.state == "finished")
    assert "mask=cx.masks.window(top=2, left=3, bottom=6, right=5)" in p.to_python()
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).picture, p.picture)
    layer = p.runner.run.layer
    top, left, bottom, right = p.original.box
    assert (top, left) == layer.rf_box(2, 3)[:2]
    assert (bottom, right) == layer.rf_box(5, 4)[2:]
    assert p.map.view.box == [2, 3, 5, 4]
    assert p.map.back.layout.visibility == "visible"
    p.map.back.click()
    until(lambda: p.runner.run is not None and p.runner.run.mask is None and p.runner.state == "finished")
    assert (p.map.view.box, p.original.box) == ([], [])


def test_a_window_does_not_outlive_its_layer_and_flat_layers_have_no_map(panel, said):
    p = panel("lenet", layer="pool1", steps=5, mask=cx.masks.window(0, 0, 4, 4))
    assert p.wait(60)
    assert p.map.widget.layout.display == ""
    p.selectors.layer.value = "conv3"
    until(lambda: p.runner.run is not None and p.runner.run.layer.name == "conv3" and p.runner.state == "finished")
    assert p.mask is None
    assert p.map.widget.layout.display == "none"
    assert not any(content.get("state") == "failed" for content, _ in said)
    assert p.run_view.message == ""


def test_a_mask_that_does_not_fit_is_refused_at_once(panel, refused):
    wrong = cx.masks.window(0, 0, 90, 90)
    refused(cx.SettingError, lambda: cx.InversionPanel("lenet", layer="pool1", mask=wrong), "does not fit a map of")
    refused(cx.SettingError, lambda: cx.InversionPanel("lenet", layer="pool1", mask=np.ones((7, 7))), "broadcast")
    p = panel("lenet", layer="pool1", mask=cx.masks.window(0, 0, 2, 2))
    p.map.on_choose((0, 0, 3, 3))
    until(lambda: p.runner.run is not None and p.runner.run.step > 2)


def test_several_seeds_grow_side_by_side_in_one_run(panel):
    p = panel("lenet", steps=10, seed=3)
    assert p.wait(60)
    p.starts.seeds_box.value = 4
    until(lambda: p.runner.run is not None and len(p.runner.run.seeds) == 4 and p.runner.state == "finished")
    assert p.runner.run.seeds == [3, 4, 5, 6]
    assert p.picture.shape == (4, 28, 28, 3)
    assert p.estimate.caption.endswith("seeds 3 to 6")
    again = eval(p.to_python(), {"cx": cx})
    assert np.array_equal(np.stack([r.picture for r in again]), p.picture)
    content, buffers = p.estimate.stream.latest
    assert (content["n"], content["w"], content["h"]) == (4, 28, 28)
    assert bytes(buffers[0]) == p.picture.tobytes()
    poster = Image.open(io.BytesIO(p.poster()))
    assert poster.width == 5 * poster.height + 4 * 10


def test_a_number_of_seeds_that_cannot_be(refused):
    refused(cx.SettingError, lambda: cx.InversionPanel("lenet", seeds=0), "seeds is 0", "1 to 16")


def test_the_reel_stays_within_its_budget():
    reel = FrameHistory(budget=10 * 300)
    for step in range(100):
        reel.add(step, np.full((10, 10, 3), step, np.uint8))
        assert reel.nearest(0)[0] == 0
    kept = [reel.nearest(step)[0] for step in range(100)]
    assert len(set(kept)) <= 10
    assert max(abs(a - b) for a, b in zip(kept, range(100), strict=True)) <= 32
    assert reel.nearest(99)[1][0, 0, 0] == reel.nearest(99)[0]
    reel.clear()
    assert reel.nearest(3) is None


def test_the_python_of_a_run_that_is_being_made_comes_when_it_ends(keep, said, monkeypatch):
    panel = keep(cx.InversionPanel("lenet", layer="conv2", steps=3))
    assert panel.wait(60)
    may_go, make = threading.Event(), panel._make

    def slowly():
        made = make()
        return lambda: (may_go.wait(20), made())[1]

    monkeypatch.setattr(panel, "_make", slowly)
    said.clear()
    panel.settings.update(C=10 * panel.settings.C)
    panel.reset()
    panel.start()
    panel.copy_python()
    with pytest.raises(cx.SettingError, match="is being made; wait a moment"):
        panel.to_python()
    assert not [content for content, _ in said if content["kind"] == "copy" or content.get("state") == "failed"]
    assert panel.run_view.message.startswith("the run is being made; its Python is copied when")
    may_go.set()
    assert panel.wait(60)
    assert [content["text"] for content, _ in said if content["kind"] == "copy"] == [panel.to_python()]
    assert f"C={panel.settings.C:g}" in panel.to_python()
