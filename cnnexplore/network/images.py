"""Reading an image from a path, bytes, PIL, numpy or torch, and cropping it to the input of a network."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..errors import ImageError, brief
from .image_file import check_size, open_picture, picture_array

_LONGEST = 100_000  # rows, columns or channels of an image that is no array
_OVERSHOOT = 0.25  # of the range: as far as bicubic resampling takes an edge of black and white beyond both
_FEW = 0.15  # of the values: more of them outside are no overshoot but another unit, such as one about zero
_DARK = 4.0  # a float image whose largest value is above 1 but below this is in 0..1 with a white above 1, or an error


def read_image(image: Any, channels: int | None = None) -> torch.Tensor:
    """An image as numbers in 0..255: RGB, or as many channels as a network reads.

    Parameters
    ----------
    image : str, path, bytes, PIL.Image.Image, np.ndarray or torch.Tensor
        A path, the bytes of a file, a PIL image, an array (H, W) or (H, W, C), or a tensor (C, H, W). Integers are in
        0..255, uint16 in 0..65535. Floats are in 0..1 if none exceeds 1.25, else in 0..255; what resampling leaves
        beyond black and white, by up to a quarter of the range and in few places, is clipped.
    channels : int, optional
        By default the image is RGB: C is 1 (grey), 3 or 4 (with alpha), and transparent pixels are
        blended with white. A number: C must be that number, and the channels stay as they are.

    Returns
    -------
    torch.Tensor
        (3, H, W) float32 RGB in 0..255, or (C, H, W) for a number of channels.

    Raises
    ------
    ImageError
        If it is no image that can be read, or has another number of channels.
    """
    if isinstance(image, (str, os.PathLike, bytes, bytearray, memoryview)):
        image = open_picture(image)
    if isinstance(image, Image.Image):
        image = picture_array(image, channels)
    is_tensor = isinstance(image, torch.Tensor)
    return _from_array(_tensor_array(image) if is_tensor else _array(image), is_tensor, channels)


def _array(image: Any) -> np.ndarray:
    if isinstance(image, np.ma.MaskedArray) and np.ma.is_masked(image):
        raise ImageError("the image is an array with masked values; fill them first: image.filled(0).")
    try:
        if _has_long_side(image):
            raise ValueError("numpy would make all of its numbers")
        array = np.asarray(image)
    except Exception as error:
        raise ImageError(
            f"an image of type {type(image).__name__} cannot be read; give a path, a PIL image, an array or a tensor."
        ) from error
    if array.dtype.kind not in "uifb":
        raise ImageError(
            f"an image of type {type(image).__name__} ({array.dtype!s:.60}) cannot be read; "
            "give a path, a PIL image, an array or a tensor."
        )
    return array


def _has_long_side(image: Any) -> bool:
    """Whether rows, columns or channels that are no array are more than an image has, as in a range."""
    for _ in range(3):
        if hasattr(image, "__array__") or not hasattr(image, "__len__") or not len(image):
            return False
        if len(image) > _LONGEST:
            return True
        image = image[0]
    return False


def _tensor_array(tensor: torch.Tensor) -> np.ndarray:
    """The numbers of a tensor of any device and number type."""
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_complex():
        raise ImageError(
            f"an image that is a tensor of {tensor.dtype}, {tensor.layout}, on {tensor.device} cannot be read; "
            "give a dense tensor of real numbers."
        )
    try:
        tensor = tensor.detach().resolve_neg().cpu()
        if tensor.is_floating_point() and tensor.dtype not in (torch.float16, torch.float32, torch.float64):
            tensor = tensor.float()  # numpy has no bfloat16
        return tensor.numpy()
    except (RuntimeError, TypeError) as error:
        raise ImageError(f"an image that is a {type(tensor).__name__} cannot be read ({brief(error)}).") from error


def _from_array(array: np.ndarray, channels_first: bool, channels: int | None) -> torch.Tensor:
    shape = "x".join(map(str, array.shape)) or "a single number"
    known = (1, 3, 4) if channels is None else (channels,)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[..., None]
    elif array.ndim == 3:
        first, last = array.shape[0] in known, array.shape[-1] in known
        if first and (channels_first or not last):
            array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or array.shape[-1] not in known:
        wanted = "(H, W), (H, W, 3) or (H, W, 4), or a tensor (3, H, W)"
        if channels is not None:
            wanted = f"an array (H, W, {channels}) or a tensor ({channels}, H, W), as the network takes it"
        raise ImageError(f"an image of shape {shape} cannot be read; expected {wanted}.")
    if array.size == 0:
        raise ImageError(f"an image of shape {shape} is empty; expected at least one pixel.")
    check_size("the image", array.shape[1], array.shape[0])
    if array.dtype == bool:
        array = array * np.uint8(255)
    with np.errstate(over="ignore"):  # what is too large for float32 is refused below
        values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise ImageError("the image has values that are not finite (NaN or infinity); mend them first.")
    values *= 255.0 / _white(array, values)
    values.clip(0, 255, out=values)
    if channels is None and values.shape[-1] == 4:
        alpha = values[..., 3:] / 255.0
        values = values[..., :3] * alpha + 255.0 * (1 - alpha)
    if channels is None and values.shape[-1] == 1:
        values = values.repeat(3, -1)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(values, -1, 0)))


def _white(array: np.ndarray, values: np.ndarray) -> float:
    """The value of white: of integers by their type, of floats 1 or 255. Raises ImageError for values that fit none."""
    low, high = float(values.min()), float(values.max())
    if array.dtype.kind == "f":
        white = 1.0 if high <= 1 + _OVERSHOOT else 255.0
        margin = _OVERSHOOT * white
        rounding = white / 255
        outside = float(((values < -rounding) | (values > white + rounding)).mean()) if low < 0 or high > white else 0.0
        fits = low >= -margin and high <= white + margin and outside <= _FEW
        if fits and white == 255 and high < _DARK and bool((values != np.round(values)).any()):
            raise ImageError(
                f"the image has values from {low:g} to {high:g}, which fit neither 0..1 nor 0..255; clip what "
                "resampling left beyond 0..1, divide by the value of white, or give a dark image as integers."
            )
    else:
        white = 65535.0 if array.dtype.kind == "u" and array.dtype.itemsize == 2 else 255.0
        fits = low >= 0 and high <= white
    if not fits:
        raise ImageError(
            f"the image has values from {low:g} to {high:g}; expected 0..255, or 0..1 for floats "
            "(for numbers in the network's own units use net.picture first)."
        )
    return white


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
