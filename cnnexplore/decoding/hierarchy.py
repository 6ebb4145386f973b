"""What a unit is made of: the units of the layer below, with their weights (decoding2015, supplement, figure 6)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from ..network import Network
from ..network.graph import Operation
from .filters import Decoding
from .substitution import descend

_WEIGHTED = ("convolution", "_convolution", "addmm", "mm", "linear")


@dataclass(frozen=True)
class Composition:
    """What stands for a unit in a layer below it. weights: (C, h, w), one map per unit of that layer."""

    layer: str
    weights: torch.Tensor = field(repr=False)

    def strongest(self, k: int | None = None) -> list[tuple[int, float]]:
        """(unit, weight) of the k units with the largest weight at any position, its sign kept; all if k is None."""
        flat = self.weights.flatten(1)
        peak = flat.gather(1, flat.abs().argmax(1, keepdim=True))[:, 0]
        order = peak.abs().argsort(descending=True, stable=True)[:k]
        return [(int(unit), float(peak[unit])) for unit in order if peak[unit] != 0]


def composition(net: Network, layer: str, unit: int, unpool: str = "bilinear") -> list[Composition]:
    """What a unit is made of in the nearest layers with weights below it: one, or several where branches meet.

    Empty for a layer that sees the image itself. Raises what `Decoding` raises.
    """
    decoding = Decoding(net, layer, unit, unpool)
    wanted = _next_weighted(decoding.operation)
    names = {operation.index: name for name, operation in reversed(net.operations().items())}
    found = []
    with torch.no_grad():
        for operation, patch in descend(decoding.operation, decoding.start(decoding.units), unpool, layer):
            if operation.index in wanted:
                wanted.remove(operation.index)
                values = patch.values[0]
                weights = values if values.dim() == 3 else values.reshape(-1, 1, 1)
                if operation.index in names:
                    found.append(Composition(names[operation.index], weights))
            if not wanted:
                break
    return found


def _next_weighted(top: Operation) -> set[int]:
    """The operations with weights between which and the top there is just one with weights on the shortest way."""
    passed = {top.index: 0}
    wanted = set()
    for operation in top.ancestors():
        weighted = operation.name in _WEIGHTED
        if weighted and passed[operation.index] == 1:
            wanted.add(operation.index)
        for source in operation.inputs:
            ways = (passed.get(source.index, 2), passed[operation.index] + weighted)
            passed[source.index] = min(ways)
    return wanted
