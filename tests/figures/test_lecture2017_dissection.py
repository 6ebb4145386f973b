"""Figures of what units detect: their numbers are those of the dissections behind them."""

import numpy as np
import pytest

import cnnexplore as cx
from cnnexplore.figures.lecture2017.dissection import units_about


@pytest.fixture(scope="module", autouse=True)
def kept(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNEXPLORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def net():
    return cx.load("worldnet")


def test_examples_are_the_best_detectors(net):
    sheet = cx.figure("lecture2017.dissection", net, n=40, units=3, k=2)
    found = sheet.rows[0][0].result
    assert len(sheet.rows) == 3
    best = found.detectors[0]
    assert np.array_equal(sheet.rows[0][0].picture, found.images(best, 1)[0])
    assert sheet.rows[0][0].title == found.title_of(best)
    assert len({row[0].title.split(":")[1].split(",")[0] for row in sheet.rows}) == 3


def test_bars_are_counted_detectors(net):
    for name, options in [
        ("unique-detectors", {"layers": ["conv2", "conv5"], "n": 30}),
        ("axis-alignment", {"powers": [0, 1], "n": 30}),
        ("training-detectors", {"steps": [0, 1000], "n": 30}),
    ]:
        chart = cx.figure(f"lecture2017.{name}", net, **options)
        compared = chart.data["result"]
        rows = {row["name"]: row["unique"] for row in chart.data["table"]}
        assert len(rows) == 2
        for each, one in compared.dissections.items():
            assert rows[each] == sum(count.unique for count in one.counts().values())
        assert chart.picture.shape[2] == 3
        assert chart.to_python().startswith(f"cx.figure('lecture2017.{name}'")
    assert rows["1000"] > rows["0"]


def test_silenced_units(net, refused):
    chart = cx.figure("lecture2017.silenced", net, n=60, per_class=4, draws=3)
    found = chart.data["result"]
    for row in chart.data["table"]:
        assert row["units"] == len(units_about(found, row["class"]))
        own = cx.world.dataset(4, cx.world.HELD_OUT_SEED + 1, names=[row["class"]])
        change = cx.intervene(net, own, found.layer.name, unit=units_about(found, row["class"]), progress=False)
        assert change.effect(row["class"]).mean() == pytest.approx(row["named"], abs=1e-4)
    named = np.mean([row["named"] for row in chart.data["table"]])
    others = np.mean([np.mean(row["random"]) for row in chart.data["table"]])
    assert named < others < 0.5 * abs(named)
    assert chart.picture.shape[2] == 3
    refused(cx.SettingError, lambda: cx.figure("lecture2017.silenced", net, [1, 2]), "scenes of the world")
    refused(cx.SettingError, lambda: cx.figure("lecture2017.axis-alignment", net, powers=[2]), "powers")
