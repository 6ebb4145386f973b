"""Pictures for whoever brings none: those that come with the package."""

from __future__ import annotations

from .. import world
from ..network import Network
from .pictures import digit, photograph, photographs


def at_hand(net: Network) -> list:
    """Images that come with the package, of the kinds that the network can read."""
    if net.pixels.order == "grey" and max(net.size) < 64:
        return [digit(value, which) for value in range(10) for which in range(3)]
    return [photograph(name) for name in photographs()] + [world.scene(seed).image for seed in range(30)]
