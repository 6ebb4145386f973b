"""The lecture's pictures on small networks: each cell holds the result of its method, computed here again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import cnnexplore as cx
from cnnexplore import drawing, figures

IMAGES = list(np.random.default_rng(0).integers(0, 256, (6, 24, 24, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 6, 3, 1, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(6, 5),
    )  # fmt: skip
    return cx.Network(module, size=24, labels=list("abcde"), name="tiny")


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
def test_a_picture(net, name):
    options, rows = MADE[name]
    sheet = cx.figure(f"lecture2017.{name}", net, **options)
    assert [len(row) for row in sheet.rows] == rows
    cells = [cell for row in sheet.rows for cell in row]
    for cell in cells:
        assert cell.picture.dtype == np.uint8
        assert cell.picture.shape[2] == 3
    axes = [axis for axis in sheet.plot().axes if axis.images]
    assert [axis.get_title() for axis in axes] == [cell.title for cell in cells]
    for axis, cell in zip(axes, cells, strict=True):
        assert np.array_equal(axis.images[0].get_array(), cell.picture)
    HOLDS[name](sheet, net)


# what each sheet must hold: the result of its method, computed here


def same(result, expected, *fields):
    for field in fields:
        found, wanted = getattr(result, field), getattr(expected, field)
        assert np.array_equal(found, wanted), field


def holds_filters(sheet, net):
    for result, one in zip(sheet.results, (net, cx.load("worldnet")), strict=True):
        same(result, cx.filters(one), "weights")


def holds_deeper_filters(sheet, net):
    same(sheet.results[0], cx.filters(net, "conv2"), "weights")


def holds_activations(sheet, net):
    for row, layer in zip(sheet.rows, ("conv1", "relu2"), strict=True):
        found = cx.activation_maps(net, IMAGES[0], layer)
        same(row[1].result, found, "maps", "order")
        signed, shown = bool((found.maps < 0).any()), found.maps[found.order[:3]]
        span = drawing.limits(shown, signed)
        for cell, unit in zip(row[1:], found.order[:3], strict=True):
            assert np.array_equal(cell.picture, drawing.heat(found.maps[unit], signed, span))
            assert cell.title == f"{layer}, unit {unit}"


def holds_neighbours(sheet, net):
    for query, rows in zip(TWO, (sheet.rows[:2], sheet.rows[2:]), strict=True):
        found = cx.neighbours(net, query, None, IMAGES, k=3, progress=False)
        for row, numbers in zip(rows, (found.in_pixels, found.in_layer), strict=True):
            for cell, number in zip(row[1:], numbers, strict=True):
                assert np.array_equal(cell.picture, net.picture(net.pixels_of(IMAGES[int(number)])))


def holds_top9(sheet, net):
    for row, layer in zip(sheet.rows, ("conv1", "conv2"), strict=True):
        found = cx.top_patches(net, layer, [0, 1], IMAGES, progress=False)
        for pair, unit in zip((row[:2], row[2:]), (0, 1), strict=True):
            one = found.only(unit)
            assert np.array_equal(pair[0].picture, drawing.tiles(one.projections(rule="deconvnet"), 3, gap=2))
            assert np.array_equal(pair[1].picture, drawing.tiles(one.patches(), 3, gap=2))


def holds_rules(sheet, net):
    """Each column is another rule: none of the three may stand in another's place."""
    for row, image in zip(sheet.rows, TWO, strict=True):
        columns = ("gradient", "backprop"), ("deconvnet", "deconvnet"), ("guided_backprop", "guided backprop")
        for cell, (method, title) in zip(row[1:], columns, strict=True):
            a = cx.attribute(net, image, method=method)
            same(cell.result, a, "raw")
            assert np.array_equal(cell.picture, drawing.signed_picture(a.raw, 0.999))
            assert cell.title == title
        assert not np.array_equal(row[1].picture, row[2].picture)
        assert not np.array_equal(row[1].picture, row[3].picture)
        assert not np.array_equal(row[2].picture, row[3].picture)


def holds_class_model(sheet, net):
    alone = cx.maximize(net, net.scores.name, [0, 1, 2], preset="paper2016", steps=2, progress=False)
    assert [cell.title.split("\n")[0] for cell in sheet.rows[0]] == ["a", "b", "c"]
    for cell, one in zip(sheet.rows[0], alone, strict=True):
        assert np.array_equal(cell.picture, one.picture)


def holds_attributions(method, columns):
    """The cells at `columns` are the map, and the map over the image, of a method."""

    def holds(sheet, net):
        options = {"window": 6} if method == "occlusion" else {}
        for row, image in zip(sheet.rows, TWO, strict=True):
            a = cx.attribute(net, image, method=method, **options)
            for column, picture in zip(columns, (a.picture, a.overlay()), strict=False):
                same(row[column].result, a, "map")
                assert np.array_equal(row[column].picture, picture)

    return holds


def holds_cams(sheet, net):
    holds_attributions("cam", (1, 2))(sheet, net)
    holds_attributions("gradient", (3,))(sheet, net)
    for row in sheet.rows:
        assert not np.array_equal(row[1].picture, row[3].picture)


def holds_occlusion(sheet, net):
    holds_attributions("occlusion", (1, 2))(sheet, net)
    for row, image in zip(sheet.rows, TWO, strict=True):
        a = cx.attribute(net, image, method="occlusion", window=6)
        assert row[0].title.endswith(f"{a.score:.1f}")
        assert row[1].title == f"falls up to {a.map.max():.1f}"


