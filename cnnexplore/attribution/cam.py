"""CAM: where a class's score comes from, exactly, in networks that end in global average pooling."""

from __future__ import annotations

import torch

from ..errors import LayerError
from ..network import Layer, as_maps, last_map_layer, upsample
from .gradients import Maps
from .subject import Subject


def at_layer(subject: Subject, layer: Layer) -> tuple[torch.Tensor, torch.Tensor]:
    """A layer's code and the derivative of each image's number with respect to it, both (N, C, h, w)."""
    kept = []

    def hold(code: torch.Tensor) -> torch.Tensor:
        kept.append(code.detach().requires_grad_())
        return kept[0].clone()  # what follows may work in place

    probe = subject.net.probe(layer.name, subject.layer.name)
    with torch.enable_grad():
        code = probe(subject.fed(), {layer.name: hold})[subject.layer.name]
        if subject.scores is None:
            subject.resolve(code)
        (slope,) = torch.autograd.grad(subject.of(code).sum(), kept[0], materialize_grads=True)
    return as_maps(kept[0].detach(), layer), as_maps(slope, layer)


def upsampled(maps: torch.Tensor, layer: Layer, subject: Subject) -> torch.Tensor:
    """(N, h, w) at the image's size."""
    return upsample(maps[:, None], layer, subject.x.shape[-2:])[:, 0]


def cam(subject: Subject) -> Maps:
    """Each position's share of the class score: the last map's channels weighed by the class, exact.

    The raw map's mean plus the class's bias is the score. Raises LayerError for a network that does not end in
    global average pooling and a linear classifier.
    Source: Zhou et al., Learning deep features for discriminative localization, 2016, equations 1 and 2.
    """
    net = subject.net
    layer = last_map_layer(net, subject.layer, "CAM")
    code, slope = at_layer(subject, layer)
    weights = slope.mean((2, 3), keepdim=True)
    even = bool(((slope - weights).abs() <= 1e-4 * slope.abs().amax()).all())
    if not even or not _linear(subject, layer, slope):
        raise LayerError(
            f"CAM needs a network that ends in global average pooling and a linear classifier, and {net.name} does "
            f"not between {layer.name} and {subject.layer.name}; use method='gradcam'."
        )
    share = (weights * code).sum(1) * code.shape[2] * code.shape[3]
    return share[:, None], upsampled(share, layer, subject)


def _linear(subject: Subject, layer: Layer, slope: torch.Tensor) -> bool:
    """Whether the number changes by the slope for any map, however far from this one."""
    probe = subject.net.probe(layer.name, subject.layer.name)
    far = 1000 * torch.randn(slope.shape, generator=torch.Generator().manual_seed(0)).to(slope)
    with torch.no_grad():
        there, back, middle = (
            subject.of(probe(subject.fed(), {layer.name: lambda code, z=z: _laid_out(z, code)})[subject.layer.name])
            for z in (far, -far, torch.zeros_like(far))
        )
    expected, scale = (slope * far).sum((1, 2, 3)), (slope * far).abs().sum((1, 2, 3)) + 1e-12
    return all(bool(((step - expected).abs() <= 1e-4 * scale).all()) for step in (there - middle, middle - back))


def _laid_out(maps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Maps (N, C, h, w) in the layout of a code, whose channels may be the last axis."""
    return maps.clone() if maps.shape == like.shape else maps.permute(0, 2, 3, 1).reshape(like.shape)
