"""Oriented gradients: the parts that HOG and dense SIFT share (preimage2016, section 4.1)."""

from __future__ import annotations

import operator
from typing import Any, Literal

import torch
from torch import nn

from ...errors import ImageError, SettingError, brief_value
from ...network import Pixels

# Both are invariant to an added constant. Grey, centred on the middle of the range, B as for other networks.
PIXELS = Pixels("grey", (128.0,), (), 80.0)


def check_input(x: torch.Tensor, least: int, name: str) -> None:
    """Raise ImageError unless x is (N, 1 or 3, H, W) with at least `least` rows and columns."""
    if x.dim() != 4 or x.shape[1] not in (1, 3):
        raise ImageError(
            f"{name} was given an array of shape {'x'.join(map(str, x.shape))}; expected (N, 1, H, W) or (N, 3, H, W)."
        )
    if min(x.shape[-2:]) < least:
        rows, columns = x.shape[-2:]
        raise ImageError(
            f"an image of {rows} x {columns} pixels is too small for {name}; expected {least} x {least} or more."
        )


def checked_int(name: str, value: Any, low: int) -> int:
    """The value as an int. Raises SettingError unless it is a whole number of at least `low`."""
    try:
        number = low - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = low - 1
    if number < low:
        raise SettingError(f"{name} is {brief_value(value)}; expected a whole number, {low} or more.")
    return number


def length(square: torch.Tensor, least: float) -> torch.Tensor:
    """The square root; 0 with gradient 0 where the square is below `least`, which avoids NaN in flat areas."""
    flat = square < least
    return square.masked_fill(flat, 1).sqrt().masked_fill(flat, 0)


def share(position: torch.Tensor, votes: torch.Tensor, bins: int) -> torch.Tensor:
    """Votes (N, 1, H, W) split linearly between the two nearest of `bins` bins on a circle: (N, bins, H, W).

    position: (N, 1, H, W) in bins; any whole number of turns may be added.
    """
    below = position.detach().floor()
    rest = position - below
    first = below.long() % bins
    both = torch.cat([first, (first + 1) % bins], 1)
    return _maps(votes, bins).scatter(1, both, torch.cat([(1 - rest) * votes, rest * votes], 1))


def assign(position: torch.Tensor, votes: torch.Tensor, bins: int) -> torch.Tensor:
    """Votes (N, 1, H, W) assigned to the bin with index `position`: (N, bins, H, W)."""
    return _maps(votes, bins).scatter(1, position, votes)


def _maps(votes: torch.Tensor, bins: int) -> torch.Tensor:
    """An empty map for each bin."""
    return votes.new_zeros(votes.shape[0], bins, *votes.shape[2:])


class Cells(nn.Conv2d):
    """Orientation maps pooled into histograms: each map is filtered by the same kernels, with a stride.

    kernels: (M, k, k). (N, K, H, W) -> (N, K M, h, w), the M histograms of an orientation side by side. The convolution
    is depth-wise, so that GPUs compute it in full precision.
    """

    def __init__(
        self,
        maps: int,
        kernels: torch.Tensor,
        stride: int,
        padding: int = 0,
        padding_mode: Literal["zeros", "replicate"] = "zeros",
    ):
        side = kernels.shape[-1]
        super().__init__(
            maps, maps * len(kernels), side, stride, padding, groups=maps, bias=False, padding_mode=padding_mode
        )
        self.weight = nn.Parameter(kernels.float().repeat(maps, 1, 1)[:, None].contiguous(), False)


class Clipped(nn.Module):
    """Values clipped to 0.2, so that a few strong gradients do not dominate."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.clamp(max=0.2)
