"""A layer's code as maps, and maps back at the pixels: each unit's value at the place that the unit looks at."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .layers import Layer


def upsample(maps: torch.Tensor, layer: Layer, size: tuple[int, int]) -> torch.Tensor:
    """Maps of a layer at the image's size, by bilinear interpolation between the centres of receptive fields.

    maps: (N, C, h, w) on the layer's grid; size: (H, W) of the image. Returns (N, C, H, W); outside the outermost
    centres the value stays. Unlike stretching the map to the image, this puts a unit's value where the unit looks.
    """
    axes = []
    for a in (0, 1):
        count = maps.shape[a + 2]
        place = (torch.arange(size[a], device=maps.device, dtype=torch.float64) - layer.rf_offset[a]) / layer.rf_stride[
            a
        ]
        axes.append((2 * place / (count - 1) - 1 if count > 1 else place * 0).to(maps.dtype))
    grid = torch.stack(torch.meshgrid(axes[1], axes[0], indexing="xy"), -1)
    grid = grid.expand(len(maps), *grid.shape)
    return F.grid_sample(maps, grid, "bilinear", "border", align_corners=True)


def as_maps(code: torch.Tensor, layer: Layer) -> torch.Tensor:
    """A layer's code as (N, C, h, w), whatever its layout; h = w = 1 where it has no map."""
    if code.dim() == 4 and code.shape[1] != layer.channels and code.shape[3] == layer.channels:
        return code.permute(0, 3, 1, 2)
    return code if code.dim() == 4 and code.shape[1] == layer.channels else code.reshape(len(code), -1, 1, 1)
