"""From whatever a person calls an image to the numbers a network wants, and back: the only place that knows."""

from __future__ import annotations

import io
import json
import math
import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, UnidentifiedImageError

from ..errors import ImageError, WeightsError

MAX_PIXELS = 64_000_000  # a picture above this is a mistake or a decompression bomb
_ORDERS = {"RGB": 3, "BGR": 3, "grey": 1}
_UPRIGHT = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270",
            7: "TRANSVERSE", 8: "ROTATE_90"}  # fmt: skip
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's convert("L")
_USUAL_MEAN = {"RGB": (123.675, 116.28, 103.53), "BGR": (103.53, 116.28, 123.675), "grey": (128.0,)}


@dataclass(frozen=True)
class Pixels:
    """A network's pixel convention: x = channels in `order`, in 0..255, minus `mean`; the network is fed x / `std`.

    order: "RGB", "BGR" or "grey". mean, std: one value per channel, in that order, in 0..255 units (default:
    ImageNet's mean, and 1).
    norm: B, the typical length of a pixel of x (preimage2016, section 3.3: 80 for three channels).
    """

    order: str = "RGB"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    norm: float = 0.0

    def __post_init__(self):
        if self.order not in _ORDERS:
            raise WeightsError(f"Pixels: order is {self.order!r}; expected one of {', '.join(map(repr, _ORDERS))}.")
        channels = self.channels
        object.__setattr__(self, "mean", _numbers("mean", self.mean or _USUAL_MEAN[self.order], channels))
        object.__setattr__(self, "std", _numbers("std", self.std or (1.0,) * channels, channels))
        object.__setattr__(self, "norm", float(self.norm) or 80.0 * math.sqrt(channels / 3))
        if min(self.std) <= 0 or not 0 < self.norm < math.inf:
            raise WeightsError(
                f"Pixels: std is {self.std} and norm {self.norm}; expected positive values in 0..255 units."
            )

    @property
    def channels(self) -> int:
        return _ORDERS[self.order]

    @classmethod
    def from_json(cls, text: str) -> Pixels:
        """The convention written in a weights file. Raises WeightsError if it is not one."""
        try:
            d = json.loads(text)
            return cls(d["order"], tuple(d["mean"]), tuple(d.get("std", ())), d.get("norm", 0.0))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError(f"pixels metadata is {text[:80]!r}; expected JSON with order, mean and std.") from error

    def to_json(self) -> str:
        return json.dumps({"order": self.order, "mean": self.mean, "std": self.std, "norm": self.norm})

    def _column(self, values, like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)

    def encode(self, rgb: torch.Tensor) -> torch.Tensor:
        """rgb: (N, 3, H, W) in 0..255. Returns x: (N, C, H, W), 0..255 with the mean subtracted."""
        if self.order == "BGR":
            rgb = rgb.flip(1)
        elif self.order == "grey":
            rgb = (rgb * self._column(LUMA, rgb)).sum(1, keepdim=True)
        return rgb - self._column(self.mean, rgb)

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """x: (N, C, H, W). Returns (N, H, W, 3) uint8 on x's device, clipped to what a screen can show."""
        shown = x.detach() + self._column([m + 0.5 for m in self.mean], x)
        shown = shown.clamp_(0, 255).to(torch.uint8)  # rounds, since it cuts off after the half was added
        n, _, h, w = shown.shape
        rgb = shown.new_empty(n, h, w, 3)
        for k, source in enumerate({"RGB": (0, 1, 2), "BGR": (2, 1, 0), "grey": (0, 0, 0)}[self.order]):
            rgb[..., k] = shown[:, source]
        return rgb

    def feed(self, x: torch.Tensor) -> torch.Tensor:
        """What the module itself is given: x / std."""
        return x if all(s == 1.0 for s in self.std) else x / self._column(self.std, x)


def _numbers(name: str, values: Sequence[float], count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not all(math.isfinite(v) for v in numbers):
        raise WeightsError(f"Pixels: {name} is {values!r}; expected {count} finite numbers in 0..255 units.")
    return numbers


def read_image(image) -> torch.Tensor:
    """One image as (3, H, W) float32 RGB in 0..255.

    image: a path, the bytes of a file, a PIL image, an array (H, W), (H, W, 1|3|4), or a tensor (C, H, W).
    Integers are taken as 0..255 (uint16 as 0..65535); floats as 0..1 if none exceeds 1, else 0..255.
    Transparent pixels are put on white. Raises ImageError.
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


def _open(source) -> Image.Image:
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
    """As the camera was held; unlike ImageOps.exif_transpose it does not fail on the other tags of a broken EXIF."""
    try:
        method = _UPRIGHT.get(picture.getexif().get(0x0112))
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


def seen_part(shape: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) of the largest centred part of a picture of `shape` with the aspect of `size`."""
    h, w = shape
    scale = max(size[0] / h, size[1] / w)
    rows, columns = min(h, max(1, round(size[0] / scale))), min(w, max(1, round(size[1] / scale)))
    top, left = (h - rows) // 2, (w - columns) // 2
    return top, left, top + rows, left + columns


def fit(rgb: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """The largest centred part of (3, H, W) with the aspect of `size`, resampled to it (bicubic, anti-aliased)."""
    if tuple(rgb.shape[-2:]) == tuple(size):
        return rgb
    top, left, bottom, right = seen_part(tuple(rgb.shape[-2:]), size)
    crop = rgb[None, :, top:bottom, left:right]
    return F.interpolate(crop, tuple(size), mode="bicubic", antialias=True, align_corners=False)[0].clamp_(0, 255)
