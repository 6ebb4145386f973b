"""Figures 5, 7, 8 and 10 of intraclass2015: what they show, and that the data behind them is what was run."""

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx

SIDE = 24
IMAGE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
QUICK = {"steps": 2, "progress": False}


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(6 * 36, 12), nn.ReLU(),
            nn.Dropout(), nn.Linear(12, 10), nn.ReLU(), nn.Linear(10, 4), nn.Softmax(1),
        )  # fmt: skip
    pixels = cx.Pixels("RGB", (100.0, 110.0, 120.0), (60.0, 50.0, 70.0))
    return cx.Network(module, size=SIDE, pixels=pixels, labels=list("abcd"), name="tiny")


def check(sheet, net, rows):
    assert [len(row) for row in sheet.rows] == rows
    for one in sheet.results:
        again = eval(one.to_python(), {"cx": cx, "net": net, "image": IMAGE})
        assert np.array_equal(again.picture, one.picture)
    shown = [cell for row in sheet.rows for cell in row if cell.result is not None]
    assert all(np.array_equal(cell.picture, cell.result.picture) for cell in shown)
    drawn = [axis.images[0].get_array() for axis in sheet.plot().axes if axis.images]
    shown = [cell.picture for row in sheet.rows for cell in row]
    assert all(np.array_equal(a, b) for a, b in zip(drawn, shown, strict=True))


@pytest.mark.slow
def test_figure5_opens_each_window_of_each_class(net):
    sheet = cx.figure("intraclass2015.5", net, classes=["b", "c"], k=2, **QUICK)
    check(sheet, net, [6, 6, 6])
    assert sheet.data["windows"] == [(r, c) for r in (0, 2, 4) for c in (0, 2, 4)]
    assert sheet.rows[1][3].title.startswith("c\nrows 3-4, columns 1-2")
    assert "Pathway.location(2, 0, 2)" in sheet.rows[1][3].result.to_python()
    top, left, bottom, right = sheet.rows[1][3].box
    assert (bottom - top, right - left) == (8, 8)
    assert (top, left) == (7, -1)


@pytest.mark.slow
def test_figure7_shows_networks_of_dropout_from_several_starts(net):
    sheet = cx.figure("intraclass2015.7", net, classes=[0, 3], masks=2, starts=2, **QUICK)
    check(sheet, net, [4, 4])
    far = []
    for row in sheet.rows:
        codes = [net.activations(cell.picture, "relu3") for cell in row]
        far.append([float((codes[i] - codes[j]).norm() / (codes[i].norm() * codes[j].norm()) ** 0.5)
                    for i, j in ((2, 0), (3, 1), (1, 0), (3, 2))])  # fmt: skip
    between, within = np.mean(far, 0)[:2].mean(), np.mean(far, 0)[2:].mean()
    assert sheet.data["between"] == pytest.approx(between, rel=1e-3)
    assert sheet.data["within"] == pytest.approx(within, rel=1e-3)


def test_figure8_follows_the_image_s_own_code(net):
    sheet = cx.figure("intraclass2015.8", net, IMAGE, **QUICK)
    check(sheet, net, [5])
    assert all("Pathway.of(image, 3)" in one.to_python() for one in sheet.results)  # each is taken out of the batch
    assert [one.to_python()[-3:] for one in sheet.results] == [f"[{k}]" for k in range(4)]
    assert sheet.data["distances"].shape == (1, 4)
    assert sheet.rows[0][0].title.startswith(net.predict(IMAGE, 1)[0][0])


@pytest.mark.slow
def test_figure10_fills_a_scene_and_an_object(net):
    styles = [np.arange(10) % 2 == 0, np.arange(10) % 3 == 0]
    sheet = cx.figure("intraclass2015.10", net, IMAGE, other=IMAGE, styles=styles, target="d", **QUICK)
    check(sheet, net, [4, 4])
    mask = sheet.results[0].mask
    assert np.array_equal(sheet.results[0].picture[~mask], IMAGE[~mask])
    assert sheet.results[0].about == "d"
    assert sheet.data["after"][0] == [one.after for one in sheet.results[:2]]
    images = [IMAGE, 255 - IMAGE, IMAGE // 2, IMAGE[::-1].copy()]
    topics = cx.topics(cx.features(net, images, cache=False, progress=False), 2)
    styled = cx.figure("intraclass2015.10", net, IMAGE, other=IMAGE, styles=topics, target="d", **QUICK)
    check(styled, net, [3, 3, 3, 3])
    assert np.array_equal(styled.rows[0][1].picture, topics.features.pictures(topics.images(0, 1))[0])
    apart = [net.activations(one.picture, "relu3").flatten().numpy() for one in styled.results[:2]]
    far = np.linalg.norm(apart[0] - apart[1]) / np.sqrt(np.linalg.norm(apart[0]) * np.linalg.norm(apart[1]))
    assert styled.data["apart"][0] == pytest.approx(far, rel=1e-3)
    plain = cx.figure("intraclass2015.10", net, IMAGE, other=IMAGE, **QUICK)
    assert "dropout 3" in plain.rows[0][-1].title


@pytest.mark.slow
def test_the_world_has_styles_of_its_own(on_cpu):
    net = cx.load("worldnet")
    sheet = cx.figure("intraclass2015.10", net, steps=1, progress=False)
    assert [len(row) for row in sheet.rows] == [4, 4, 4, 4]
    assert sheet.rows[0][-1].title == "an image of style 3"
    assert "style 3" in sheet.rows[1][-1].title


def test_windows_that_do_not_fit_are_refused(net, refused):
    refused(cx.SettingError, lambda: cx.figure("intraclass2015.5", net, k=7), "k is 7")
