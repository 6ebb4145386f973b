"""Dense SIFT as a network, as VLFeat computes it: descriptors of 4 x 4 cells with 8 orientations, on a grid."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from ...errors import SettingError, brief_value
from ...network.pixels import LUMA
from .oriented_gradients import Cells, Clipped, check_input, checked_int, length, share

_SIDE = 4  # cells of a descriptor along each axis
_TINY = 2.0**-23


def dsift(cell: int = 8, step: int | None = None, orientations: int = 8, flat: bool = True, window: float = 2) -> Dsift:
    """Dense SIFT with cells of `cell` x `cell` pixels, a descriptor every `step` pixels (default: `cell`).

    flat: VLFeat's fast option, a Gaussian window of `window` cells over cells instead of pixels. The input is
    (N, 1 or 3, H, W) with at least 3 `cell` + 1 pixels a side, in any units. Raises SettingError.
    """
    cell = checked_int("cell", cell, 1)
    step = cell if step is None else checked_int("step", step, 1)
    if isinstance(window, bool) or not isinstance(window, (int, float)) or not 0 < window < math.inf:
        raise SettingError(f"window is {brief_value(window)}; expected a positive number of cells.")
    return Dsift(cell, step, checked_int("orientations", orientations, 2), bool(flat), float(window))


class Dsift(nn.Module):
    """(N, 1 or 3, H, W) -> (N, 16 T, h, w), one descriptor per grid point: h = (H - 1 - 3 cell) // step + 1.

    Channel t + T (column + 4 row) is direction t, at t 360 / T degrees from right to down, of the cell at that row and
    column. The centre of the descriptor at (0, 0) is 1.5 cells from the first pixel's. RGB is converted to grey (luma).
    """

    def __init__(self, cell: int, step: int, orientations: int, flat: bool, window: float):
        super().__init__()
        self.cell = cell
        stride = math.gcd(cell, step)
        self.gradient = Gradient()
        self.orientations = Orientations(orientations)
        triangle = 1 - torch.arange(1 - cell, cell, dtype=torch.float64).abs() / cell
        gaussian = _gaussian(cell, window)
        kernels = (triangle if flat else triangle * gaussian).expand(1 if flat else _SIDE, -1)
        kernels = (kernels[:, None, :, None] * kernels[None, :, None, :]).flatten(0, 1)
        self.cells = Cells(orientations, kernels, stride, cell - 1, "replicate")
        weights = gaussian.mean(1) if flat else torch.ones(_SIDE, dtype=torch.float64)
        self.blocks = Blocks(cell // stride, step // stride, len(kernels), weights)
        self.normalised = Normalised()
        self.clipped = Clipped()
        self.descriptor = SiftDescriptor()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        check_input(x, (_SIDE - 1) * self.cell + 1, f"dense SIFT with cells of {self.cell}")
        if x.shape[1] == 3:
            x = LUMA[0] * x[:, :1] + LUMA[1] * x[:, 1:2] + LUMA[2] * x[:, 2:]
        cells = self.cells(self.orientations(self.gradient(x)))
        return self.descriptor(self.clipped(self.normalised(self.blocks(cells))))


def _gaussian(cell: int, window: float) -> torch.Tensor:
    """The Gaussian window around the descriptor's centre at the pixels of each cell along an axis, (4, 2 cell - 1)."""
    pixel = torch.arange(1 - cell, cell, dtype=torch.float64)
    centre = (torch.arange(_SIDE, dtype=torch.float64) - (_SIDE - 1) / 2) * cell
    return torch.exp(-(((centre[:, None] + pixel) / (window * cell)) ** 2) / 2)


class Gradient(nn.Module):
    """(N, 1, H, W) -> (N, 2, H, W): central differences d/dx, d/dy, one-sided on the border."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows, columns = (_over_distance(side, x) for side in x.shape[-2:])
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        gx = (x[..., 1:-1, 2:] - x[..., 1:-1, :-2]) * columns
        gy = (x[..., 2:, 1:-1] - x[..., :-2, 1:-1]) * rows[:, None]
        return torch.cat([gx, gy], 1)


def _over_distance(side: int, like: torch.Tensor) -> torch.Tensor:
    """One over the distance of a pixel's two neighbours along a side: 2 pixels, at its ends 1."""
    inverse = torch.full((side,), 0.5, dtype=like.dtype, device=like.device)
    inverse[0] = inverse[-1] = 1
    return inverse


class Orientations(nn.Module):
    """(N, 2, H, W) -> (N, T, H, W): the gradient's norm, shared by the two nearest of T directions."""

    def __init__(self, orientations: int):
        super().__init__()
        self.orientations = orientations

    def forward(self, gradient: torch.Tensor) -> torch.Tensor:
        gx, gy = gradient[:, :1], gradient[:, 1:]
        position = _angle(gx, gy) * (self.orientations / (2 * math.pi))
        return share(position, length(gx * gx + gy * gy, 1e-8), self.orientations)


def _angle(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """VLFeat's arc tangent, in (-pi, pi]: a polynomial with an error of up to 0.006."""
    up = y < 0
    a = torch.where(up, -y, y) + _TINY
    right = x >= 0
    r = torch.where(right, x - a, x + a) / torch.where(right, x + a, a - x)
    angle = torch.where(right, math.pi / 4, 3 * math.pi / 4).to(x) + (0.1821 * r * r - 0.9675) * r
    return torch.where(up, -angle, angle)


class Blocks(nn.Module):
    """(N, T M, h, w) -> (N, 16 T, h', w'): the 4 x 4 cells of each descriptor as channels, weighted by its window.

    apart: distance of a descriptor's cells, in positions of the map; stride: of descriptors. M: 1, or 16 if there is a
    histogram for each position in a descriptor. weights: (4,), along each axis.
    """

    weights: torch.Tensor

    def __init__(self, apart: int, stride: int, variants: int, weights: torch.Tensor):
        super().__init__()
        self.apart, self.stride, self.variants = apart, stride, variants
        self.register_buffer("weights", (weights[:, None] * weights).flatten().float())

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        reach = (_SIDE - 1) * self.apart
        rows, columns = (side - reach for side in cells.shape[-2:])
        parts = []
        for k in range(_SIDE**2):
            y, x = (self.apart * position for position in divmod(k, _SIDE))
            here = cells[:, k % self.variants :: self.variants, y : y + rows, x : x + columns]
            parts.append(here[..., :: self.stride, :: self.stride] * self.weights[k])
        return torch.cat(parts, 1)


class Normalised(nn.Module):
    """(N, C, h, w), the same shape: each descriptor over its Euclidean norm; 0 stays 0."""

    def forward(self, blocks: torch.Tensor) -> torch.Tensor:
        return blocks / (length(blocks.square().sum(1, keepdim=True), 1e-8) + _TINY)


class SiftDescriptor(Normalised):
    """(N, C, h, w), the same shape: the clipped values normalised again, after which a value may exceed 0.2."""