def holds_segments(sheet, net):
    holds_attributions("gradient", (1,))(sheet, net)
    for row, image in zip(sheet.rows, TWO, strict=True):
        a = cx.attribute(net, image)
        mask, box = a.segment(), a.box()
        assert np.array_equal(row[2].picture[mask], row[0].picture[mask])
        assert np.array_equal(row[2].picture[~mask], row[0].picture[~mask] // 5)
        assert row[3].box == (box[0], box[1], box[2] - 1, box[3] - 1)


def holds_minimal(sheet, net):
    for cell, image in zip(sheet.rows[0][1::2], TWO, strict=True):
        found = cx.minimal_image(net, image, segments=6, progress=False)
        same(cell.result, found, "mask", "minimal")
        assert cell.title == f"{found.mask.mean():.0%} left"


def holds_fields(sheet, net):
    for row in sheet.rows:
        layer, unit = row[0].title.split("\n")[0].split(", unit ")
        top = cx.top_patches(net, layer, None, IMAGES, k=3, progress=False)
        found = cx.receptive_field(net, layer, int(unit), top)
        same(row[0].result, found, "map")
        assert np.array_equal(row[0].picture, drawing.heat(found.map))
        for cell, patch in zip(row[1:], top.patches(int(unit)), strict=True):
            assert np.array_equal(cell.picture, patch)


def holds_field_segments(sheet, net):
    layer = sheet.rows[0][0].title.split(",")[0]
    top = cx.top_patches(net, layer, None, IMAGES, k=3, progress=False)
    for row, unit in zip(sheet.rows, (0, 2), strict=True):
        field = cx.receptive_field(net, layer, unit, top, k=3)
        cutouts = cx.unit_segments(net, layer, unit, top, k=3, field=field).cutouts()
        for cell, cutout in zip(row, cutouts, strict=True):
            assert np.array_equal(cell.picture, cutout)


HOLDS = {
    "filters": holds_filters, "deeper-filters": holds_deeper_filters, "activations": holds_activations,
    "neighbours": holds_neighbours, "top9": holds_top9, "rules": holds_rules, "class-model": holds_class_model,
    "saliency": holds_attributions("gradient", (1, 2)), "saliency-segments": holds_segments, "cams": holds_cams,
    "occlusion": holds_occlusion, "minimal": holds_minimal, "fields": holds_fields,
    "field-segments": holds_field_segments,
}  # fmt: skip


def test_evolution_is_of_the_checkpoints():
    scenes = [cx.scene(k).image for k in range(4)]
    sheet = cx.figure("lecture2017.evolution", None, layers=["conv1"], units=2, steps=(0, 1000), images=scenes)
    assert [len(row) for row in sheet.rows] == [2, 2]
    first, last = sheet.rows[0]
    assert not np.array_equal(first.picture, last.picture)
    assert np.array_equal(
        last.picture, cx.top_patches(cx.load("worldnet@1000"), "conv1", 0, scenes, k=1).projections()[0]
    )


def test_facets_stand_beside_their_means_and_images():
    net = cx.load("worldnet-styles")
    scenes = cx.world.dataset(30, 2, 96, ["church"])
    options = {"k": 3, "method": "multifaceted2016", "steps": 6}
    sheet = cx.figure(
        "lecture2017.facets", net, image=scenes, classes=["church"], facet_count=3, progress=False, **options
    )
    found = cx.facets(net, "fc8", "church", scenes, k=3, steps=6, progress=False)
    assert [len(row) for row in sheet.rows] == [5, 5, 5]
    for facet, row in enumerate(sheet.rows):
        assert np.array_equal(row[0].picture, found.mean_pictures[facet])
        assert np.array_equal(row[1].picture, found.pictures[facet])
        assert np.array_equal(row[2].picture, found.images(facet)[0])


def test_fine_tuning_shows_the_most_changed_units():
    net = cx.load("worldnet@50")
    plain = cx.load("worldnet", device="cpu")
    plain.module.load_state_dict(net.module.state_dict(), strict=False)
    scenes = cx.world.dataset(24, 2, 96, ["boat", "fish"])
    sheet = cx.figure("lecture2017.fine-tuning", plain, image=scenes, layer="conv5", epochs=1, most=2, k=2)
    assert [len(row) for row in sheet.rows] == [4, 4]
    found = sheet.results[0]
    assert f"unit {found.movers[0]}" in sheet.rows[0][0].title
    assert np.array_equal(sheet.rows[1][3].picture, found.top_after.patches(found.movers[1])[1])
    assert sheet.data["matrix"].sum() == 96


ELSEWHERE = {  # files beside this one, and the pictures that they test
    "dissection": ["dissection", "unique-detectors", "axis-alignment", "training-detectors", "silenced"],
    "generators": ["inverters", "generator"],
}


def test_all_are_tested():
    known = {name.removeprefix("lecture2017.") for name in figures.names() if name.startswith("lecture2017.")}
    elsewhere = [name for names in ELSEWHERE.values() for name in names]
    assert known == {*MADE, "evolution", "facets", "fine-tuning", *elsewhere}
    for file, names in ELSEWHERE.items():
        text = (Path(__file__).parent / f"test_lecture2017_{file}.py").read_text(encoding="utf-8")
        for name in names:
            assert f'"{name}"' in text or f'"lecture2017.{name}"' in text, f"{name} is not tested in {file}"


def test_a_setting_that_a_picture_does_not_take(net, refused):
    refused(cx.SettingError, lambda: cx.figure("lecture2017.saliency", net, steps=3), "'steps'", "method")
    refused(cx.SettingError, lambda: cx.figure("lecture2017.saliency", net, []), "empty")
