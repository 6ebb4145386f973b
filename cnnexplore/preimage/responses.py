"""How strongly units respond to the bundled images: what a response is measured by (M of preimage2016, section 4.2)."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import torch

from ..data import bundled_images
from ..network import Network

_KEPT: weakref.WeakKeyDictionary[Network, dict] = weakref.WeakKeyDictionary()
_BATCH = 16
_LIKED = 8  # images that a pathway is measured by


def largest_responses(net: Network, layer: str, images=None) -> torch.Tensor:
    """What each of a layer's units is measured by: `best_responses`, or the layer's usual one for a silent unit, (C,).

    A unit that responds less than half of its layer's units do gets their median, so that a unit which none of the
    images excites still has a scale.
    """
    return _heard(best_responses(net, layer, images))


def _heard(best: torch.Tensor) -> torch.Tensor:
    alive = best[best > 0]
    usual = alive.median() if len(alive) else torch.ones((), device=best.device)
    return torch.maximum(best, usual)


def best_responses(net: Network, layer: str, images=None) -> torch.Tensor:
    """The largest response of each of a layer's units to some images, over all positions: (C,).

    images: a list of whatever `Network.pixels_of` takes (default: the bundled ones, and the answer is kept for as long
    as the weights stay as they are).
    """
    if images is not None:
        return _responses(net, layer, list(images)).amax(0)
    kept, key = _KEPT.setdefault(net, {}), ("best", *_key(net, layer))
    if key not in kept:
        kept[key] = _bundled_responses(net, layer).amax(0)
    return kept[key]


def response_through(net: Network, layer: str, unit: int, way: Callable, images=None) -> float:
    """What a unit is measured by through a pathway: its largest response, at least a tenth of that without one.

    way: gives the context of one pass. images: as for `best_responses`; only those are passed through again to which
    the unit responds most.
    """
    chosen = bundled_images(net) if images is None else list(images)
    rows = _bundled_responses(net, layer) if images is None else _responses(net, layer, chosen)
    which = rows[:, unit].argsort(descending=True, stable=True)[:_LIKED].tolist()
    probe, fed = net.probe(layer), net.feed(net.pixels_of([chosen[k] for k in which]))
    with torch.no_grad(), way():
        code = probe(fed)[net.layers[layer].name].float()
    return max(float(code[:, unit].amax()), float(_heard(rows.amax(0))[unit]) / 10)


def _bundled_responses(net: Network, layer: str) -> torch.Tensor:
    """The responses to the bundled images, kept, (n, C)."""
    kept, key = _KEPT.setdefault(net, {}), _key(net, layer)
    if key not in kept:
        kept[key] = _responses(net, layer, bundled_images(net))
    return kept[key]


def _key(net: Network, layer: str) -> tuple:
    return net.layers[layer].name, sum(p._version for p in net.module.parameters())


def _responses(net: Network, layer: str, images: list) -> torch.Tensor:
    """The largest response of each unit to each image, (n, C)."""
    rows = []
    for first in range(0, len(images), _BATCH):
        code = net.activations(images[first : first + _BATCH], layer).float()
        rows.append(code.flatten(2).amax(2) if code.dim() > 2 else code)
    return torch.cat(rows)
