"""Class pictures with a generator as the prior, beside plain ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...network import Network
from ...preimage import maximize
from ..parts import batch
from ..sheet import Cell, Sheet


def generator(
    net: Network, layer: str | None = None, units: Sequence[int | str] | None = None, steps: int = 200, seed: int = 0,
    generator: Any = None, progress: bool = True,
) -> Sheet:  # fmt: skip
    """Units maximised through a generator, and in pixels, with the responses that are reached."""
    name = net.scores.name if layer is None else net.layers[layer].name
    chosen = list(range(min(10, net.layers[name].channels))) if units is None else list(units)
    rows = []
    plain = maximize(net, name, chosen, preset="paper2016", steps=steps, seed=seed, progress=progress)
    made = maximize(
        net, name, chosen, prior="generator", generator=generator, steps=steps, seed=seed, progress=progress
    )
    for title, results in (("pixels", plain), ("generator", made)):
        found = batch(results)
        rows.append([Cell(one.picture, f"{one.about}\n{title}, {one.response:.2f} M", result=one) for one in found])
    return Sheet(f"Units of {net.name}, {name}: in pixels, and through a generator", rows)
