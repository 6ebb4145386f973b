"""Pixels: a network's pixel convention - channel order, mean and std - and the way from RGB to x and back."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..arguments import plain_number
from ..drawing import channel_grid
from ..errors import ImageError, WeightsError, brief_value
from .images import read_image

_ORDERS = {"RGB": 3, "BGR": 3, "grey": 1, "channels": None}  # None: as many as there are means
_MOST_CHANNELS = 1024
_LARGEST = 1e6  # of a mean, a std or a norm; values beyond it overflow in half precision or are a unit mistaken
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's convert("L")
_MIDDLE = 128.0  # the mean of a channel of which nothing is known
_USUAL_MEAN = {"RGB": (123.675, 116.28, 103.53), "BGR": (103.53, 116.28, 123.675), "grey": (_MIDDLE,)}


@dataclass(frozen=True)
class Pixels:
    """A network's pixel convention: x = channels in `order`, in 0..255, minus `mean`; the module is given x / `std`.

    Parameters
    ----------
    order : {"RGB", "BGR", "grey", "channels"}
        The channels, and their order. "channels": any number of channels that are no colours, such as those of a
        multispectral camera; an image is then an array (H, W, C) or a tensor (C, H, W), drawn channel by channel.
    mean : tuple of float, optional
        One value per channel, in that order, in 0..255 units; by default ImageNet's. "channels" needs it, because it
        says how many there are.
    std : tuple of float, optional
        One value per channel, in that order, in 0..255 units; by default 1.
    norm : float, optional
        B, the typical length of a pixel of x; by default 80 for three channels, as in preimage2016, section 3.3.

    Raises
    ------
    WeightsError
        If a value is missing, not finite, far outside 0..255 or, of `std` and `norm`, not positive.

    Examples
    --------
    >>> cx.Pixels("BGR", mean=(104, 117, 123)).std
    (1.0, 1.0, 1.0)
    >>> cx.Pixels("channels", mean=[90.0] * 16).channels
    16
    """

    order: str = "RGB"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    norm: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.order, str) or self.order not in _ORDERS:
            raise WeightsError(
                f"Pixels: order is {brief_value(self.order)}; expected one of {', '.join(map(repr, _ORDERS))}."
            )
        channels, mean = _ORDERS[self.order], self.mean
        if channels is None:
            channels = _length(mean)
            if not 1 <= channels <= _MOST_CHANNELS:
                raise WeightsError(
                    f"Pixels: order 'channels' has {channels} means; expected one for each channel, 1 to "
                    f"{_MOST_CHANNELS}, such as mean=(128.0,) * 16."
                )
        elif _length(mean) == 0:
            mean = _USUAL_MEAN[self.order]
        object.__setattr__(self, "mean", _numbers("mean", mean, channels))
        object.__setattr__(self, "std", _numbers("std", self.std if _length(self.std) else (1.0,) * channels, channels))
        (norm,) = _numbers("norm", [self.norm], 1)
        object.__setattr__(self, "norm", norm or 80.0 * math.sqrt(channels / 3))
        if min(self.std) < 1 / _LARGEST or self.norm < 1 / _LARGEST:
            raise WeightsError(
                f"Pixels: std is {_few(self.std)} and norm {self.norm:g}; expected positive values in 0..255 units."
            )

    @classmethod
    def for_channels(cls, channels: int) -> Pixels:
        """The convention of a network of which only the number of channels is known.

        Parameters
        ----------
        channels : int
            1 (grey), 3 (RGB) or another number, with a mean of 128 each.

        Returns
        -------
        Pixels
            The convention.

        Raises
        ------
        WeightsError
            If the number is not 1 to 1024.
        """
        return {1: cls("grey"), 3: cls()}.get(channels) or cls("channels", (_MIDDLE,) * channels)

    @property
    def channels(self) -> int:
        """C, the number of channels: 3, 1 of grey, or as many as there are means."""
        return len(self.mean)

    @property
    def image_channels(self) -> int:
        """The channels of the images that `encode` takes: 3 (RGB), or C where the channels are no colours."""
        return self.channels if self.order == "channels" else 3

    def __str__(self) -> str:
        """What the channels are, in a word or two: "RGB", "16 channels"."""
        return f"{self.channels} channels" if self.order == "channels" else self.order

    @classmethod
    def from_json(cls, text: str) -> Pixels:
        """The convention that a weights file holds.

        Parameters
        ----------
        text : str
            JSON with order, mean and, optionally, std and norm.

        Raises
        ------
        WeightsError
            If the text is none.
        """
        if not isinstance(text, str):
            raise WeightsError(f"pixels metadata is {brief_value(text)}; expected JSON with order, mean and std.")
        try:
            d = json.loads(text)
            return cls(d["order"], tuple(d["mean"]), tuple(d.get("std", ())), d.get("norm", 0.0))
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError(
                f"pixels metadata is {brief_value(text)}; expected JSON with order, mean and std."
            ) from error

    def to_json(self) -> str:
        """JSON for a weights file."""
        return json.dumps({"order": self.order, "mean": self.mean, "std": self.std, "norm": self.norm})

    @staticmethod
    def _check(name: str, value: Any, channels: int) -> None:
        """Raise ImageError unless a value is images (N, channels, H, W) of floating point numbers."""
        fits = isinstance(value, torch.Tensor) and value.dim() == 4 and value.shape[1] == channels
        if not fits or not value.is_floating_point() or value.layout != torch.strided:
            raise ImageError(
                f"{name} is {brief_value(value)}; expected a tensor of N x {channels} x H x W floating point numbers."
            )

    def _column(self, values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
        return _column(tuple(values), like.dtype, like.device)

    def read(self, image: Any) -> torch.Tensor:
        """An image as `encode` takes it.

        Parameters
        ----------
        image : str, path, bytes, PIL.Image.Image, np.ndarray or torch.Tensor
            What `read_image` takes.

        Returns
        -------
        torch.Tensor
            (3, H, W) float32 RGB in 0..255, or (C, H, W) where the channels are no colours.

        Raises
        ------
        ImageError
            If it is no image that can be read, or has another number of channels.
        """
        return read_image(image, self.channels if self.order == "channels" else None)

    def encode(self, rgb: torch.Tensor) -> torch.Tensor:
        """x of images.

        Parameters
        ----------
        rgb : torch.Tensor
            (N, 3, H, W) RGB in 0..255, or (N, C, H, W) where the channels are no colours.

        Returns
        -------
        torch.Tensor
            (N, C, H, W), 0..255 with the mean subtracted.
        """
        self._check("rgb", rgb, self.image_channels)
        if self.order == "BGR":
            rgb = rgb.flip(1)
        elif self.order == "grey":
            rgb = (rgb * self._column(LUMA, rgb)).sum(1, keepdim=True)
        return rgb - self._column(self.mean, rgb)

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures of x, clipped to 0..255.

        One channel is drawn in grey, three as red, green and blue. Of any other number each channel is drawn in grey,
        side by side: as many rows and columns of pictures as `channel_grid` says, white where none is left.

        Parameters
        ----------
        x : torch.Tensor
            (N, C, H, W), 0..255 with the mean subtracted.

        Returns
        -------
        torch.Tensor
            (N, H, W, 3) uint8 RGB, on x's device; (N, rows x H, columns x W, 3) of side by side pictures.
        """
        self._check("x", x, self.channels)
        shown = x.detach() + self._column([m + 0.5 for m in self.mean], x)
        shown = shown.clamp_(0, 255).to(torch.uint8)  # rounds: the conversion truncates, and 0.5 was added
        n, channels, h, w = shown.shape
        rows, columns = channel_grid(channels)
        if rows * columns > 1:
            blank = shown.new_full((n, rows * columns - channels, h, w), 255)
            shown = torch.cat([shown, blank], 1).view(n, rows, columns, h, w).permute(0, 1, 3, 2, 4)
            shown = shown.reshape(n, 1, rows * h, columns * w)
        rgb = shown.new_empty(n, *shown.shape[-2:], 3)
        last = shown.shape[1] - 1
        for k, source in enumerate((2, 1, 0) if self.order == "BGR" else (0, 1, 2)):
            rgb[..., k] = shown[:, min(source, last)]
        return rgb

    def feed(self, x: torch.Tensor) -> torch.Tensor:
        """The module's input of x: x / std.

        Parameters
        ----------
        x : torch.Tensor
            (N, C, H, W).

        Returns
        -------
        torch.Tensor
            (N, C, H, W); x itself where all std are 1.
        """
        self._check("x", x, self.channels)
        return x if all(s == 1.0 for s in self.std) else x / self._column(self.std, x)


