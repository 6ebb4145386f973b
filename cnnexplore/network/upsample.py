"""A layer's activations as maps, and maps at the size of the image, each value at the centre of its receptive field."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .layers import Layer


def upsample(maps: torch.Tensor, layer: Layer, size: tuple[int, int]) -> torch.Tensor:
    """Maps of a layer at the size of the image, interpolated bilinearly between the centres of receptive fields.

    Unlike resizing the map to the image, this keeps each value at the centre of the unit's receptive field.

    Parameters
    ----------
    maps : torch.Tensor
        (N, C, h, w) on the layer's grid.
    layer : Layer
        The layer.
    size : tuple of int
        (H, W) of the image.

    Returns
    -------
    torch.Tensor
        (N, C, H, W); constant outside the outermost centres.
    """
    axes = []
    for a in (0, 1):
        count = maps.shape[a + 2]
        pixel = torch.arange(size[a], device=maps.device, dtype=torch.float64)
        place = (pixel - layer.rf_offset[a]) / layer.rf_stride[a]
        axes.append((2 * place / (count - 1) - 1 if count > 1 else place * 0).to(maps.dtype))
    grid = torch.stack(torch.meshgrid(axes[1], axes[0], indexing="xy"), -1)
    grid = grid.expand(len(maps), *grid.shape)
    return F.grid_sample(maps, grid, "bilinear", "border", align_corners=True)


def as_maps(activations: torch.Tensor, layer: Layer) -> torch.Tensor:
    """A layer's activations as maps.

    Parameters
    ----------
    activations : torch.Tensor
        As the module computes them: (N, C, h, w), (N, h, w, C) or (N, C).
    layer : Layer
        The layer.

    Returns
    -------
    torch.Tensor
        (N, C, h, w); h = w = 1 where the layer has no map.
    """
    if activations.dim() == 4 and activations.shape[1] != layer.channels and activations.shape[3] == layer.channels:
        return activations.permute(0, 3, 1, 2)
    if activations.dim() == 4 and activations.shape[1] == layer.channels:
        return activations
    return activations.reshape(len(activations), -1, 1, 1)
