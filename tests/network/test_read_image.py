"""Whatever a person calls an image becomes the same pixels; what is none gets a sentence."""

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import cnnexplore as cx
from cnnexplore.network import read_image

RGB = np.random.default_rng(0).integers(0, 256, (5, 8, 3), dtype=np.uint8)


def shown(image):
    """(H, W, 3) as float64."""
    out = read_image(image)
    assert out.dtype == torch.float32
    assert out.is_contiguous()
    return out.permute(1, 2, 0).double().numpy()


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind, **options)
    return file.getvalue()


# what is read


@pytest.fixture
def path(tmp_path):
    Image.fromarray(RGB).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_files(path):
    for source in (path, str(path), path.read_bytes(), bytearray(path.read_bytes()), memoryview(path.read_bytes())):
        assert np.array_equal(shown(source), RGB)


def test_a_file_is_closed_after_reading(path):
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else None
    for _ in range(5):
        read_image(path)
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) == before
    path.unlink()


def test_arrays_and_tensors():
    first = np.moveaxis(RGB, -1, 0)
    tensor = torch.from_numpy(RGB)
    for image in (
        RGB, RGB[None], first, first[None], RGB.astype(np.int64), RGB.astype(np.float32), RGB / 255.0, RGB.tolist(),
        RGB.astype(np.float64), Image.fromarray(RGB), tensor,
        tensor.permute(2, 0, 1), tensor.permute(2, 0, 1)[None], tensor.permute(2, 0, 1) / 255, RGB[::-1][::-1],
        (tensor.permute(2, 0, 1) / 255).requires_grad_(),
    ):  # fmt: skip
        assert np.allclose(shown(image), RGB, atol=1e-3)
    assert np.allclose(shown((RGB / 255).astype(np.float16)), RGB, atol=0.2)


def test_grey_and_black_and_white():
    grey = RGB[..., 0]
    expected = np.repeat(grey[..., None], 3, -1)
    for image in (grey, grey[..., None], torch.from_numpy(grey), torch.from_numpy(grey)[None], Image.fromarray(grey)):
        assert np.array_equal(shown(image), expected)
    assert set(np.unique(shown(grey > 99))) == {0.0, 255.0}
    assert set(np.unique(shown(Image.fromarray(grey).convert("1")))) == {0.0, 255.0}


def test_an_image_of_three_rows_is_not_one_of_three_channels():
    """The last axis decides for arrays, the first for tensors."""
    image = np.arange(3 * 4 * 3, dtype=np.uint8).reshape(3, 4, 3)
    assert np.array_equal(shown(image), image)
    assert read_image(torch.from_numpy(image)).shape == (3, 4, 3)
    assert np.array_equal(read_image(torch.from_numpy(image)).numpy(), image)


def test_uint16():
    deep = RGB.astype(np.uint16) * 257
    assert np.allclose(shown(deep), RGB, atol=1e-2)
    assert np.allclose(shown(deep[..., 0])[..., 0], RGB[..., 0], atol=1e-2)
    file = io.BytesIO()
    Image.fromarray(deep[..., 0]).save(file, "PNG")
    assert np.allclose(shown(file.getvalue())[..., 1], RGB[..., 0], atol=1e-2)


def test_floats_up_to_one_and_up_to_255():
    assert shown(np.full((2, 2), 1.0)).max() == 255
    assert shown(np.full((2, 2), 0.5)).max() == pytest.approx(127.5)
    assert shown(np.full((2, 2), 4.5)).max() == pytest.approx(4.5)
    assert shown(np.full((2, 2), 2.0)).max() == 2  # whole numbers are those of a dark picture
    assert shown(np.full((2, 2), 1, np.uint8)).max() == 1  # an integer 1 is nearly black


def test_transparent_pixels_are_put_on_white():
    alpha = np.dstack([RGB, np.random.default_rng(1).integers(0, 256, (5, 8), dtype=np.uint8)])
    expected = np.zeros((5, 8, 3))
    for r, c, k in np.ndindex(5, 8, 3):
        a = alpha[r, c, 3] / 255
        expected[r, c, k] = a * alpha[r, c, k] + (1 - a) * 255
    for image in (
        alpha, Image.fromarray(alpha), encoded(alpha), torch.from_numpy(alpha).permute(2, 0, 1),
        alpha.astype(np.uint16) * 257, alpha / 255.0,
    ):  # fmt: skip
        assert np.allclose(shown(image), expected, atol=1e-2)
    palette = Image.fromarray(RGB).quantize(4)
    palette.info["transparency"] = palette.getpixel((0, 0))
    assert np.array_equal(shown(palette)[0, 0], [255, 255, 255])
    clear = Image.new("LA", (4, 4), (10, 0))
    assert (shown(clear) == 255).all()


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "L"])
def test_pillows_other_modes(mode):
    flat = Image.new("RGB", (6, 4), (204, 204, 204)).convert(mode)
    assert np.abs(shown(flat) - 204).max() <= (60 if mode in ("CMYK", "LAB") else 3)


