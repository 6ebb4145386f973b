"""Figures 1 and 6 of intraclass2015: rows that are topics, numbers that are counts, on a world of known styles."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore.styles import nearest_topic

SIDE = 16
QUICK = {"steps": 2, "progress": False}


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, 32), nn.ReLU(), nn.Dropout(),
            nn.Linear(32, 40), nn.ReLU(), nn.Linear(40, 3),
        )  # fmt: skip
    pixels = cx.Pixels("RGB", (100.0, 110.0, 120.0), (60.0, 50.0, 70.0))
    return cx.Network(module, size=SIDE, pixels=pixels, labels=list("abc"), name="tiny")


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    return [(random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8), k % 2) for k in range(40)]


def test_figure6_is_a_row_per_topic(net, images):
    options = {"k": 3, "columns": 4, "seeds": (0, 5), "cache": False, **QUICK}
    sheet = cx.figure("intraclass2015.6", net, images, **options)
    names = ["class 0", "class 1"]
    assert list(sheet.data["topics"]) == list(sheet.data["nearest"]) == names
    assert [len(row) for row in sheet.rows] == [2 + 4] * 6
    own, chance = [], []
    for n, name in enumerate(names):
        styles = sheet.data["topics"][name]
        assert np.array_equal(styles.weights, cx.topics(cx.features(net, images, cache=False).of(name), 3).weights)
        assert sheet.data["nearest"][name].shape == (3, 2)
        for topic in range(3):
            row = sheet.rows[3 * n + topic]
            made = [cell.picture for cell in row[:2]]
            alone = cx.visualize_topic(styles, topic, seed=[0, 5], **QUICK)
            assert all(np.array_equal(a, b.picture) for a, b in zip(made, alone, strict=True))
            near = nearest_topic(styles, made)
            assert sheet.data["nearest"][name][topic].tolist() == near.tolist()
            assert [cell.framed for cell in row[:2]] == (near == topic).tolist()
            assert row[1].title == f"{name}, topic {topic}\nseed 5, nearest: {near[1]}"
            got = cx.retrieve(styles, topic, k=4)
            assert np.array_equal(np.stack([cell.picture for cell in row[2:]]), got.pictures())
            own += (near == topic).tolist()
            chance += [(styles.assignment == topic).mean()] * 2
    assert sheet.data["rate"] == pytest.approx(np.mean(own))
    assert sheet.data["chance"] == pytest.approx(np.mean(chance))
    assert f"{np.mean(own):.0%} of the pictures" in sheet.title
    drawn = [axis.images[0].get_array() for axis in sheet.plot().axes if axis.images]
    shown = [cell.picture for row in sheet.rows for cell in row]
    assert all(np.array_equal(a, b) for a, b in zip(drawn, shown, strict=True))


def test_the_nearest_topic_is_that_of_the_nearest_code(net, images):
    styles = cx.topics(cx.features(net, images, cache=False, progress=False).of(0), 3)
    queries = [image for image, _ in images[1:20:2]]
    codes = np.asarray(styles.features, np.float64)
    expected = []
    for query in queries:
        code = net.activations(query, styles.features.layer.name).flatten().double().numpy()
        cosines = [code @ one / (np.linalg.norm(code) * np.linalg.norm(one) or 1) for one in codes]
        expected.append(styles.assignment[int(np.argmax(cosines))])
    assert nearest_topic(styles, queries).tolist() == expected
    own = [image for image, label in images if label == 0]
    assert nearest_topic(styles, own).tolist() == styles.assignment.tolist()  # an image is nearest to itself


def test_figure1_shows_the_two_topics_that_differ_most(net, images):
    found = cx.features(net, images, cache=False, progress=False)
    sheet = cx.figure("intraclass2015.1", net, found, classes=["class 1"], k=4, columns=2, seed=3, **QUICK)
    styles = sheet.data["topics"]["class 1"]
    likeness = {(i, j): styles.components[i] @ styles.components[j] for i in range(4) for j in range(i + 1, 4)}
    assert tuple(sheet.data["shown"]["class 1"]) == min(likeness, key=likeness.get)
    assert [len(row) for row in sheet.rows] == [3, 3]
    assert [row[0].result.to_python().count("seed=[3]") for row in sheet.rows] == [1, 1]


def test_where_images_come_from(net, images, refused, tmp_path):
    refused(cx.SettingError, lambda: cx.figure("intraclass2015.6", net), "images of the classes", "worldnet-styles")
    cx.figure("intraclass2015.1", net, [image for image, _ in images], k=2, cache=tmp_path, **QUICK)
    assert len(list(tmp_path.iterdir())) == 1  # by what the network says, kept where it was told


def test_alone_it_is_the_world_with_the_network_that_knows_its_styles(on_cpu, tmp_path, monkeypatch):
    monkeypatch.setattr("cnnexplore.figures.intraclass2015.topic_images.SCENES", (60, 5))
    sheet = cx.figure("intraclass2015.1", classes=["church"], columns=2, cache=tmp_path, **QUICK)
    assert "worldnet-styles" in sheet.title
    assert sheet.results[0].net.name == "worldnet-styles"
    assert sheet.results[0].about == "unit 1 of fc8 (church)"
