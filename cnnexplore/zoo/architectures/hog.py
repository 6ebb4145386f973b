"""HOG as a network: histograms of oriented gradients as VLFeat computes them (the UoCTTI variant of DPM 5)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from .oriented_gradients import Cells, Clipped, assign, check_input, checked_int, length, share


def hog(cell: int = 8, orientations: int = 9, bilinear: bool = False) -> Hog:
    """HOG with cells of `cell` x `cell` pixels and K = `orientations` undirected orientations, as a network.

    bilinear: a gradient votes for the two nearest directions instead of one. The input is (N, 1 or 3, H, W) of any size
    above half a cell, in any units (VLFeat's constants suit 0..255). Raises SettingError.
    """
    return Hog(checked_int("cell", cell, 1), checked_int("orientations", orientations, 2), bool(bilinear))


class Hog(nn.Module):
    """(N, 1 or 3, H, W) -> (N, 3 K + 4, h, w), one descriptor per cell: h = (H + cell // 2) // cell.

    Channels: 2 K directed orientations, K undirected ones, and the texture in the four blocks around the cell
    (top left, top right, bottom left, bottom right). Orientation k points at k 180 / K degrees, from right to down.
    """

    def __init__(self, cell: int, orientations: int, bilinear: bool):
        super().__init__()
        self.cell = cell
        self.gradient = Gradient()
        self.orientations = Orientations(orientations, bilinear)
        self.cells = Cells(2 * orientations, _bilinear_kernel(cell)[None], cell)
        self.blocks = Blocks()
        self.normalised = Normalised()
        self.clipped = Clipped()
        self.descriptor = HogDescriptor()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        half = self.cell // 2
        check_input(x, max(3, self.cell - half), f"HOG with cells of {self.cell}")
        maps = self.orientations(self.gradient(x))
        # after the last full cell, a rest of at least half a cell is one more cell; a smaller one votes for the last
        after = [(side + half) // self.cell * self.cell + half + 1 - side for side in x.shape[-2:]]
        cells = self.cells(F.pad(maps, (half + 1, after[1], half + 1, after[0])))
        return self.descriptor(self.clipped(self.normalised(self.blocks(cells))))


def _bilinear_kernel(cell: int) -> torch.Tensor:
    """The weight of each pixel around a cell: 1 at its centre, 0 at the centres of its neighbours."""
    pixel = torch.arange(-(cell // 2), cell + cell // 2, dtype=torch.float64)
    weight = 1 - ((pixel + 0.5) / cell - 0.5).abs()
    return weight[:, None] * weight


class Gradient(nn.Module):
    """(N, C, H, W) -> (N, 2, H - 2, W - 2): the central differences d/dx, d/dy, not halved, of the strongest channel.

    This convolution is computed as differences of shifted images, which are exact, so that ties are broken alike on
    every machine.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gx = x[..., 1:-1, 2:] - x[..., 1:-1, :-2]
        gy = x[..., 2:, 1:-1] - x[..., :-2, 1:-1]
        if x.shape[1] > 1:
            strongest = (gx * gx + gy * gy).max(1, keepdim=True).indices  # the first of equal ones
            gx, gy = gx.gather(1, strongest), gy.gather(1, strongest)
        return torch.cat([gx, gy], 1)


class Orientations(nn.Module):
    """(N, 2, H, W) -> (N, 2 K, H, W): the gradient's norm, in the map of the nearest direction or shared by two."""

    directions: torch.Tensor

    def __init__(self, orientations: int, bilinear: bool):
        super().__init__()
        self.bilinear = bilinear
        angle = torch.arange(orientations, dtype=torch.float64) * (math.pi / orientations)
        self.register_buffer("directions", torch.stack([angle.cos(), angle.sin()]).float())

    def forward(self, gradient: torch.Tensor) -> torch.Tensor:
        count = self.directions.shape[1]
        gx, gy = gradient[:, :1], gradient[:, 1:]
        square = gx * gx + gy * gy
        votes = length(square, 1e-20)
        if self.bilinear:
            angle = torch.atan2(gy, gx.masked_fill(square < 1e-20, 1))
            return share(angle * (count / math.pi), votes, 2 * count)
        with torch.no_grad():
            cosine, sine = self.directions.view(2, 1, -1, 1, 1)
            scores = gx * cosine + gy * sine
            nearest = scores.abs().max(1, keepdim=True).indices  # the first of equal ones: straight down is 80 degrees
            nearest += count * (scores.gather(1, nearest) < 0)
        return assign(nearest, votes, 2 * count)


class Blocks(nn.Module):
    """(N, 2 K, h, w) -> (N, 12 K, h + 1, w + 1): blocks of 2 x 2 cells; the cells at the border are repeated.

    Per cell of a block (top left, top right, bottom left, bottom right): 2 K directed and K undirected orientations.
    """

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        count = cells.shape[1] // 2
        both = torch.cat([cells, cells[:, :count] + cells[:, count:]], 1)
        both = F.pad(both, (1, 1, 1, 1), mode="replicate")
        up, down = both[..., :-1, :], both[..., 1:, :]
        return torch.cat([up[..., :-1], up[..., 1:], down[..., :-1], down[..., 1:]], 1)


class Normalised(nn.Module):
    """(N, 12 K, h, w), the same shape: each block over the Euclidean norm of its undirected orientations."""

    def forward(self, blocks: torch.Tensor) -> torch.Tensor:
        cells = blocks.unflatten(1, (4, 3, -1))
        square = cells[:, :, 2].square().sum((1, 2))
        return blocks * (square + 1e-4).rsqrt()[:, None]


class HogDescriptor(nn.Module):
    """(N, 12 K, h + 1, w + 1) -> (N, 3 K + 4, h, w): the descriptor of each cell from its four blocks.

    It is half the sum over the blocks, and per block the sum of the undirected orientations over the square root of 18.
    """

    def forward(self, blocks: torch.Tensor) -> torch.Tensor:
        top_left, top_right, bottom_left, bottom_right = blocks.chunk(4, 1)
        around = [
            bottom_right[..., :-1, :-1],  # the cell is at the bottom right of the block to its top left
            bottom_left[..., :-1, 1:],
            top_right[..., 1:, :-1],
            top_left[..., 1:, 1:],
        ]
        count = around[0].shape[1] // 3
        textures = [block[:, 2 * count :].sum(1, keepdim=True) / math.sqrt(18) for block in around]
        return torch.cat([0.5 * (around[0] + around[1] + around[2] + around[3]), *textures], 1)
