"""A new prior and a new attribution method get their sliders in the panels; no widget is edited."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from waiting import until

import cnnexplore as cx
from cnnexplore.attribution import unregister_attribution


def toy(path: str):
    """A module of another test folder."""
    file = Path(__file__).parents[1] / path
    spec = importlib.util.spec_from_file_location(file.stem, file)
    sys.modules[file.stem] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("kind", [cx.InversionPanel, cx.MaximizePanel])
def test_a_new_prior_has_a_slider_for_each_parameter(keep, kind):
    prior = toy("preimage/toy_prior.py").MeanColour()
    p = keep(kind("lenet", layer="conv1", steps=4000, priors=[prior]))
    assert {"mean_weight", "mean_level"} <= set(p.controls.sliders)
    until(lambda: p.run is not None and p.run.step > 3)
    p.controls.sliders["mean_level"].value = 50.0
    until(lambda: p.run.changes)
    assert list(p.run.changes.values()) == [{"mean_level": 50.0}]
    assert "priors=[MeanColour()]" in p.to_python()


def test_a_new_attribution_method_has_its_sliders_and_its_thumbnail(keep):
    toy("attribution/toy_method.py")
    try:
        p = keep(cx.AttributionPanel("lenet", method="blurred_gradient"))
        assert p.wait(60)
        slider, _ = p.method_controls.widget.children
        assert p.grid.picture(p.methods.index("blurred_gradient")) is not None
        before = p.attribution.map
        slider.value = slider.max
        until(lambda: p.runner.state == "finished" and "blurred_gradient" in p.found)
        assert not np.array_equal(p.attribution.map, before)
        assert f"{slider.description}=" in p.to_python()
    finally:
        unregister_attribution("blurred_gradient")
