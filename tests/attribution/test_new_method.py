"""A method in one file of its own is in the list, is computed by `attribute`, and is in the panel with its sliders."""

import importlib
import sys

import numpy as np
import pytest

import cnnexplore as cx
from cnnexplore.attribution import AttributionMethod, Option, register_attribution, unregister_attribution


@pytest.fixture
def toy():
    import toy_method

    module = importlib.reload(toy_method)
    yield module
    unregister_attribution("blurred_gradient")
    del sys.modules["toy_method"]


def test_a_new_method_is_listed_and_computed(toy):
    assert list(cx.attribution_methods())[-1] == "blurred_gradient"
    assert cx.attribution_methods()["blurred_gradient"] == toy.METHOD.summary
    net, image = cx.load("lenet"), cx.digit(3)
    a = cx.attribute(net, image, method="blurred_gradient", radius=1)
    raw = np.abs(cx.attribute(net, image).raw).sum(0)
    assert a.map[9, 9] == pytest.approx(raw[8:11, 8:11].mean(), rel=1e-5)
    assert a.map[0, 0] == pytest.approx(raw[:2, :2].mean(), rel=1e-5)
    assert np.array_equal(eval(a.to_python(), {"cx": cx, "image": image}).map, a.map)
    assert a.score == cx.attribute(net, image).score
    several = cx.attribute(net, image, [1, 2], method="blurred_gradient")
    assert [one.target for one in several] == [1, 2]


def test_a_new_method_is_in_the_panel_with_its_sliders(toy):
    panel = cx.AttributionPanel("lenet", method="blurred_gradient")
    try:
        assert panel.wait(60)
        radius, power = panel.method_controls.widget.children
        assert (radius.value, radius.min, radius.max) == (2, 1, 8)
        assert power.value == pytest.approx(1)
        assert panel.attribution.method == "blurred_gradient"
        before = panel.attribution.map
        radius.value = 5
        assert panel.wait(60)
        assert not np.array_equal(panel.attribution.map, before)
        assert "radius=5" in panel.to_python()
    finally:
        panel.runner.stop()


def test_without_it_it_is_unknown(refused):
    assert "blurred_gradient" not in cx.attribution_methods()
    refused(cx.SettingError, lambda: unregister_attribution("blurred_gradient"), "blurred_gradient")


def absolute(target, radius=1):
    gradient = target.gradient()
    return gradient, gradient.abs().sum(1)


def test_contradictions_are_refused(refused):
    radius = Option("radius", 1, "a radius")
    refused(cx.SettingError, lambda: AttributionMethod("a b", absolute, "", options=(radius,)), "identifier")
    refused(cx.SettingError, lambda: AttributionMethod("a", absolute, ""), "radius", "Option")
    refused(cx.SettingError, lambda: AttributionMethod("a", lambda target: None, "", options=(radius,)), "radius")
    refused(cx.SettingError, lambda: Option("of", 1, "", scale="cubic"), "cubic")
    refused(cx.SettingError, lambda: Option("of", 1, "", slider=(3, 1)), "(3, 1)")
    refused(cx.SettingError, lambda: Option("of", 1, "", slider=(0, 1), scale="log"), "slider")
    refused(cx.SettingError, lambda: Option("of", "x", "", slider=(0, 1)), "number")
    bounded = Option("radius", 1, "a radius", at_most="width")
    refused(cx.SettingError, lambda: AttributionMethod("a", absolute, "", options=(bounded,)), "width")
    refused(cx.SettingError, lambda: register_attribution(absolute), "AttributionMethod")
    refused(cx.SettingError, lambda: register_attribution("absolute"), "without a function")
    known = AttributionMethod("gradient", absolute, "", options=(radius,))
    refused(cx.SettingError, lambda: register_attribution(known), "another name")
    refused(cx.SettingError, lambda: unregister_attribution("gradient"), "gradient")


def test_maps_of_a_wrong_shape_are_refused(refused):
    register_attribution(AttributionMethod("crooked", lambda target: (target.x, target.x), "x itself"))
    try:
        net, image = cx.load("lenet"), cx.digit(3)
        refused(cx.SettingError, lambda: cx.attribute(net, image, method="crooked"), "crooked", "(1, 28, 28)")
    finally:
        unregister_attribution("crooked")
