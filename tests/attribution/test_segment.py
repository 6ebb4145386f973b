"""GrabCut from a saliency map: a drawn object is found from a rough map of it, and its box."""

import sys

import numpy as np
import pytest

import cnnexplore as cx
from cnnexplore import world
from cnnexplore.attribution import box_of, grabcut
from cnnexplore.evaluation import measures


def disc(side=80, centre=(40, 45), radius=17):
    rows, columns = np.mgrid[:side, :side]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


@pytest.fixture(scope="module")
def picture():
    rng = np.random.default_rng(0)
    mask = disc()
    image = np.where(mask[..., None], (200, 60, 40), (60, 120, 90)) + rng.normal(0, 12, (80, 80, 3))
    return image.clip(0, 255).astype(np.uint8), mask


def test_a_disc_from_a_few_of_its_pixels(picture):
    image, mask = picture
    rng = np.random.default_rng(1)
    saliency = rng.random(mask.shape) * disc(radius=10) + 0.1 * rng.random(mask.shape) * disc(radius=26)
    found = grabcut(image, saliency)
    assert found.dtype == bool
    assert measures.iou(found, mask) > 0.95
    assert np.abs(np.array(box_of(found)) - box_of(mask)).max() <= 1
    assert box_of(mask) == (23, 28, 58, 63)
    assert np.array_equal(found, grabcut(image, saliency))


def test_only_one_part_is_kept(picture):
    image, mask = picture
    image = image.copy()
    image[2:9, 2:9] = (200, 60, 40)
    spot = np.zeros((80, 80))
    spot[3:8, 3:8] = 1
    found = grabcut(image, disc(radius=10) + 0.1 * disc(radius=26) + spot)
    assert not found[:9, :9].any()
    assert measures.iou(found, mask) > 0.95


def test_a_map_that_says_nothing(picture):
    image, _ = picture
    assert not grabcut(image, np.zeros((80, 80))).any()
    assert box_of(np.zeros((80, 80), bool)) == (0, 0, 0, 0)


def test_scenes_of_the_world():
    """Segments are far better than the map's own brightest pixels of the same number."""
    net = cx.load("worldnet-robust")
    scenes = [world.dataset(12, 99, 96).scene(k) for k in range(12)]
    found, plain = [], []
    for scene in scenes:
        a = cx.attribute(net, scene.image, scene.name)
        mask = a.segment()
        found.append(measures.iou(mask, scene.mask))
        plain.append(measures.iou(a.map >= np.quantile(a.map, 1 - mask.mean()), scene.mask))
        top, left, bottom, right = a.box()
        assert mask[top:bottom, left:right].sum() == mask.sum()
    assert np.mean(found) > 0.6
    assert np.mean(found) > np.mean(plain) + 0.2


def test_what_is_wrong_gets_a_sentence(picture, refused, monkeypatch):
    image, mask = picture
    refused(cx.SettingError, lambda: grabcut(image, mask[1:]), "(79, 80)")
    refused(cx.SettingError, lambda: grabcut(image, mask, 0.2, 0.3), "0.2")
    monkeypatch.setitem(sys.modules, "cv2", None)
    refused(cx.SettingError, lambda: grabcut(image, mask), "pip install", "segmentation")
