"""The results of units and decoding: their Python makes them again, and a saved picture carries it."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

import cnnexplore as cx
from cnnexplore.decoding import compare
from cnnexplore.results import Result

NET = cx.load("lenet", device="cpu")
SCORES = NET.scores.name
IMAGES = [cx.digit(k) for k in range(5)]
TOP = cx.top_patches(NET, "conv2", [1, 3], IMAGES, k=2, progress=False)
RESULTS = {
    "filters": cx.filters(NET, "conv2", np.array([4, 2])),
    "activation_maps": cx.activation_maps(NET, IMAGES[3], "conv2"),
    "discrepancy_maps": cx.discrepancy_maps(NET, IMAGES[3], "conv2", [1, 2], patch=np.int64(5), stride=4, start=-2),
    "discrepancy_maps of a class": cx.discrepancy_maps(NET, IMAGES[3], SCORES, "3", patch=9, stride=9),
    "top_patches": TOP,
    "top_patches of a class": cx.top_patches(NET, SCORES, "7", IMAGES, k=2, progress=False),
    "top_patches only": TOP.only(3, 1),
    "receptive_field": cx.receptive_field(NET, "conv2", 3, TOP, patch=5, progress=False),
    "unit_segments": cx.unit_segments(NET, "conv2", 3, IMAGES, k=2, share=0.6, progress=False),
    "minimal_image": cx.minimal_image(NET, IMAGES[3], segments=6, progress=False),
    "neighbours": cx.neighbours(NET, IMAGES[3], "conv3", IMAGES, k=2, progress=False),
    "decode": cx.decode(NET, "conv2", [0, 7]),
    "decode a class": cx.decode(NET, SCORES, "3", unpool="nearest"),
    "decode all": cx.decode(NET, "conv1"),
    "threshold": cx.decode(NET, "conv2", 7).threshold(0.4, "positive"),
    "compare": compare(NET, "conv2", [1, 2], IMAGES),
}


def again(python):
    names = {"cx": cx, "compare": compare, "image": IMAGES[3], "images": IMAGES, "top": TOP}
    return eval(python, names)


@pytest.mark.parametrize("name", RESULTS)
def test_its_python_makes_it_again(name):
    result = RESULTS[name]
    assert isinstance(result, Result)
    found = again(result.to_python())
    assert type(found) is type(result)
    arrays = 0
    for one in dataclasses.fields(result):
        value, other = getattr(result, one.name), getattr(found, one.name)
        if isinstance(value, np.ndarray):
            arrays += 1
            assert np.allclose(value, other, rtol=1e-4, atol=1e-5), one.name
        elif one.name not in ("net", "images", "top", "layer"):
            assert value == other, one.name
    assert arrays
    assert not [one for one in vars(result).values() if type(one).__module__.startswith("torch")]


@pytest.mark.parametrize("name", RESULTS)
def test_it_is_saved_with_its_python(name, tmp_path):
    result = RESULTS[name]
    picture = result.picture
    assert picture.dtype == np.uint8
    assert picture.shape[2:] == (3,)
    assert picture.std() > 0
    result.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        assert np.array_equal(np.asarray(image), picture)
        assert image.text["cnnexplore"] == result.to_python()
    result.save(tmp_path / "a.svg")
    assert "<svg" in (tmp_path / "a.svg").read_text()


def test_units_are_named_by_their_classes():
    titles = [axis.get_title() for axis in RESULTS["top_patches of a class"].plot().axes]
    assert titles[0].startswith("7: ")
    assert RESULTS["decode a class"].names == ["3"]
    assert RESULTS["decode"].names == ["unit 0", "unit 7"]
