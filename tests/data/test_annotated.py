"""Annotated photographs: masks follow the polygons, also after the photograph is cropped to a network's input."""

import numpy as np
import pytest
from PIL import Image
from torch import nn

import cnnexplore as cx


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    image = np.zeros((40, 60, 3), np.uint8)
    image[10:20, 30:45] = 255
    Image.fromarray(image).save(tmp_path / "images" / "a.png")
    box = "0.5 0.25 0.733 0.25 0.733 0.475 0.5 0.475"
    (tmp_path / "labels" / "a.txt").write_text(f"1 {box}\n1 0 0 0.05 0 0 0.05\n")
    Image.fromarray(image).save(tmp_path / "images" / "no-labels.png")
    return tmp_path


def test_masks_follow_the_polygons(folder):
    [(image, masks)] = list(cx.annotated(folder))
    assert list(masks) == ["dog"]
    assert masks["dog"].shape == (40, 60)
    bright = image[..., 0] > 0
    assert masks["dog"][bright].mean() > 0.9
    assert (masks["dog"][6:] == bright[6:]).mean() > 0.99
    assert masks["dog"][0, 0]


def test_scored_where_the_network_looks(folder):
    net = cx.Network(nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.LazyLinear(2)), size=20, labels=["cat", "dog"])
    net.module(net.pixels_of(np.zeros((20, 20, 3), np.uint8)))
    [(image, masks)] = list(cx.annotated(folder))
    truth = [(image, 1, masks["dog"])] * 2
    card = cx.score(net, {"light": lambda net, image, target: net.picture(net.pixels_of(image)).mean(-1)}, truth=truth)
    row = card["attributions"]["light"]
    assert row["pointing game"] == 1
    assert row["average precision"] > 0.95
    assert card[0].note.startswith("2 photographs")


def test_wrong_input_gets_a_sentence(folder, refused):
    net = cx.Network(nn.Conv2d(3, 2, 3), size=20)
    refused(cx.ImageError, lambda: list(cx.annotated(folder / "images")), "classes.txt")
    refused(cx.SettingError, lambda: cx.score(net, {"a": len}, truth=[]), "empty")
    refused(cx.SettingError, lambda: cx.score(net, truth=[]), "without attributions")
    image = np.zeros((9, 9, 3), np.uint8)
    refused(cx.SettingError, lambda: cx.score(net, {"a": len}, truth=[(image, 0, image)]), "(9, 9, 3)")
    for line in ("7 0 0 1 0 1 1", "cat 0 0 1 0 1 1", "0 0 0 1", "0 0.1 0.1", ""):
        (folder / "labels" / "a.txt").write_text(line + "\n")
        refused(cx.ImageError, lambda: list(cx.annotated(folder)), "corners")
