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


# numbers of every kind


def deep_tiff(array, dtype):
    """A TIFF whose 16 bits are in this byte order."""
    order = {">": b"MM\0\x2a", "<": b"II\x2a\0"}[dtype[0]]
    end = {">": "big", "<": "little"}[dtype[0]]
    data = array.astype(dtype).tobytes()
    entries = [(256, array.shape[1]), (257, array.shape[0]), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1),
               (278, array.shape[0]), (279, len(data))]  # fmt: skip
    out = order + (8 + len(data)).to_bytes(4, end) + data + len(entries).to_bytes(2, end)
    for tag, value in entries:
        out += tag.to_bytes(2, end) + (4).to_bytes(2, end) + (1).to_bytes(4, end) + value.to_bytes(4, end)
    return out + bytes(4)


DEEP = np.random.default_rng(3).integers(0, 65536, (5, 8)).astype(np.uint16)
DARK = np.random.default_rng(4).integers(0, 256, (5, 8)).astype(np.uint16)


@pytest.mark.parametrize("grey", [DEEP, DARK], ids=["bright", "dark"])
def test_sixteen_bits_in_any_byte_order(grey):
    expected = np.repeat(grey[..., None] / 257, 3, 2)
    for dtype in ("<u2", ">u2"):
        for source in (grey.astype(dtype), deep_tiff(grey, dtype)):
            assert np.allclose(shown(source), expected, atol=0.01)
    for mode, dtype in (("I;16", "<u2"), ("I;16L", "<u2"), ("I;16B", ">u2"), ("I;16N", "=u2")):
        picture = Image.frombytes(mode, (8, 5), grey.astype(dtype).tobytes())
        assert np.allclose(shown(picture), expected, atol=0.01)
    assert np.allclose(shown(encoded(grey)), expected, atol=0.01)
    assert np.allclose(shown(torch.from_numpy(grey)[None]), expected, atol=0.01)


def test_one_grey_value_of_sixteen_bits_is_transparent():
    file = io.BytesIO()
    Image.fromarray(DEEP).save(file, "PNG", transparency=int(DEEP[0, 0]))
    assert np.array_equal(shown(file.getvalue())[0, 0], [255, 255, 255])
    assert shown(file.getvalue())[1, 1, 0] == pytest.approx(DEEP[1, 1] / 257, abs=0.01)


def test_thirty_two_bits_do_not_wrap(refused):
    for value in (65536, 70000, 2**31 - 1):
        wide = Image.fromarray(np.full((3, 4), value, np.int32))
        refused(cx.ImageError, lambda wide=wide: read_image(wide), str(value), "0..65535")
        file = io.BytesIO()
        wide.save(file, "TIFF")
        refused(cx.ImageError, lambda file=file: read_image(file.getvalue()), str(value))
    assert shown(Image.fromarray(np.full((3, 4), 65535, np.int32))).max() == 255
    assert shown(Image.fromarray(np.full((3, 4), 200, np.int32))).max() == 200
    refused(cx.ImageError, lambda: read_image(Image.fromarray(np.full((3, 4), -1, np.int32))), "-1")
    for dtype in (np.int32, np.uint32, np.int64, np.uint64):
        refused(cx.ImageError, lambda dtype=dtype: read_image(np.full((3, 4), 65791, dtype)), "65791")


def test_premultiplied_alpha():
    alpha = np.random.default_rng(1).integers(0, 256, (5, 8), dtype=np.uint8)
    share = alpha[..., None] / 255
    rgba = Image.fromarray(np.dstack([RGB, alpha])).convert("RGBa")
    assert np.abs(shown(rgba) - (RGB * share + 255 * (1 - share))).max() <= 2
    grey = Image.merge("LA", [Image.fromarray(RGB[..., 0]), Image.fromarray(alpha)])
    expected = RGB[..., :1] * share + 255 * (1 - share)
    for picture in (grey, grey.convert("La")):
        assert np.abs(shown(picture) - expected).max() <= 2


def test_a_palette_with_alpha():
    palette = Image.fromarray(RGB).convert("P")
    palette.putalpha(Image.fromarray(np.full((5, 8), 0, np.uint8)))
    assert palette.mode in ("PA", "RGBA")
    assert (shown(palette) == 255).all()


@pytest.mark.parametrize("white", [1.0, 255.0])
def test_values_just_outside_the_range_are_clipped(white):
    image = RGB / 255 * white
    image[0, 0], image[0, 1] = white * 1.0000002, -1e-7 * white
    image[1, 0], image[1, 1] = white * 1.08, -0.08 * white
    for dtype in (np.float16, np.float32, np.float64):
        found = shown(image.astype(dtype))
        assert np.allclose(found[2:], RGB[2:], atol=0.3)
        assert np.allclose(found[:2, 0], 255, atol=0.1)
        assert (found[:2, 1] == 0).all()


def test_what_bicubic_resampling_leaves():
    edges = torch.from_numpy(np.kron([[0.0, 1, 0], [0, 0, 1]], np.ones((20, 20))))[None, None]
    large = torch.nn.functional.interpolate(edges, (50, 70), mode="bicubic", antialias=True)[0]
    assert large.min() < -0.02
    assert large.max() > 1.02
    assert np.allclose(shown(large)[..., 0], (large[0].clamp(0, 1) * 255).numpy(), atol=1e-3)


