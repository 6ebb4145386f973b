"""The patch prior in the panels, without a browser: switched on, weighed while it runs, remade by its code."""

from __future__ import annotations

import time

import numpy as np
import pytest
from waiting import until

import cnnexplore as cx


@pytest.fixture
def panel(keep):
    return lambda kind, *args, **settings: keep(kind(*args, **{"steps": 6, **settings}))


def test_switched_on_it_runs_with_pictures_at_hand_and_its_code_remakes_it(panel, on_cpu):
    p = panel(cx.InversionPanel, "lenet")
    assert p.wait(60)
    assert "patches" not in p.to_python()
    assert p.patches.view not in p.run_pictures.widget.children
    p.patches.switch.value = True
    assert p.wait(60)
    assert p.patches.view in p.run_pictures.widget.children
    assert "patches=cx.PatchDatabase(cx.load('lenet'), None, 'conv2'), init='patches'" in p.to_python()
    assert np.array_equal(eval(p.to_python(), {"cx": cx}).picture, p.picture)
    database = p.runner.run.patches
    p.reset()
    until(lambda: p.runner.run is not None)
    assert p.runner.run.patches is database, "made once"
    p.patches.switch.value = False
    assert p.wait(60)
    assert "patches" not in p.to_python()
    assert p.settings.gamma == 0
    assert p.patches.view not in p.run_pictures.widget.children


def test_the_weight_moves_while_it_runs(panel, on_cpu):
    p = panel(cx.InversionPanel, "lenet", patches=[cx.digit(k) for k in range(8)], gamma=2, steps=5000)
    until(lambda: p.runner.run is not None and p.runner.run.step > 3)
    run = p.runner.run
    p.patches.weight.value = 50
    until(lambda: run.changes)
    p.pause()
    until(lambda: p.runner.state == "paused")
    time.sleep(0.3)  # the step that was under way
    assert p.runner.run is run
    assert list(run.changes.values()) == [{"gamma": 50.0}]
    assert "gamma=2" in p.to_python()
    assert "'gamma': 50.0" in p.to_python()
    remade = eval(p.to_python(), {"cx": cx, "patches": run.patches})
    assert np.array_equal(remade.picture, p.picture)


def test_what_matched_is_shown(panel, on_cpu, monkeypatch):
    p = panel(cx.InversionPanel, "lenet", patches=[cx.digit(k) for k in range(8)])
    drawn = []
    monkeypatch.setattr(p.patches.view, "draw", drawn.append)
    p.reset()
    p.start()
    assert p.wait(60)
    prior = next(one for one in p.runner.run.priors if one.name == "patches")
    assert np.array_equal(drawn[-1], prior.warped()[0])


def test_a_layer_without_places_is_a_sentence_and_the_panel_goes_on(panel, said, on_cpu):
    p = panel(cx.InversionPanel, "lenet", layer="conv4", patches=[cx.digit(1)])
    assert p.wait(60)
    assert any("has no map" in str(content.get("text")) for content, _ in said)
    p.patches.switch.value = False
    assert p.wait(60)
    assert p.runner.state == "finished"


def test_a_unit_is_drawn_to_patches_that_fit_its_canvas(panel, on_cpu):
    p = panel(cx.MaximizePanel, "lenet", "conv1", 3, patches=[cx.digit(k) for k in range(8)], thumbnails=False)
    assert p.wait(60)
    assert p.runner.state == "finished"
    assert p.runner.run.size[0] < 12
    remade = eval(p.to_python(), {"cx": cx, "patches": p.runner.run.patches})
    assert np.array_equal(remade.picture, p.picture)
