"""Folders with masks are read value by value: Broden's layout as the test writes it, index masks, polygons."""

import csv
import os

import numpy as np
import pytest
from PIL import Image

import cnnexplore as cx
from cnnexplore.data import ConceptData

LABELS = {1: "sky-c", 2: "car", 3: "wheel", 4: "street-s", 300: "wood", 5: "door"}


def write_table(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def write_png(path, numbers):
    numbers = np.asarray(numbers)
    Image.fromarray(np.stack([numbers % 256, numbers // 256, 0 * numbers], -1).astype(np.uint8)).save(path)


@pytest.fixture
def broden(tmp_path):
    """Three images: per-pixel labels in layers, whole-image labels, one without any label but a material."""
    pictures = tmp_path / "images" / "ade20k"
    pictures.mkdir(parents=True)
    random = np.random.default_rng(0)
    for k in range(3):
        Image.fromarray(random.integers(0, 256, (16, 16, 3), np.uint8)).save(pictures / f"{k}.png")
    objects, parts, more, materials = np.zeros((4, 8, 8), int)
    objects[2:6, 2:6], parts[5:7, 2:4], more[5:6, 3:6] = 2, 3, 3
    objects[0, 0], materials[:4], materials[6:] = 5, 300, 5
    for name, numbers in (("o", objects), ("p_1", parts), ("p_2", more), ("m", materials)):
        write_png(pictures / f"0_{name}.png", numbers)
    header = ["image", "split", "ih", "iw", "sh", "sw", "color", "object", "material", "part", "scene"]
    write_table(tmp_path / "index.csv", header, [
        ["ade20k/0.png", "train", 16, 16, 8, 8, "1", "ade20k/0_o.png", "ade20k/0_m.png",
         "ade20k/0_p_1.png;ade20k/0_p_2.png", ""],
        ["ade20k/1.png", "val", 16, 16, 8, 8, "", "", "", "", "4;0"],
        ["ade20k/2.png", "val", 16, 16, 8, 8, "", "", "ade20k/0_m.png", "", ""],
    ])  # fmt: skip
    write_table(tmp_path / "category.csv", ["name", "first", "last", "count", "frequency"], [])
    write_table(
        tmp_path / "label.csv",
        ["number", "name", "category", "frequency", "coverage", "syns"],
        [[0, "-", "", 0, 0, ""]]
        + [[k, name, {5: "object(1);material(2)", 300: "material(2)"}.get(k, "object(1)"), 1, 1, "a;b"]
           for k, name in LABELS.items()],
    )  # fmt: skip
    covered = {"color": [(1, 64)], "object": [(2, 16), (5, 1)], "material": [(300, 64), (5, 32)], "part": [(3, 7)],
               "scene": [(4, 64)]}  # fmt: skip
    for category, rows in covered.items():
        write_table(
            tmp_path / f"c_{category}.csv",
            ["code", "number", "name", "frequency", "coverage"],
            [[code + 1, k, LABELS[k], 1, coverage] for code, (k, coverage) in enumerate(rows)],
        )
    return tmp_path


def test_broden(broden):
    data = cx.concept_images(broden)
    assert isinstance(data, ConceptData)
    assert len(data) == 3
    image, masks = data.concepts(0)
    assert image.endswith("0.png")
    assert sorted(masks) == ["color/sky-c", "material/door", "material/wood", "object/car", "part/wheel"]
    assert masks["color/sky-c"] is True
    car = np.zeros((8, 8), bool)
    car[2:6, 2:6] = True
    assert np.array_equal(masks["object/car"], car)
    wheel = np.zeros((8, 8), bool)
    wheel[5:7, 2:4] = wheel[5:6, 3:6] = True
    assert np.array_equal(masks["part/wheel"], wheel)  # both layers
    door = np.zeros((8, 8), bool)  # of two categories: counts for the one in which it covers more
    door[0, 0] = door[6:] = True
    assert np.array_equal(masks["material/door"], door)
    assert masks["material/wood"].sum() == 32  # 300 = 44 + 256 * 1: no overflow of a byte
    assert data.concepts(1)[1] == {"scene/street-s": True}
    only = cx.concept_images(broden, categories=["material"])
    assert len(only) == 2
    assert sorted(only.concepts(0)[1]) == ["material/door", "material/wood"]
    again = eval(only.to_python(), {"cx": cx})
    assert again.digest() == only.digest() != data.digest()


def test_broden_is_dissected(broden):
    net = cx.Network(_brightness(), size=16, name="bright")
    found = cx.dissect(net, "conv1", cx.concept_images(broden), cache=False, progress=False)
    assert found.categories == ["color", "material", "object", "part", "scene"]
    truth = dict(zip(found.concepts, found.truth.tolist(), strict=True))
    assert truth == {  # of 16 x 16 pixels; a pixel of a mask is four of them
        "color/sky-c": 256, "material/door": 4 * 17 + 4 * 16, "material/wood": 2 * 4 * 32, "object/car": 64,
        "part/wheel": 4 * 6, "scene/street-s": 256,
    }  # fmt: skip


def _brightness():
    from torch import nn

    module = nn.Sequential(nn.Conv2d(3, 2, 1))
    return module.eval()


def test_what_is_wrong_in_broden_is_said(broden, refused):
    refused(cx.SettingError, lambda: cx.concept_images(broden, categories=["texture"]), "no category", "material")
    text = (broden / "index.csv").read_text()
    (broden / "index.csv").write_text(text.replace("ade20k/2.png", "../../secret.png"))
    refused(cx.ImageError, lambda: cx.concept_images(broden)[2], "below images/")
    (broden / "index.csv").write_text(text.replace("4;0", "77"))
    refused(cx.ImageError, lambda: cx.concept_images(broden).concepts(1), "label 77")
    (broden / "index.csv").write_text("picture,object\na,1\n")
    refused(cx.ImageError, lambda: cx.concept_images(broden), "no column 'image'")
    refused(cx.ImageError, lambda: cx.concept_images(broden / "images"), "neither index.csv, masks/ nor labels/")


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("index.csv", "image,object\n", "no image"),
        ("index.csv", "image,../../object\na.png,1\n", "category"),
        ("index.csv", "image\na.png\n", "category none"),
        ("label.csv", "number,name,category\ninf,a,object\n", "number is expected"),
        ("label.csv", "number,name,category\n1.5,a,object\n", "number of a label"),
        ("label.csv", "number,name,category\n\0,a,object\n", "label.csv"),
        ("c_object.csv", "number,coverage\n1,nan\n", "number is expected"),
    ],
)
def test_tables_that_are_wrong(broden, refused, name, text, says):
    (broden / name).write_text(text)
    refused(cx.ImageError, lambda: cx.concept_images(broden), says)


def test_a_row_that_is_wrong(broden, refused):
    (broden / "index.csv").write_text("image,object\n,2\na.png," + 5000 * "9" + "\n")
    data = cx.concept_images(broden)
    refused(cx.ImageError, lambda: data[0], "below images/")
    refused(cx.ImageError, lambda: data.concepts(1), "number")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes")
def test_a_pipe_is_not_waited_for(broden, refused):
    for name in ("label.csv", "index.csv"):
        (broden / name).unlink()
        os.mkfifo(broden / name)
        refused(cx.ImageError, lambda: cx.concept_images(broden), "cannot be read")


def test_index_masks(tmp_path, refused):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.txt").write_text("sky\ncar\nvoid\n")
    for name in "ab":
        Image.fromarray(np.zeros((10, 12, 3), np.uint8)).save(tmp_path / "images" / f"{name}.jpg")
    numbers = np.zeros((10, 12), np.uint8)
    numbers[5:, :6], numbers[0], numbers[1] = 1, 2, 255
    Image.fromarray(numbers).save(tmp_path / "masks" / "b.png")
    data = cx.concept_images(tmp_path, category="thing")
    assert len(data) == 1  # an image without a mask is left out
    image, masks = data.concepts(0)
    assert image == data[0] == str(tmp_path / "images" / "b.jpg")
    assert sorted(masks) == ["thing/car", "thing/sky"]
    assert np.array_equal(masks["thing/car"], numbers == 1)
    assert np.array_equal(masks["thing/sky"], numbers == 0)
    before = data.digest()
    numbers[9, 9] = 9
    Image.fromarray(numbers).save(tmp_path / "masks" / "b.png")
    assert data.digest() != before
    refused(cx.ImageError, lambda: data.concepts(0), "number 9", "3 lines")
    Image.fromarray(np.zeros((10, 12, 3), np.uint8)).save(tmp_path / "masks" / "b.png")
    refused(cx.ImageError, lambda: data.concepts(0), "mode RGB")


def test_camvid(shared):
    data = cx.concept_images(shared / "data" / "camvid")
    assert len(data) == 123
    image, masks = data.concepts(0)
    assert image.endswith("0001TP_006690.jpg")
    numbers = np.asarray(Image.open(shared / "data" / "camvid" / "masks" / "0001TP_006690.png"))
    assert np.array_equal(masks["object/road"], numbers == 3)
    assert "object/void" not in masks
    assert sum(mask.sum() for mask in masks.values()) == (numbers != 11).sum()


def test_coco(shared):
    folder = shared / "data" / "coco128-seg"
    data = cx.concept_images(folder)
    for k, (image, masks) in enumerate(cx.annotated(folder)):
        path, ours = data.concepts(k)
        assert np.array_equal(_plain(image).pixels_of(path), _plain(image).pixels_of(image))
        assert sorted(ours) == sorted(f"object/{name}" for name in masks)
        assert all(np.array_equal(ours[f"object/{name}"], mask) for name, mask in masks.items())
        if k == 5:
            break


def _plain(image):
    return cx.Network(_brightness(), size=image.shape[:2])
