"""Decoded filters as pictures, whole or only where they are strong."""

from __future__ import annotations

import numpy as np
import torch

from ..errors import SettingError
from ..network import Pixels

PARTS = ("both", "positive", "negative")


def threshold(filters: torch.Tensor, share: float = 0.3, part: str = "both") -> torch.Tensor:
    """1 where a filter is strongly positive, -1 where it is strongly negative, 0 elsewhere (decoding2015, figure 4).

    filters: (K, C, h, w). share: how strong that is, as a part of the filter's largest magnitude, 0 to 1. part:
    "both", "positive" or "negative". Returns (K, C, h, w). Raises SettingError.
    """
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise SettingError(f"share is {share!r}; expected a number from 0 to 1, of the largest magnitude.")
    if part not in PARTS:
        raise SettingError(f"part is {part!r}; expected one of {', '.join(map(repr, PARTS))}.")
    strong = torch.where(filters.abs() >= share * _largest(filters), filters.sign(), 0.0)
    return {"both": strong, "positive": strong.clamp(min=0), "negative": strong.clamp(max=0)}[part]


def pictures(filters: torch.Tensor, pixels: Pixels) -> np.ndarray:
    """Filters as pictures: grey is 0, each filter's largest magnitude is black or white.

    filters: (K, C, h, w), channels as the network has them. Returns (K, h, w, 3) uint8, RGB.
    """
    shown = (127.5 * (1 + filters / _largest(filters))).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    shown = shown[..., ::-1] if pixels.order == "BGR" else shown
    return np.ascontiguousarray(np.broadcast_to(shown, (*shown.shape[:3], 3)))


def _largest(filters: torch.Tensor) -> torch.Tensor:
    return filters.abs().amax((1, 2, 3), keepdim=True).clamp(min=torch.finfo(filters.dtype).tiny)
