"""The lecture's pictures of learned inversions and of the generator: each cell holds the result of its method."""

import numpy as np
import pytest

import cnnexplore as cx
from cnnexplore.errors import LayerError


@pytest.fixture(scope="module")
def net():
    return cx.load("worldnet")


def test_inverters(net):
    scene = cx.scene(7, "church").image
    sheet = cx.figure("lecture2017.inverters", net, scene, layers=["relu6"], steps=3)
    (row,) = sheet.rows
    assert [cell.title.split("\n")[0] for cell in row] == ["original", "relu6, learned", "relu6, optimised"]
    learned = cx.invert(net, scene, "relu6", method="learned")
    assert np.array_equal(row[1].picture, learned.picture)
    assert row[1].title.endswith(f"Φ {learned.error:.2f}")
    assert row[2].result.history["step"][-1] == 5
    with pytest.raises(LayerError, match="there is no learned inverter of"):
        cx.figure("lecture2017.inverters", cx.load("lenet"))


def test_generator(net):
    sheet = cx.figure("lecture2017.generator", net, units=["boat", "cup"], steps=2)
    assert [len(row) for row in sheet.rows] == [2, 2]
    made = cx.maximize(net, "fc8", ["boat", "cup"], prior="generator", steps=2, progress=False)
    for cell, one in zip(sheet.rows[1], made, strict=True):
        assert np.array_equal(cell.picture, one.picture)
        assert cell.title == f"{one.about}\ngenerator, {one.response:.2f} M"
