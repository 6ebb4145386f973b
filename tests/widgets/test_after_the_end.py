"""A setting that is moved after the end of a run goes on from its picture, and the Python makes it again."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from waiting import until

import cnnexplore as cx

SCENE = cx.scene(3).image
PANELS = {
    "inversion": lambda: cx.InversionPanel("lenet", layer="conv2", steps=8),
    "maximization": lambda: cx.MaximizePanel("lenet", "conv2", 3, steps=5, thumbnails=False),
    "caricature": lambda: cx.CaricaturePanel("lenet", layer="conv2", steps=5),
    "two seeds": lambda: cx.InversionPanel("lenet", layer="conv2", steps=4, seeds=2),
    "completion": lambda: cx.CompletionPanel("worldnet", SCENE, (20, 20, 60, 60), target="church", steps=3),
}


def remade(panel) -> np.ndarray:
    names = {"cx": cx, "np": np, "image": SCENE}
    made = eval(panel.to_python(), names)
    return np.stack([one.picture for one in made]) if isinstance(made, list) else made.picture


@pytest.mark.parametrize("kind", PANELS)
def test_it_goes_on_from_the_picture(keep, kind):
    panel = keep(PANELS[kind]())
    assert panel.wait(120)
    run, ended, before = panel.run, panel.run.step, panel.picture
    panel.controls.sliders["C"].value = panel.settings.C / 4
    assert panel.wait(120)
    assert panel.run is run, "no run begins anew"
    assert run.step == run.total == ended + 100
    assert run.changes == {ended: {"C": panel.settings.C}}
    assert not np.array_equal(panel.picture, before)
    assert np.array_equal(remade(panel), panel.picture)


def test_the_energy_is_as_low_as_that_of_a_run_from_noise(keep):
    panel = keep(cx.InversionPanel("lenet", layer="conv2", C=100, steps=60))
    assert panel.wait(120)
    panel.controls.sliders["C"].value = 10
    assert panel.wait(120)
    run = panel.run
    fresh = cx.Inversion(run.net, cx.digit(2), "conv2", C=10, steps=60)
    fresh.finish(progress=False)
    values = panel.settings.snapshot()
    energy = [float(one.energy(one.canvas, values)[0][0]) for one in (run, fresh)]
    assert energy[0] < 1.05 * energy[1]


def test_start_step_and_reset_after_the_end(keep):
    panel = keep(PANELS["inversion"]())
    assert panel.wait(60)
    run, ended = panel.run, panel.run.step
    panel.step()
    until(lambda: panel.run.step == ended + 1)
    assert panel.wait(60)
    panel.start()
    assert panel.wait(60)
    assert panel.run is run
    assert run.step == ended + 101
    panel.reset()
    until(lambda: panel.run not in (None, run))
    assert panel.run.step == 0


def test_a_jitter_that_is_moved_after_the_end_begins_anew(keep):
    panel = keep(PANELS["inversion"]())
    assert panel.wait(60)
    run = panel.run
    panel.controls.sliders["jitter"].value = 3
    until(lambda: panel.run not in (None, run))
    assert panel.wait(60)
    assert panel.run.step == panel.run.steps + panel.run.refine == 58


def test_a_move_while_the_last_step_is_reported_is_not_lost(keep):
    panel = keep(cx.InversionPanel("lenet", layer="conv2", steps=3, start=False))
    until(lambda: panel.runner.run is not None)
    run, moved, update = panel.run, threading.Event(), panel.runner.on_frame

    def slow(frame):
        update(frame)
        if frame.step == 53 and not moved.is_set():
            moved.set()
            panel.settings.update(C=7)
            panel._settings_moved()

    panel.runner.on_frame = slow
    panel.start()
    assert panel.wait(60)
    assert moved.is_set()
    assert (panel.run is run, run.step, panel.runner.state) == (True, 153, "finished")


def test_a_generator_begins_anew(keep):
    panel = keep(cx.MaximizePanel("worldnet", "fc8", "boat", steps=3, prior="generator", thumbnails=False))
    assert panel.wait(60)
    run = panel.run
    panel.start()
    until(lambda: panel.run not in (None, run))
    assert panel.wait(60)
    assert panel.run.step == 3


def test_a_run_that_is_stopped_from_outside_is_not_driven_on(keep):
    panel = keep(cx.InversionPanel("lenet", layer="conv2", steps=100_000))
    until(lambda: panel.run is not None and panel.run.step > 2)
    panel.run.stop()
    assert panel.wait(60)
    assert panel.runner.state == "stopped"
    assert panel.run.step < panel.run.total