@pytest.mark.parametrize(
    "image",
    [
        np.random.default_rng(0).normal(0, 1, (6, 6, 3)),  # normalised
        np.random.default_rng(0).normal(0, 0.03, (6, 6, 3)),  # about zero, of little contrast
        np.random.default_rng(0).uniform(-1, 1, (6, 6, 3)),
        np.random.default_rng(0).uniform(0, 1.5, (6, 6, 3)),  # white is above 1
        np.random.default_rng(0).uniform(0, 1.2, (6, 6, 3)),
        np.random.default_rng(0).uniform(0, 400, (6, 6, 3)),
        np.random.default_rng(0).uniform(-120, 130, (6, 6, 3)),  # a mean subtracted
    ],
)
def test_floats_of_another_unit_are_refused(image, refused):
    refused(cx.ImageError, lambda: read_image(image), "values from")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_of_every_precision(dtype):
    given = (torch.from_numpy(RGB).permute(2, 0, 1) / 255).to(dtype)
    atol = 1.1 if dtype == torch.bfloat16 else 0.2
    for tensor in (given, given.clone().requires_grad_(), -torch._neg_view(given)):
        assert np.allclose(shown(tensor), RGB, atol=atol)


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(3, 4, 4).to_sparse(),
        torch.zeros(3, 4, 4, device="meta"),
        torch.zeros(3, 4, 4, dtype=torch.complex64),
        torch.quantize_per_tensor(torch.zeros(3, 4, 4), 0.1, 0, torch.quint8),
    ],
)
def test_tensors_without_plain_numbers(tensor, refused):
    refused(cx.ImageError, lambda: read_image(tensor), "dense tensor of real numbers")


def test_masked_arrays(refused):
    masked = np.ma.masked_less(RGB.astype(np.int64), 10)
    refused(cx.ImageError, lambda: read_image(masked), "filled")
    assert np.array_equal(shown(masked.filled(0)), masked.filled(0))


def test_memory_of_every_layout():
    expected = RGB[1:4, ::2]
    frozen = RGB.copy()
    frozen.flags.writeable = False
    before = frozen.copy()
    for image in (RGB[1:4, ::2], np.asfortranarray(RGB)[1:4, ::2], frozen[1:4, ::2], RGB[1:4, ::-2][:, ::-1][:, ::1]):
        if image.base is not None and image.shape == expected.shape and np.array_equal(image, expected):
            assert np.array_equal(shown(image), expected)
    assert np.array_equal(shown(frozen / 255), frozen / 255 * 255)
    assert np.array_equal(frozen, before)
    assert np.array_equal(shown(RGB > 99), np.where(RGB > 99, 255, 0))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_the_first_of_several_pictures(kind):
    file = io.BytesIO()
    frames = [Image.new("RGB", (4, 4), (v, v, v)) for v in (60, 255)]
    frames[0].save(
        file, kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
    )
    assert np.abs(shown(file.getvalue()) - 60).max() <= 1


def test_an_upright_tiff():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert np.array_equal(shown(encoded(RGB, "TIFF", exif=exif)), np.rot90(RGB, -1))


# other programs, and files that are none


def test_a_document_starts_no_program(tmp_path, refused, monkeypatch):
    import subprocess

    def started(*args, **kwargs):
        raise AssertionError("a program was started")

    for name in ("Popen", "run", "call", "check_call", "check_output"):
        monkeypatch.setattr(subprocess, name, started)
    monkeypatch.setattr(os, "system", started)
    document = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.jpg").write_bytes(document)
    for source in (document, tmp_path / "a.jpg"):
        refused(cx.ImageError, lambda source=source: read_image(source), "not an image")


def test_pipes_sockets_devices_and_circles_of_links(tmp_path, refused):
    import socket

    os.mkfifo(tmp_path / "pipe.png")
    refused(cx.ImageError, lambda: read_image(tmp_path / "pipe.png"), "pipe", "path of an image")
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(tmp_path)  # a socket's path has at most 108 letters
        try:
            one.bind("socket.png")
        finally:
            os.chdir(here)
    refused(cx.ImageError, lambda: read_image(tmp_path / "socket.png"), "a socket")
    refused(cx.ImageError, lambda: read_image("/dev/zero"), "a device")
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    refused(cx.ImageError, lambda: read_image(tmp_path / "a.png"), "cannot be opened")
    refused(cx.ImageError, lambda: read_image("a" * 5000 + ".png"), "cannot be opened")
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    Image.fromarray(RGB).save(tmp_path / "real.png")
    assert np.array_equal(shown(tmp_path / "link.png"), RGB)


@pytest.mark.parametrize("image", [range(10**9), [range(10**9)], [[range(10**9)]]])
def test_a_range_is_not_written_out(refused, image):
    """Its numbers would take 40 GB."""
    refused(cx.ImageError, lambda: read_image(image), "array")
