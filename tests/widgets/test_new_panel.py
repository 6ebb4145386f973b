"""A panel in one file of its own: it computes, follows the selection, is steered, and gives its Python."""

import numpy as np
import pytest
from toy_panel import MeanActivationPanel

import cnnexplore as cx


@pytest.fixture
def panel():
    one = MeanActivationPanel("lenet", cx.digit(3), "conv1", units=5)
    assert one.wait(60)
    yield one
    one.close()


def python_of(panel):
    return eval(panel.to_python(), {"cx": cx, "image": cx.digit(3)})


def test_it_shows_what_its_python_gives(panel):
    assert panel.picture.shape == (24, 24, 3)
    assert np.allclose(panel._mean, python_of(panel))


def test_a_control_acts(panel):
    before = panel.picture
    panel.units.value = 20
    assert panel.wait(60)
    assert not np.array_equal(panel.picture, before)
    assert np.allclose(panel._mean, python_of(panel))


def test_it_follows_the_selection(panel):
    panel.selection.set(layer="conv2")
    assert panel.wait(60)
    assert panel.picture.shape == (8, 8, 3)
    assert panel.run_view.status["text"].startswith("conv2")


def test_a_layer_without_a_map_gets_a_sentence(panel):
    panel.selection.set(layer="conv3")
    assert panel.wait(60)
    assert "map" in panel.run_view.status["text"]
