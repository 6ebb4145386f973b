"""Reading an image from a path, bytes, PIL, numpy or torch, and cropping it to the input of a network."""

from __future__ import annotations

import io
import os
import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError

from ..errors import ImageError

MAX_PIXELS = 64_000_000  # a picture above this is a mistake or a decompression bomb
_UPRIGHT = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
            7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip


def read_image(image: Any) -> torch.Tensor:
    """An image as RGB numbers.

    Parameters
    ----------
    image : str, path, bytes, PIL.Image.Image, np.ndarray or torch.Tensor
        A path, the bytes of a file, a PIL image, an array (H, W) or (H, W, 1, 3 or 4), or a tensor (C, H, W). Integers
        are in 0..255 (uint16 in 0..65535); floats in 0..1 if none exceeds 1, else in 0..255. Transparent pixels are
        blended with white.

    Returns
    -------
    torch.Tensor
        (3, H, W) float32 RGB in 0..255.

    Raises
    ------
    ImageError
        If it is no image that can be read.
    """
    if isinstance(image, (str, os.PathLike, bytes, bytearray, memoryview)):
        image = _open(image)
    if isinstance(image, Image.Image):
        image = _from_pil(image)
    is_tensor = isinstance(image, torch.Tensor)
    try:
        array = image.detach().cpu().numpy() if is_tensor else np.asarray(image)
    except Exception as error:
        raise ImageError(
            f"an image of type {type(image).__name__} cannot be read; give a path, a PIL image, an array or a tensor."
        ) from error
    if array.dtype.kind not in "uifb":
        raise ImageError(
            f"an image of type {type(image).__name__} ({array.dtype}) cannot be read; "
            "give a path, a PIL image, an array or a tensor."
        )
    return _from_array(array, channels_first=is_tensor)


def _open(source: Any) -> Image.Image:
    is_bytes = isinstance(source, (bytes, bytearray, memoryview))
    name = "the uploaded file" if is_bytes else f"{os.fspath(source)!r}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(source) if is_bytes else source)
            _check_size(name, *picture.size)
            picture.load()
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist; expected the path of an image file.") from error
    except IsADirectoryError as error:
        raise ImageError(f"{name} is a folder; expected the path of an image file.") from error
    except Image.DecompressionBombError as error:
        raise ImageError(
            f"{name} is far too large; at most {MAX_PIXELS // 10**6} million pixels are read: scale it down."
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not an image that Pillow can read; give a PNG or JPEG file.") from error
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"{name} is damaged or cut short ({error}); save it again as PNG or JPEG.") from error
    return picture


def _check_size(name: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"{name} has {width} x {height} pixels; at most {MAX_PIXELS // 10**6} million are read: scale it down."
        )


def _from_pil(picture: Image.Image) -> np.ndarray:
    _check_size("the image", *picture.size)
    picture = _upright(picture)
    if picture.mode in ("I", "F") or picture.mode.startswith("I;16"):
        array = np.asarray(picture)
        return array.astype(np.uint16) if picture.mode.startswith("I") and array.max(initial=0) > 255 else array
    if "A" in picture.getbands() or "transparency" in picture.info:
        return np.asarray(picture.convert("RGBA"))
    return np.asarray(picture.convert("RGB"))


def _upright(picture: Image.Image) -> Image.Image:
    """Turned upright by its EXIF orientation; unlike ImageOps.exif_transpose, other broken EXIF tags do no harm."""
    try:
        method = _UPRIGHT.get(picture.getexif().get(0x0112, 1))
    except Exception:
        method = None  # the picture itself is whole
    return picture if method is None else picture.transpose(Image.Transpose[method])


def _from_array(array: np.ndarray, channels_first: bool) -> torch.Tensor:
    shape = "x".join(map(str, array.shape)) or "a single number"
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[..., None]
    elif array.ndim == 3:
        first, last = array.shape[0] in (1, 3, 4), array.shape[-1] in (1, 3, 4)
        if first and (channels_first or not last):
            array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4):
        raise ImageError(
            f"an image of shape {shape} cannot be read; expected (H, W), (H, W, 3) or (H, W, 4), or a tensor (3, H, W)."
        )
    if array.size == 0:
        raise ImageError(f"an image of shape {shape} is empty; expected at least one pixel.")
    _check_size("the image", array.shape[1], array.shape[0])
    if array.dtype == bool:
        array = array * np.uint8(255)
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise ImageError("the image has values that are not finite (NaN or infinity); mend them first.")
    low, high = float(values.min()), float(values.max())
    if array.dtype.kind == "f":
        full = 1.0 if high <= 1.0 else 255.0
    else:
        full = 65535.0 if array.dtype == np.uint16 else 255.0
    if low < 0 or high > full:
        raise ImageError(
            f"the image has values from {low:g} to {high:g}; expected 0..255, or 0..1 for floats "
            "(for numbers in the network's own units use net.picture first)."
        )
    values *= 255.0 / full
    if values.shape[-1] == 4:
        alpha = values[..., 3:] / 255.0
        values = values[..., :3] * alpha + 255.0 * (1 - alpha)
    if values.shape[-1] == 1:
        values = values.repeat(3, -1)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 0)))


def centre_crop(shape: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest centred part of an image with the aspect ratio of a network's input.

    Parameters
    ----------
    shape : tuple of int
        (rows, columns) of the image.
    size : tuple of int
        (rows, columns) of the input.

    Returns
    -------
    tuple of int
        (top, left, bottom, right), half open.
    """
    h, w = shape
    scale = max(size[0] / h, size[1] / w)
    rows, columns = min(h, max(1, round(size[0] / scale))), min(w, max(1, round(size[1] / scale)))
    top, left = (h - rows) // 2, (w - columns) // 2
    return top, left, top + rows, left + columns


def crop_and_resize(rgb: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The largest centred part of an image, resampled to a network's input size (bicubic, anti-aliased).

    Parameters
    ----------
    rgb : torch.Tensor
        (C, H, W) in 0..255.
    size : tuple of int
        (rows, columns) of the input.

    Returns
    -------
    torch.Tensor
        (C, rows, columns) in 0..255; the image itself if it has that size.
    """
    height, width = rgb.shape[-2:]
    if (height, width) == tuple(size):
        return rgb
    top, left, bottom, right = centre_crop((height, width), size)
    crop = rgb[None, :, top:bottom, left:right]
    return F.interpolate(crop, tuple(size), mode="bicubic", antialias=True, align_corners=False)[0].clamp_(0, 255)
