"""CAM: where a class's score comes from, exactly, in networks that end in global average pooling."""

from __future__ import annotations

from functools import partial

import torch

from ..errors import LayerError
from ..network import Layer, from_maps, upsample
from .last_map import last_map
from .method import AttributionMethod, Maps
from .target import Target


def at_image_size(maps: torch.Tensor, layer: Layer, target: Target) -> torch.Tensor:
    """Maps (N, h, w) on a layer's grid, at the image's size."""
    rows, columns = target.x.shape[-2:]
    return upsample(maps[:, None], layer, (rows, columns))[:, 0]


def cam(target: Target) -> Maps:
    """The last map's channels weighted by the class: each position's share of the score, exact.

    The mean of the raw map plus the class's bias is the score.

    References
    ----------
    Zhou et al., Learning deep features for discriminative localization, 2016, equations 1 and 2.
    """
    net = target.net
    layer, activations, slope = last_map(target, "CAM")
    weights = slope.mean((2, 3), keepdim=True)
    even = bool(((slope - weights).abs() <= _rounding(slope) * slope.abs().amax()).all())
    if not even or not _is_linear(target, layer, slope):
        raise LayerError(
            f"CAM needs a network that ends in global average pooling and a linear classifier, and {net.name} does "
            f"not between {layer.name} and {target.layer.name}; use method='gradcam'."
        )
    share = (weights * activations).sum(1) * activations.shape[2] * activations.shape[3]
    bias = target.evaluate().double() - share.double().mean((1, 2))
    return Maps(share[:, None], at_image_size(share, layer, target), bias)


def _is_linear(target: Target, layer: Layer, slope: torch.Tensor) -> bool:
    """Whether the response changes by the slope for any map, however far from this one."""
    probe = target.net.probe(layer.name, target.layer.name)
    far = 1000 * torch.randn(slope.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float32).to(slope)
    fed = target.net.feed(target.x)
    with torch.no_grad():
        there, back, middle = (
            target.response(probe(fed, {layer.name: partial(_laid_out, maps, layer)})[target.layer.name])
            for maps in (far, -far, torch.zeros_like(far))
        )
    expected, scale = (slope * far).sum((1, 2, 3)), (slope * far).abs().sum((1, 2, 3)) + 1e-12
    steps = (there - middle, middle - back)
    return all(bool(((step - expected).abs() <= _rounding(slope) * scale).all()) for step in steps)


def _rounding(values: torch.Tensor) -> float:
    """How far equal numbers may lie apart, relative to the largest."""
    return max(1e-4, 16 * torch.finfo(values.dtype).eps)


def _laid_out(maps: torch.Tensor, layer: Layer, like: torch.Tensor) -> torch.Tensor:
    """Maps (N, C, h, w) in the layout of a layer's activations."""
    return from_maps(maps, layer, like.shape[1:]).clone()


CAM = AttributionMethod(
    "cam",
    cam,
    "Each position's share of the class score: the last map's channels weighted by the class, exact",
    signed=True,
)