_COLUMNS: dict[tuple, torch.Tensor] = {}


def _column(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Numbers as (1, C, 1, 1), kept on the device: to send them anew would wait for a GPU. Not to be written to."""
    key = (values, dtype, device)
    if key not in _COLUMNS:
        with torch.inference_mode(False):
            made = torch.tensor(values, dtype=dtype, device=device).view(1, -1, 1, 1)
        if type(made) is not torch.Tensor or len(_COLUMNS) >= _MOST_COLUMNS:  # a mode is traced
            return made
        _COLUMNS[key] = made
    return _COLUMNS[key]


_MOST_COLUMNS = 1000


def _length(values: Any) -> int:
    try:
        return -1 if isinstance(values, (str, bytes, dict, set)) else len(values)
    except Exception:  # not a list; or the user's own type
        return -1


def _few(values: Sequence[float]) -> str:
    shown = ", ".join(f"{v:g}" for v in values[:4])
    return f"({shown}{', ...' if len(values) > 4 else ''})"


def _numbers(name: str, values: Any, count: int) -> tuple[float, ...]:
    try:
        found = [plain_number(v) for v in values] if 0 <= _length(values) <= _MOST_CHANNELS else []
        numbers = () if None in found else tuple(float(v) for v in found if v is not None)
    except Exception:  # a number beyond all floats; or the user's own type
        numbers = ()
    if len(numbers) != count or not all(abs(v) <= _LARGEST for v in numbers):
        shown = _few(numbers) if len(numbers) > 4 else brief_value(values)
        raise WeightsError(f"Pixels: {name} is {shown}; expected {count} finite numbers in 0..255 units.")
    return numbers
