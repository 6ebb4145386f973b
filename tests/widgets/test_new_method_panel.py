"""A new attribution method has its sliders and its thumbnail in the panel; no widget is edited."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
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
