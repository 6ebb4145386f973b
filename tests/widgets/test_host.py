"""Hosts that draw no panels, and Colab, where the widget manager for them is switched on."""

from __future__ import annotations

import sys
import types

import ipywidgets
import pytest

import cnnexplore as cx


@pytest.fixture
def displayed(monkeypatch):
    """What was displayed, as mime bundles."""
    shown = []

    def display(one, *args, **kwargs):
        shown.append(one if isinstance(one, dict) else {"object": one})
        return types.SimpleNamespace(update=lambda other: shown.append({"object": other}))

    monkeypatch.setattr("IPython.display.display", display)
    return shown


def test_colabs_widget_manager_is_switched_on(monkeypatch, keep, displayed):
    calls = []
    google, colab, output = (types.ModuleType(name) for name in ("google", "google.colab", "google.colab.output"))
    google.__path__, colab.__path__ = [], []
    output.enable_custom_widget_manager = lambda: calls.append(1)
    for module in (google, colab, output):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    keep(cx.InversionPanel("lenet", layer="conv1", steps=1))._ipython_display_()
    assert calls, "anywidget does it"
    assert any("application/vnd.jupyter.widget-view+json" in one for one in displayed)


def test_a_host_without_widget_manager_shows_what_helps(keep, displayed):
    keep(cx.InversionPanel("lenet", layer="conv1", steps=1))._ipython_display_()
    (bundle,) = [one for one in displayed if "text/plain" in one]
    assert "cnnexplore doctor" in bundle["text/plain"], "what such a host shows at once"


def test_old_ipywidgets_get_the_command_that_helps(monkeypatch, keep, displayed):
    monkeypatch.setattr(ipywidgets, "__version__", "7.8.5")
    panel = keep(cx.InversionPanel("lenet", layer="conv1", steps=1))
    panel._ipython_display_()
    text, picture = (one["object"] for one in displayed[:2])
    assert "ipywidgets 7.8.5" in text.data
    assert "pip install -U" in text.data
    assert picture.data[:4] == b"\x89PNG"
    assert not any("application/vnd.jupyter.widget-view+json" in one for one in displayed)


def test_marimo_is_told_that_panels_need_jupyter(keep):
    for made in (keep(cx.InversionPanel("lenet", layer="conv1", steps=1)), keep(cx.explore("lenet"))):
        kind, text = made._mime_()
        assert kind == "text/html"
        assert "mo.ui.anywidget" in text
