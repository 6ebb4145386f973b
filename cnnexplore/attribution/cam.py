"""CAM: where a class's score comes from, exactly, in networks that end in global average pooling."""

from __future__ import annotations

import torch

from ..errors import LayerError
from ..network import Layer, Network, spread
from .gradients import Maps
from .subject import Subject, mapped


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
    return kept[0].detach(), slope


def last_map(net: Network, before: Layer, what: str) -> Layer:
    """The deepest layer with a map, no deeper than a given one. Raises LayerError if there is none."""
    names = list(net.layers)[: net.layers.depth(before) + 1]
    maps = [net.layers[name] for name in names if min(net.layers[name].size) > 1]
    if before in maps:
        maps.remove(before)
    if not maps:
        raise LayerError(f"{what} needs a layer with a map below {before.name}, and {net.name} has none.")
    return maps[-1]


def upsampled(maps: torch.Tensor, layer: Layer, subject: Subject) -> torch.Tensor:
    """(N, h, w) at the image's size."""
    return spread(maps[:, None], layer, subject.x.shape[-2:])[:, 0]


def cam(subject: Subject) -> Maps:
    """Each position's share of the class score: the last map's channels weighed by the class, exact.

    The raw map's mean plus `rest`, the class's bias, is the score. Raises LayerError for a network that does not end in
    global average pooling and a linear classifier.
    Source: Zhou et al., Learning deep features for discriminative localization, 2016, equations 1 and 2.
    """
    net = subject.net
    layer = mapped(last_map(net, subject.layer, "CAM"), "CAM")
    code, slope = at_layer(subject, layer)
    weights = slope.mean((2, 3), keepdim=True)
    # the score is linear in the channels' means: the same slope at every place, and of a map of ones as of this one
    probe = net.probe(layer.name, subject.layer.name)
    with torch.no_grad():
        ones = probe(subject.fed(), {layer.name: torch.ones_like})[subject.layer.name]
        none = probe(subject.fed(), {layer.name: torch.zeros_like})[subject.layer.name]
        step = subject.of(ones) - subject.of(none)
    expected = slope.sum((1, 2, 3))
    scale = slope.abs().sum((1, 2, 3)) + 1e-12
    even = bool(((slope - weights).abs() <= 1e-4 * slope.abs().amax()).all())
    if not even or not bool(((step - expected).abs() <= 1e-3 * scale).all()):
        raise LayerError(
            f"CAM needs a network that ends in global average pooling and a linear classifier, and {net.name} does "
            f"not between {layer.name} and {subject.layer.name}; use method='gradcam'."
        )
    share = (weights * code).sum(1) * code.shape[2] * code.shape[3]
    return share[:, None], upsampled(share, layer, subject)
