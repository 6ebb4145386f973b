"""Near-duplicates: copies of a photograph as they are passed on are found, other photographs are not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from torch import nn

import cnnexplore as cx
from cnnexplore.styles.near_duplicates import LEAST_CORRELATION, correlation, thumbnails


def variants(photograph):
    """The same photograph as people pass it on."""
    picture = Image.fromarray(photograph)
    w, h = picture.size
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=25)
    yield "resaved", np.asarray(Image.open(file))
    yield "darker", np.asarray(ImageEnhance.Brightness(picture).enhance(0.6))
    yield "contrast", np.asarray(ImageEnhance.Contrast(picture).enhance(1.5))
    yield "grey", np.repeat(np.asarray(picture.convert("L"))[..., None], 3, 2)
    yield "small", np.asarray(picture.resize((w // 3, h // 3)).resize((w, h)))
    yield "mirrored", photograph[:, ::-1]
    yield "corner", np.asarray(picture.crop((0, 0, round(0.9 * w), round(0.9 * h))).resize((w, h)))
    yield "middle", np.asarray(picture.crop((w // 10, h // 10, w - w // 10, h - h // 10)).resize((w, h)))


def test_near_duplicates_of_photographs():
    names = ["cat", "astronaut", "coffee", "rocket", "motorcycle", "horse", "coins", "camera"]
    net = cx.Network(nn.Conv2d(3, 1, 3), size=160)
    known = [net.picture(net.pixels_of(cx.photograph(name))) for name in names]
    seen = thumbnails(np.stack(known))
    for k, photograph in enumerate(known):
        assert correlation(photograph, seen)[k] == pytest.approx(1, abs=1e-4)
        for name, variant in variants(photograph):
            like = correlation(np.ascontiguousarray(variant), seen)
            assert like[k] >= LEAST_CORRELATION, (names[k], name)
            assert np.delete(like, k).max() < LEAST_CORRELATION, (names[k], name)
            back = correlation(photograph, thumbnails(np.ascontiguousarray(variant)[None]))
            assert back[0] >= LEAST_CORRELATION, (names[k], name)


def test_a_picture_without_contrast_is_like_none():
    flat = np.full((32, 32, 3), 90, np.uint8)
    other = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    assert correlation(flat, thumbnails(np.stack([flat, *other]))).max() < 0.5
