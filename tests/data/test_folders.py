"""What of a folder is an image: hidden files, pipes and links that lead nowhere are none."""

import os

import numpy as np
import pytest
from PIL import Image
from torch import nn

import cnnexplore as cx
from cnnexplore.data import Images


def picture(value=100):
    return Image.fromarray(np.full((8, 8, 3), value, np.uint8))


@pytest.fixture
def folder(tmp_path):
    for name in ("cats", "dogs", "__MACOSX/cats", ".ipynb_checkpoints"):
        (tmp_path / name).mkdir(parents=True)
    picture().save(tmp_path / "cats" / "a.png")
    picture().save(tmp_path / "dogs" / "b.JPG", "JPEG")
    for note in ("cats/._a.png", "cats/.hidden.png", "__MACOSX/cats/._a.png", ".ipynb_checkpoints/a.png"):
        (tmp_path / note).write_bytes(b"Mac OS X")
    (tmp_path / "cats" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "dogs" / "a folder.png").mkdir()
    os.mkfifo(tmp_path / "dogs" / "pipe.png")
    (tmp_path / "dogs" / "broken.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "dogs" / "circle").symlink_to(tmp_path, target_is_directory=True)
    return tmp_path


def test_a_pass_over_a_folder(folder):
    images = Images(folder)
    assert [path.name for path in images.source] == ["a.png", "b.JPG"]
    assert images.classes == ["cats", "dogs"]
    net = cx.Network(nn.Conv2d(3, 2, 3), size=8)
    assert sum(len(x) for _, x in images.batches(net)) == 2


def test_a_folder_may_lie_in_a_hidden_one(tmp_path):
    (tmp_path / ".cache").mkdir()
    picture().save(tmp_path / ".cache" / "a.png")
    assert len(Images(tmp_path / ".cache")) == 1


def test_a_damaged_image_is_named(folder, refused):
    (folder / "dogs" / "z.png").write_bytes(b"no image")
    net = cx.Network(nn.Conv2d(3, 2, 3), size=8)
    refused(cx.ImageError, lambda: list(Images(folder).batches(net)), "z.png")


@pytest.mark.parametrize(
    ("line", "classes"),
    [("-1 0 0 1 0 1 1", "cat"), ("1 0 0 1 0 1 1", "cat"), ("0 nan 0 1 0 1 1", "cat"), ("0 1e300 0 1 0 1 1", "cat"),
     ("0 0 0 1e9 0 1 1", "cat"), ("0 0 0 1", "cat"), ("0.5 0 0 1 1", "cat"), ("0 inf inf 1 1", "cat")],
)  # fmt: skip
def test_outlines_that_are_none(line, classes, tmp_path, refused):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    (tmp_path / "classes.txt").write_text(classes)
    picture().save(tmp_path / "images" / "a.png")
    (tmp_path / "labels" / "a.txt").write_text(line)
    refused(cx.ImageError, lambda: list(cx.annotated(tmp_path)), "a.txt", line[:20])


def test_texts_that_are_none(tmp_path, refused):
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    os.mkfifo(tmp_path / "classes.txt")
    refused(cx.ImageError, lambda: list(cx.annotated(tmp_path)), "classes.txt")
    (tmp_path / "classes.txt").unlink()
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe\x00")
    refused(cx.ImageError, lambda: list(cx.annotated(tmp_path)), "UTF-8")
    (tmp_path / "classes.txt").write_bytes(b"")
    os.truncate(tmp_path / "classes.txt", 2**33)
    refused(cx.ImageError, lambda: list(cx.annotated(tmp_path)), "classes.txt", "MB")
