"""How strongly units respond to images at hand: what a response is measured by (M of preimage2016, section 4.2)."""

from __future__ import annotations

import weakref

import torch

from ..data import at_hand
from ..network import Network

_KEPT: weakref.WeakKeyDictionary[Network, dict] = weakref.WeakKeyDictionary()
_BATCH = 16


def largest_responses(net: Network, layer: str, images=None) -> torch.Tensor:
    """What each of a layer's units is measured by: `best_responses`, or the layer's usual one for a silent unit, (C,).

    A unit that responds less than half of its layer's units do gets their median, so that a unit which none of the
    images excites still has a scale.
    """
    best = best_responses(net, layer, images)
    alive = best[best > 0]
    usual = alive.median() if len(alive) else torch.ones((), device=best.device)
    return torch.maximum(best, usual)


def best_responses(net: Network, layer: str, images=None) -> torch.Tensor:
    """The largest response of each of a layer's units to some images, over all positions: (C,).

    images: a list of whatever `Network.pixels_of` takes (default: those at hand, and the answer is kept for as long
    as the weights stay as they are).
    """
    name = net.layers[layer].name
    key = (name, sum(p._version for p in net.module.parameters()))
    if images is None and key in _KEPT.setdefault(net, {}):
        return _KEPT[net][key]
    chosen = at_hand(net) if images is None else list(images)
    best = None
    for first in range(0, len(chosen), _BATCH):
        code = net.activations(chosen[first : first + _BATCH], name).float()
        top = code.flatten(2).amax(2).amax(0) if code.dim() > 2 else code.amax(0)
        best = top if best is None else torch.maximum(best, top)
    if images is None:
        _KEPT[net][key] = best
    return best
