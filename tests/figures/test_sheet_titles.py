"""Labels of a weights file are shown as they are in figures: none is read as a formula."""

import numpy as np
import pytest

import cnnexplore as cx
from cnnexplore import drawing
from cnnexplore.figures.sheet import Cell, Sheet

FORMULAE = ["US$5 and US$6", "$x^{$ is no formula", "a $\\frac{$ b"]


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


@pytest.mark.parametrize("text", FORMULAE)
def test_titles_are_literal(text):
    picture = np.zeros((60, 400, 3), np.uint8)
    sheet = Sheet(text, [[Cell(picture, text)]], inches=6)
    assert sheet.picture.ndim == 3  # drawn: a formula that is wrong would raise
    grid = drawing.picture_grid([picture], [text], 1, title=text)
    drawing.shown(grid)
    assert titles(sheet.plot()) == titles(grid) == [text]


@pytest.mark.parametrize("text", FORMULAE)
def test_labels_of_a_network_are_literal(text):
    net = cx.load("lenet")
    net.labels = [f"{text} {k}" for k in range(10)]
    found = cx.attribute(net, cx.digit(3), 3)
    assert found._repr_png_().startswith(b"\x89PNG")
    assert f"{text} 3" in found.plot().get_suptitle()
    result = cx.maximize(net, net.scores.name, 3, steps=1, progress=False)
    drawing.shown(result.plot())
    assert f"{text} 3" in titles(result.plot())[0]
