"""The lecture's pictures on small networks: each shows what its method gives."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore import figures

IMAGES = list(np.random.default_rng(0).integers(0, 256, (6, 24, 24, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 5),
    )  # fmt: skip
    return cx.Network(module, 24, labels=list("abcde"), name="tiny")


TWO = IMAGES[:2]
MADE = {  # the picture, what it is asked, and the cells of each row
    "filters": ({"others": ["worldnet"]}, [2]),
    "deeper-filters": ({}, [1]),
    "activations": ({"image": IMAGES[0], "units": 3, "layers": ["conv1", "relu2"]}, [4, 4]),
    "neighbours": ({"image": TWO, "images": IMAGES, "k": 3}, [4] * 4),
    "top9": ({"images": IMAGES, "units": 2, "layers": ["conv1", "conv2"]}, [4, 4]),
    "rules": ({"images": TWO}, [4, 4]),
    "class-model": ({"classes": [0, 1, 2], "steps": 2, "progress": False}, [3]),
    "saliency": ({"images": TWO}, [3, 3]),
    "saliency-segments": ({"images": TWO}, [4, 4]),
    "cams": ({"images": TWO}, [4, 4]),
    "occlusion": ({"images": TWO, "window": 6}, [3, 3]),
    "minimal": ({"images": TWO, "segments": 6}, [4]),
    "fields": ({"images": IMAGES, "units": 2, "k": 3, "layers": ["conv1", "conv2"]}, [4] * 4),
    "field-segments": ({"images": IMAGES, "k": 3, "units": [0, 2], "estimate": True}, [3, 3]),
}


@pytest.mark.parametrize("name", MADE)
def test_a_picture(net, name, tmp_path):
    options, rows = MADE[name]
    sheet = cx.figure(f"lecture2017.{name}", net, **options)
    assert [len(row) for row in sheet.rows] == rows
    assert sheet.results
    for row in sheet.rows:
        for cell in row:
            assert cell.picture.dtype == np.uint8
            assert cell.picture.shape[2] == 3
    sheet.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_evolution_is_of_the_checkpoints():
    scenes = [cx.scene(k).image for k in range(4)]
    sheet = cx.figure("lecture2017.evolution", None, layers=["conv1"], units=2, steps=(0, 1000), images=scenes)
    assert [len(row) for row in sheet.rows] == [2, 2]
    first, last = sheet.rows[0]
    assert not np.array_equal(first.picture, last.picture)
    assert np.array_equal(
        last.picture, cx.top_patches(cx.load("worldnet@1000"), "conv1", 0, scenes, 1).projections()[0]
    )


def test_what_is_behind_a_picture_is_what_the_method_gives(net):
    sheet = cx.figure("lecture2017.saliency", net, IMAGES[0])
    a = cx.attribute(net, IMAGES[0])
    assert np.array_equal(sheet.results[0].map, a.map)
    assert np.array_equal(sheet.rows[0][1].picture, a.picture)
    sheet = cx.figure("lecture2017.fields", net, IMAGES, layers=["conv2"], units=1, k=4)
    found = sheet.results[0]
    assert f"of {found.theoretical[0]:g} px" in sheet.rows[0][0].title


def test_all_are_tested():
    known = {name.removeprefix("lecture2017.") for name in figures.names() if name.startswith("lecture2017.")}
    assert known == {*MADE, "evolution"}


def test_a_setting_that_a_picture_does_not_take(net, refused):
    refused(cx.SettingError, lambda: cx.figure("lecture2017.saliency", net, steps=3), "'steps'", "method")
    refused(cx.SettingError, lambda: cx.figure("lecture2017.saliency", net, []), "empty")
