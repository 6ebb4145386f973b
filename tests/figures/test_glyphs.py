"""Pictures of descriptors, on images with known edges."""

import numpy as np
import pytest

import cnnexplore as cx
from cnnexplore.figures.glyphs import glyphs, histograms
from cnnexplore.zoo.architectures.dsift import dsift
from cnnexplore.zoo.architectures.hog import hog
from cnnexplore.zoo.architectures.oriented_gradients import PIXELS

SIDE = 64


def stripes(degrees):
    """An image whose gradient points along `degrees`, from right to down, everywhere."""
    y, x = np.mgrid[:SIDE, :SIDE]
    angle = np.radians(degrees)
    return (127 + 100 * np.sin((x * np.cos(angle) + y * np.sin(angle)) / 2.5)).astype(np.uint8)


@pytest.fixture(params=["hog", "hog-bilinear", "dsift", "dsift, a descriptor every 4 pixels", "gaussian dsift"])
def net(request):
    made = {
        "hog": lambda: hog(),
        "hog-bilinear": lambda: hog(bilinear=True),
        "dsift": lambda: dsift(),
        "dsift, a descriptor every 4 pixels": lambda: dsift(step=4),
        "gaussian dsift": lambda: dsift(flat=False),
    }
    return cx.Network(made[request.param](), size=SIDE, pixels=PIXELS)


@pytest.mark.parametrize("degrees", [0, 45, 90, 135])
def test_every_cell_votes_for_the_direction_of_the_gradient(net, degrees):
    votes = histograms(net, stripes(degrees))
    assert votes.shape[:2] == (8, 8)
    inside = votes[2:-2, 2:-2]
    distance = np.abs((np.arange(votes.shape[2]) * 180 / votes.shape[2] - degrees + 90) % 180 - 90)
    assert (distance[inside.argmax(2)] <= 90 / votes.shape[2] + 1e-6).all()
    assert (inside >= 0).all()


@pytest.mark.parametrize(("degrees", "rows"), [(0, False), (90, True)])
def test_the_bars_lie_along_the_edges(net, degrees, rows):
    picture = glyphs(net, stripes(degrees), side=21)
    assert picture.shape == (8 * 21, 8 * 21, 3)
    cell = picture[4 * 21 : 5 * 21, 4 * 21 : 5 * 21, 0].astype(float)
    down, across = cell[:, 10].mean(), cell[10, :].mean()
    assert (across > 2 * down) if rows else (down > 2 * across)


def test_a_blank_image_has_a_black_picture(net):
    assert glyphs(net, np.full((SIDE, SIDE), 90, np.uint8)).max() == 0


def test_another_network_gets_a_sentence(refused):
    refused(cx.SettingError, lambda: glyphs(cx.load("lenet"), cx.digit(2)), "lenet", "HOG or dense SIFT")
