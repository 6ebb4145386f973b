"""A layer's activations as maps, and maps at the size of the image, each value at the centre of its receptive field."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import LayerError
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
        order, place = places_between_centres(layer, a, count, np.arange(size[a]))
        if (np.diff(order) != 1).any():
            maps = maps.index_select(a + 2, torch.as_tensor(order, device=maps.device))
        axes.append(torch.as_tensor(2 * place / max(count - 1, 1) - (count > 1)).to(maps))
    grid = torch.stack(torch.meshgrid(axes[1], axes[0], indexing="xy"), -1)
    grid = grid.expand(len(maps), *grid.shape)
    return F.grid_sample(maps, grid, "bilinear", "border", align_corners=True)


def places_between_centres(layer: Layer, axis: int, count: int, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where pixels lie between the centres of a layer's receptive fields, along one axis.

    Parameters
    ----------
    layer : Layer
        The layer.
    axis : int
        0 for rows, 1 for columns.
    count : int
        How many rows or columns the map has.
    pixels : np.ndarray
        (P,) rows or columns of the image; 0 is the centre of the first pixel.

    Returns
    -------
    order : np.ndarray
        (count,) int, the rows or columns of the map in the order of their centres.
    places : np.ndarray
        (P,) float64, 0 to count - 1: 2.25 is a quarter of the way from the third to the fourth centre in that order.
        Pixels outside the outermost centres are at these.
    """
    centres = layer.centres(axis, count)
    order = np.argsort(centres, kind="stable")
    return order, np.interp(pixels, centres[order], np.arange(count))


def as_maps(activations: torch.Tensor, layer: Layer) -> torch.Tensor:
    """A layer's activations as maps.

    Parameters
    ----------
    activations : torch.Tensor
        As a `Probe` gives them: (N, ...), such as (N, C, h, w), (N, h, w, C), (N, tokens, C) or (N, K).
    layer : Layer
        The layer.

    Returns
    -------
    torch.Tensor
        (N, C, h, w); h = w = 1 where the layer has no map.

    Raises
    ------
    LayerError
        If the activations do not have the layer's layout.
    """
    try:
        return layer.layout.maps(activations)
    except (RuntimeError, IndexError) as error:
        raise _unlike(layer, activations.shape) from error


def from_maps(maps: torch.Tensor, layer: Layer, shape: Sequence[int]) -> torch.Tensor:
    """Maps as a layer's activations: the inverse of `as_maps`.

    Parameters
    ----------
    maps : torch.Tensor
        (N, C, h, w).
    layer : Layer
        The layer.
    shape : sequence of int
        The shape of one image's activations, without the first axis.

    Returns
    -------
    torch.Tensor
        (N, *shape); tokens without a position, such as the class token, are zero.

    Raises
    ------
    LayerError
        If activations of that shape do not have the layer's layout.
    """
    try:
        return layer.layout.activations(maps, shape)
    except (RuntimeError, IndexError) as error:
        raise _unlike(layer, (len(maps), *shape)) from error


def _unlike(layer: Layer, shape: Sequence[int]) -> LayerError:
    rows, columns = layer.size
    return LayerError(
        f"activations of {' x '.join(map(str, shape))} do not have the layout of {layer.name}, a map of {rows} x "
        f"{columns} with {layer.channels} units; give images of the network's own size."
    )
