"""Pixels: a network's pixel convention - channel order, mean and std - and the way from RGB to x and back."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..errors import WeightsError

_ORDERS = {"RGB": 3, "BGR": 3, "grey": 1}
LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's convert("L")
_USUAL_MEAN = {"RGB": (123.675, 116.28, 103.53), "BGR": (103.53, 116.28, 123.675), "grey": (128.0,)}


@dataclass(frozen=True)
class Pixels:
    """A network's pixel convention: x = channels in `order`, in 0..255, minus `mean`; the module is given x / `std`.

    Parameters
    ----------
    order : {"RGB", "BGR", "grey"}
        The channels, and their order.
    mean : tuple of float, optional
        One value per channel, in that order, in 0..255 units; by default ImageNet's.
    std : tuple of float, optional
        One value per channel, in that order, in 0..255 units; by default 1.
    norm : float, optional
        B, the typical length of a pixel of x; by default 80 for three channels, as in preimage2016, section 3.3.

    Raises
    ------
    WeightsError
        If a value is missing, not finite or, of `std` and `norm`, not positive.

    Examples
    --------
    >>> cx.Pixels("BGR", mean=(104, 117, 123)).std
    (1.0, 1.0, 1.0)
    """

    order: str = "RGB"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    norm: float = 0.0

    def __post_init__(self) -> None:
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
        """C, the number of channels: 3, or 1 of grey."""
        return _ORDERS[self.order]

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
        try:
            d = json.loads(text)
            return cls(d["order"], tuple(d["mean"]), tuple(d.get("std", ())), d.get("norm", 0.0))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, WeightsError):
                raise
            raise WeightsError(f"pixels metadata is {text[:80]!r}; expected JSON with order, mean and std.") from error

    def to_json(self) -> str:
        """JSON for a weights file."""
        return json.dumps({"order": self.order, "mean": self.mean, "std": self.std, "norm": self.norm})

    def _column(self, values: Sequence[float], like: torch.Tensor) -> torch.Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device).view(1, -1, 1, 1)

    def encode(self, rgb: torch.Tensor) -> torch.Tensor:
        """x of RGB images.

        Parameters
        ----------
        rgb : torch.Tensor
            (N, 3, H, W) in 0..255.

        Returns
        -------
        torch.Tensor
            (N, C, H, W), 0..255 with the mean subtracted.
        """
        if self.order == "BGR":
            rgb = rgb.flip(1)
        elif self.order == "grey":
            rgb = (rgb * self._column(LUMA, rgb)).sum(1, keepdim=True)
        return rgb - self._column(self.mean, rgb)

    def decode(self, x: torch.Tensor) -> torch.Tensor:
        """Pictures of x, clipped to 0..255.

        Parameters
        ----------
        x : torch.Tensor
            (N, C, H, W), 0..255 with the mean subtracted.

        Returns
        -------
        torch.Tensor
            (N, H, W, 3) uint8 RGB, on x's device.
        """
        shown = x.detach() + self._column([m + 0.5 for m in self.mean], x)
        shown = shown.clamp_(0, 255).to(torch.uint8)  # rounds: the conversion truncates, and 0.5 was added
        n, _, h, w = shown.shape
        rgb = shown.new_empty(n, h, w, 3)
        for k, source in enumerate({"RGB": (0, 1, 2), "BGR": (2, 1, 0), "grey": (0, 0, 0)}[self.order]):
            rgb[..., k] = shown[:, source]
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
        return x if all(s == 1.0 for s in self.std) else x / self._column(self.std, x)


def _numbers(name: str, values: Sequence[float], count: int) -> tuple[float, ...]:
    try:
        numbers = tuple(float(v) for v in values)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or not all(math.isfinite(v) for v in numbers):
        raise WeightsError(f"Pixels: {name} is {values!r}; expected {count} finite numbers in 0..255 units.")
    return numbers
