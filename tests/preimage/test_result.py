"""What a run leaves behind: the picture, its file, its plot."""

import io
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from PIL import Image

import cnnexplore as cx


@pytest.fixture(scope="module")
def result():
    return cx.invert(cx.load("lenet", device="cpu"), cx.digit(5), "conv2", steps=12, refine=4, progress=False)


def test_fields(result):
    assert result.x.shape == (1, 1, 28, 28)
    assert result.x.dtype == torch.float32
    assert result.picture.shape == (28, 28, 3)
    assert result.picture.dtype == np.uint8
    assert np.array_equal(result.picture, result.net.picture(result.x))
    assert result.layer == "conv2"
    assert 0 < result.error < 1
    assert len(result.history) == 16
    assert result.to_python().startswith("cx.invert(cx.load('lenet'), image, 'conv2', ")
    assert len(repr(result)) < 1000
    with pytest.raises(FrozenInstanceError):
        result.error = 0


def test_a_png_carries_its_code(result, tmp_path):
    for name in ("a.png", "b.PNG"):
        result.save(tmp_path / name)
        with Image.open(tmp_path / name) as picture:
            assert picture.text["cnnexplore"] == result.to_python()
            assert np.array_equal(np.asarray(picture), result.picture)


def test_other_formats_by_suffix(result, tmp_path):
    result.save(str(tmp_path / "a.jpg"))
    with Image.open(tmp_path / "a.jpg") as picture:
        assert picture.format == "JPEG"
        assert picture.size == (28, 28)
    result.save(tmp_path / "a.bmp")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.bmp")), result.picture)


def test_it_shows_itself_in_a_notebook(result):
    picture = Image.open(io.BytesIO(result._repr_png_()))
    assert picture.text["cnnexplore"] == result.to_python()
    shown = np.asarray(picture)
    factor = shown.shape[0] // 28
    assert factor >= 7  # 28 pixels alone are a stamp
    assert np.array_equal(shown, result.picture.repeat(factor, 0).repeat(factor, 1))


def test_plot(result):
    left, right = result.plot().axes
    assert np.array_equal(left.images[0].get_array(), result.picture)
    assert "conv2" in left.get_title()
    assert f"{result.error:.3f}" in left.get_title()
    drawn = [line.get_ydata() for line in right.lines]
    history = result.history
    code = history["energy"] - history["alpha"] - history["tv"]  # C times the data term: what the priors stand against
    assert len(drawn) == 4
    for expected in (history["energy"], code, history["alpha"], history["tv"]):
        assert any(np.allclose(line, expected) for line in drawn)
    assert len({line.get_label() for line in right.lines}) == 4
