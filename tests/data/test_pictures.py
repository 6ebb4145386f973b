"""Bundled photographs and digits."""

import socket

import numpy as np
import pytest

import cnnexplore as cx


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No internet connection."""

    def refuse(*args, **kwargs):
        raise OSError("there is no network here")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", cx.photographs())
def test_photographs(name):
    picture = cx.photograph(name)
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[2] == 3
    assert min(picture.shape[:2]) >= 200
    assert picture.std() > 10
    assert picture.max() > 100  # 0..255, not 0..1


def test_photographs_are_different():
    pictures = [cx.photograph(name).tobytes() for name in cx.photographs()]
    assert len(set(pictures)) == len(pictures) >= 5


def test_black_and_white_photographs_stay_so():
    camera = cx.photograph("camera")
    assert (camera == camera[..., :1]).all()


def test_unknown_photographs(refused):
    refused(cx.ImageError, lambda: cx.photograph("catt"), "'catt'", "did you mean 'cat'?")
    refused(cx.ImageError, lambda: cx.photograph("zzzz"), "cat, astronaut")
    refused(cx.ImageError, lambda: cx.photograph(3), "3")


@pytest.mark.parametrize("value", range(10))
def test_digits(value):
    digit = cx.digit(value)
    assert digit.shape == (28, 28)
    assert digit.dtype == np.uint8
    assert digit.max() == 255
    rim = digit.copy()
    rim[4:24, 4:24] = 0
    assert not rim.any()
    assert 0.05 < (digit > 127).mean() < 0.4  # strokes on black
    assert np.array_equal(digit, cx.digit(value, 0))
    assert not np.array_equal(digit, cx.digit(value, 1))


@pytest.mark.parametrize(("value", "which"), [(10, 0), (-1, 0), (3, 9999), (3, -1), ("x", 0), (2.5, 0), (None, 0)])
def test_unknown_digits(value, which, refused):
    refused(cx.ImageError, lambda: cx.digit(value, which), repr(value), "0 to 9")


def test_digits_in_a_row(shared, refused):
    images, labels = cx.digits()
    assert images.shape == (1797, 28, 28)
    assert images.dtype == np.uint8
    seven = np.flatnonzero(labels == 7)
    assert np.array_equal(images[seven[3]], cx.digit(7, 3))
    images, labels = cx.digits(shared / "data")
    assert images.shape == (10000, 28, 28)
    assert labels[:3].tolist() == [7, 2, 1]
    refused(cx.ImageError, lambda: cx.digits("nowhere"), "nowhere")