def test_only_the_first_picture_of_an_animation():
    file = io.BytesIO()
    frames = [Image.new("RGB", (4, 4), (v, v, v)) for v in (0, 255)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    assert shown(file.getvalue()).max() == 0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    """The numbers of the EXIF standard: where row 0 and column 0 of what was stored are, seen upright."""
    h, w = RGB.shape[:2]
    expected = np.zeros((w, h, 3) if orientation >= 5 else (h, w, 3))
    for r, c in np.ndindex(h, w):
        place = {1: (r, c), 2: (r, w - 1 - c), 3: (h - 1 - r, w - 1 - c), 4: (h - 1 - r, c), 5: (c, r),
                 6: (c, h - 1 - r), 7: (w - 1 - c, h - 1 - r), 8: (w - 1 - c, r)}[orientation]  # fmt: skip
        expected[place] = RGB[r, c]
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(shown(encoded(RGB, exif=exif)), expected)


# what is refused


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width, height):
    """A PNG that claims a size and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(9000, 9000), (12000, 12000), (60000, 60000), (2**31 - 1, 1)])
def test_decompression_bombs(size, refused, tmp_path):
    (tmp_path / "bomb.png").write_bytes(bomb(*size))
    for source in (bomb(*size), tmp_path / "bomb.png"):
        refused(cx.ImageError, lambda source=source: read_image(source), "at most 64 million", "scale it down")


def test_huge_arrays(refused):
    wide = np.broadcast_to(np.uint8(0), (8001, 8001, 3))  # takes no memory
    refused(cx.ImageError, lambda: read_image(wide), "8001 x 8001", "64 million")
    refused(cx.ImageError, lambda: read_image(torch.zeros(1, dtype=torch.uint8).expand(3, 8001, 8001)), "64 million")


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.full((4, 4), np.nan), "not finite"),
        (np.where(np.eye(4) > 0, np.inf, 0.0), "not finite"),
        (torch.full((3, 4, 4), float("-inf")), "not finite"),
        (np.zeros(5), "shape 5"),
        (np.zeros((6, 7, 2)), "shape 6x7x2"),
        (np.zeros((6, 7, 5), np.uint8), "shape 6x7x5"),
        (np.zeros((2, 4, 4, 3)), "shape 2x4x4x3"),
        (np.zeros((1, 1, 4, 4, 3)), "shape 1x1x4x4x3"),
        (torch.zeros(7, 6, 5), "shape 7x6x5"),
        (np.float32(3), "a single number"),
        (5, "a single number"),
        (np.zeros((0, 4, 3)), "empty"),
        (np.zeros((4, 0)), "empty"),
        (torch.zeros(3, 0, 4), "empty"),
        (Image.new("RGB", (0, 3)), "empty"),
        (np.full((4, 4), -0.1), "from -0.1"),
        (np.full((4, 4), -1), "from -1 to -1"),
        (np.full((4, 4), 256), "256"),
        (np.full((4, 4), 300.0), "expected 0..255"),
        (np.full((4, 4), 1j), "complex"),
        (np.array([["a", "b"]]), "cannot be read"),
        (None, "NoneType"),
        ({"a": 1}, "dict"),
        (object(), "object"),
        ([[1, 2], [3]], "list"),
        (b"", "uploaded file"),
        (b"GIF89a", "uploaded file"),
        (b"hello, I am a text", "not an image"),
        ("", "does not exist"),
        ("no such file.png", "'no such file.png' does not exist"),
        ("a\0b.png", "b.png"),
        (Path("https://example.org/cat.png"), "does not exist"),
    ],
)
def test_what_is_no_image(image, words, refused):
    refused(cx.ImageError, lambda: read_image(image), words)
    assert issubclass(cx.ImageError, ValueError)


def test_folders_and_other_files(tmp_path, refused):
    refused(cx.ImageError, lambda: read_image(tmp_path), "is a folder")
    (tmp_path / "notes.png").write_text("These are notes.")
    refused(cx.ImageError, lambda: read_image(tmp_path / "notes.png"), "notes.png' is not an image", "PNG or JPEG")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_truncated_files(kind, tmp_path, refused):
    whole = encoded(np.repeat(np.repeat(RGB, 9, 0), 9, 1), kind)
    cut = whole[: len(whole) // 2]
    (tmp_path / "cut").write_bytes(cut)
    for source in (cut, tmp_path / "cut"):
        refused(cx.ImageError, lambda source=source: read_image(source))
    for length in range(0, len(whole), 7):  # wherever it is cut: an image or a sentence, nothing else
        with contextlib.suppress(cx.ImageError):
            read_image(whole[:length])
    assert "damaged or cut short" in refused(cx.ImageError, lambda: read_image(encoded(RGB)[:-30]))


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP"]), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 255))))
@settings(max_examples=300)
def test_damaged_files(kind, damage):
    """A wrong byte anywhere: an image or a sentence, nothing else."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a photograph"
    whole = bytearray(encoded(RGB, kind, **({"exif": exif} if kind in ("PNG", "JPEG") else {})))
    for place, value in damage:
        whole[place % len(whole)] = value
    with contextlib.suppress(cx.ImageError):
        assert read_image(bytes(whole)).shape[0] == 3


def test_a_broken_exif_does_not_cost_the_picture():
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a photograph"
    block = exif.tobytes()
    assert b"\x01\x0e\x00\x02" in block
    broken = block.replace(b"\x01\x0e\x00\x02", b"\x01\x00\x00\x02")  # the width, as a text
    assert read_image(encoded(RGB, "JPEG", exif=broken)).shape == (3, 8, 5)


class Unreadable:
    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("not today")


def test_an_array_that_refuses(refused):
    refused(cx.ImageError, lambda: read_image(Unreadable()), "Unreadable")
