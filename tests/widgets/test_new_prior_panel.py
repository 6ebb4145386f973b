"""A prior that a user adds in one file has a slider for each of its parameters, which steers the run."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from waiting import until

import cnnexplore as cx

_FILE = Path(__file__).parents[1] / "preimage" / "toy_prior.py"


@pytest.fixture(scope="module")
def MeanColour():
    spec = importlib.util.spec_from_file_location("toy_prior", _FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MeanColour


@pytest.fixture
def panel(keep, MeanColour):
    p = keep(cx.InversionPanel("lenet", cx.digit(2), "conv2", priors=[MeanColour()], steps=40))
    assert p.wait(60)
    return p


def inside(widget):
    """A widget and all that it contains."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from inside(child)


def test_each_parameter_has_a_slider(panel, MeanColour):
    sliders = panel.controls.sliders
    for parameter in MeanColour.parameters:
        slider = sliders[parameter.name]
        assert slider.description == parameter.label
        assert slider.tooltip == parameter.description
        assert slider.value == parameter.default
    assert (sliders["mean_level"].min, sliders["mean_level"].max) == (-100, 100)
    assert 10 ** sliders["mean_weight"].max == pytest.approx(1e4)
    assert {sliders[parameter.name] for parameter in MeanColour.parameters} <= set(inside(panel.widget))


def test_moving_it_steers_the_run(panel, MeanColour):
    before = panel.picture.mean()
    panel.controls.sliders["mean_weight"].value = 1e4
    panel.controls.sliders["mean_level"].value = 80.0
    until(lambda: panel.runner.run.applied.get("mean_level") == 80)  # it goes on after its end
    assert panel.wait(60)
    assert panel.picture.mean() > before + 20
    history = panel.runner.run.history
    assert "mean_colour" in history.dtype.names
    python = panel.to_python()
    assert "priors=[MeanColour()]" in python
    assert "'mean_level': 80" in python
    again = eval(python, {"cx": cx, "MeanColour": MeanColour, "image": cx.digit(2)})
    assert np.array_equal(again.picture, panel.picture)


def test_it_is_steered_while_the_run_goes_on(panel):
    panel.reset()
    until(lambda: panel.runner.run is not None and panel.runner.run.step == 0)
    for _ in range(3):
        panel.step()
        until(lambda: panel.runner.state == "paused")
    run = panel.runner.run
    panel.controls.sliders["mean_level"].value = -30.0
    assert run.settings.mean_level == -30
    panel.start()
    assert panel.wait(60)
    assert panel.runner.run is run
    assert any("mean_level" in changes for changes in run.changes.values())
