"""Figures 2, 3, 9 and table 1 on a small network: what they show is what was run."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

import cnnexplore as cx
from cnnexplore.figures.intraclass2015 import patch_prior

SIDE = 32
QUICK = {"steps": 4, "refine": 0, "progress": False}


def pictures(count, seed=0):
    smooth = gaussian_filter(np.random.default_rng(seed).normal(size=(count, SIDE, SIDE, 3)), (0, 3, 3, 0))
    return list(np.clip(128 + 45 * smooth / smooth.std(), 0, 255).astype(np.uint8))


IMAGE = pictures(1, 9)[0]


@pytest.fixture(scope="module")
def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(3, 6, 5, 2, 2), nn.ReLU(), nn.Conv2d(6, 8, 3, 2, 1), nn.ReLU(),
                               nn.Flatten(), nn.Linear(8 * 64, 4))  # fmt: skip
    pixels = cx.Pixels("BGR", (100.0, 110.0, 120.0), (60.0, 50.0, 70.0))
    return cx.Network(module, size=SIDE, pixels=pixels, labels=list("abcd"), name="tiny")


@pytest.fixture(scope="module")
def patches(net):
    return cx.PatchDatabase(net, pictures(8), "relu2", cache=False, progress=False, k=3)


def test_the_layer_with_a_map(net, refused):
    assert patch_prior.map_layer(net, None) == "relu2"
    assert patch_prior.map_layer(net, "conv1") == "conv1"
    refused(cx.LayerNotFound, lambda: patch_prior.map_layer(net, "pool9"), "pool9")
    flat = cx.Network(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 4)), size=SIDE)
    refused(cx.LayerError, lambda: patch_prior.map_layer(flat, None), "a layer with a map")


@pytest.mark.slow
def test_figure2_has_six_colourings_that_stop_at_one_percent(net):
    sheet = cx.figure("intraclass2015.2", net, IMAGE, steps=400, progress=False)
    assert [len(row) for row in sheet.rows] == [3, 3, 3]
    six = sheet.results[2:]
    assert len(six) == 6
    for one, difference in zip(six, sheet.data["differences"], strict=True):
        assert one.error**2 == difference
        assert difference < 0.01
    assert six[0].error < 1e-5  # the image itself
    means = np.stack([one.picture.mean((0, 1)) for one in six])
    assert np.unique(means.round(), axis=0).shape[0] >= 5


def test_figure3_shows_what_was_matched(net, patches):
    sheet = cx.figure("intraclass2015.3", net, IMAGE, patches=patches, **QUICK)
    assert len(sheet.rows[0]) == 5
    inverted = sheet.results[0].picture
    warped = patches.index(IMAGE).match(inverted, stride=patches.matching.stride, original_colours=True)
    assert np.array_equal(sheet.rows[0][3].picture, np.clip(warped.mean + 0.5, 0, 255).astype(np.uint8))
    assert sheet.data["inverted"] == patch_prior.pixel_error(IMAGE, inverted)
    assert not np.array_equal(sheet.rows[0][2].picture, sheet.rows[0][3].picture)


def test_figure9a_and_9b(net, patches, tmp_path):
    sheet = cx.figure("intraclass2015.9a", net, pictures(2, 9), patches=patches, **QUICK)
    assert [len(row) for row in sheet.rows] == [2, 2, 2]
    assert "patches=patches" in sheet.rows[2][0].result.to_python()
    assert "patches" not in sheet.rows[1][0].result.to_python()
    known = {"a": pictures(3, 1), 2: pictures(3, 2)}
    sheet = cx.figure("intraclass2015.9b", net, classes=["a", 2], patches=known, **QUICK)
    assert [len(row) for row in sheet.rows] == [2, 2]
    assert "response" in sheet.rows[1][1].title
    sheet.save(tmp_path / "a.png")


@pytest.mark.slow
def test_table1_measures_what_it_says(net, tmp_path):
    images, known = pictures(2, 9), pictures(8)
    kept = tmp_path / "kept.jsonl"
    options = {"patches": known, "layer": "relu2", "log": kept, "gamma": 3, **QUICK}
    table = patch_prior.table1(net, images, **options)
    assert table.rows == list(patch_prior.ROWS)
    assert table.columns == ["pixels", "activation", "pixels, spectral", "activation, spectral"]
    mine = np.stack(images).astype(np.float64)
    own = [np.linalg.norm(m - m.mean((0, 1))) / np.linalg.norm(m) for m in mine]
    assert table.values["own mean colour", "pixels"] == pytest.approx(own, rel=1e-5)
    mean = np.stack(known).astype(np.float64).mean((0, 1, 2))
    whole = [np.linalg.norm(m - mean) / np.linalg.norm(m) for m in mine]
    assert table.values["data set's mean colour", "pixels"] == pytest.approx(whole, rel=1e-5)
    for solver, more in (("adagrad", ""), ("spectral", ", spectral")):
        alone = cx.invert(net, images[1], "relu2", solver=solver, **QUICK)
        assert table.values["random start", f"activation{more}"][1] == pytest.approx(alone.error, rel=1e-6)
        pixels = patch_prior.pixel_error(images[1], alone.picture)
        assert table.values["random start", f"pixels{more}"][1] == pytest.approx(pixels)
    database = cx.PatchDatabase(net, known, "relu2", progress=False)
    within = cx.invert(net, images[1], "relu2", patches=database, gamma=3, init="patches", solver="adagrad", **QUICK)
    assert table.values["patch prior", "pixels"][1] == pytest.approx(patch_prior.pixel_error(images[1], within.picture))
    lines = kept.read_text().splitlines()
    kept.write_text("\n".join(lines[:-4]) + "\n")
    assert patch_prior.table1(net, images, **options).values == table.values
    assert table.published == {}
    spectral = patch_prior.table1(net, images, solvers=["spectral"], **options | {"log": None})
    assert spectral.columns == ["pixels, spectral", "activation, spectral"]


def test_table1_leaves_the_images_out_of_the_database(net):
    known = pictures(8)
    database = patch_prior.database_of(net, known, "relu2", exclude=[known[2]], progress=False)
    assert len(database) == 7
    assert not any(np.array_equal(picture, known[2]) for picture in database.pictures)
