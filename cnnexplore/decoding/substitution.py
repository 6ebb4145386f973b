"""Substitution: what stands for a layer's code in the layer below (decoding2015, section 3, equations 1 and 2).

Every value of a map is replaced by the filter that answers with it, times the value, and overlaps are added; that is
a transposed convolution. Pooling becomes up-sampling; element-wise functions and normalisations hand on.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import LayerError
from ..network.graph import Operation
from .patch import Patch, together
from .rules import RULES, Unknown


class Decoded(NamedTuple):
    """A patch of the image; elements: how many numbers the largest step on the way to it held."""

    patch: Patch
    elements: int


def substitute(layer: Operation, patch: Patch, method: str, name: str) -> Decoded:
    """A patch of a layer's code carried down to the image. Raises LayerError for what cannot be decoded."""
    largest = before = 0
    for operation, found in descend(layer, patch, method, name):
        largest, before = max(largest, before + found.values.numel()), found.values.numel()
        if operation.name == "input":
            return Decoded(found, largest)
    raise LayerError(f"{name} does not depend on the image; choose a layer that does.")


def descend(layer: Operation, patch: Patch, method: str, name: str) -> Iterator[tuple[Operation, Patch]]:
    """The same, step by step: every operation below the layer with the patch that stands for the layer's there.

    The latest operations come first, so that branches are complete when they are handed on.
    """
    waiting, order = {layer.index: (layer, patch)}, [-layer.index]
    while order:
        operation, patch = waiting.pop(-heapq.heappop(order))
        yield operation, patch
        if operation.name == "input":
            continue
        for source, below in _below(operation, patch, method, name):
            known = waiting.get(source.index)
            if known is None:
                heapq.heappush(order, -source.index)
            waiting[source.index] = (source, together(known and known[1], below))


def _below(operation: Operation, patch: Patch, method: str, name: str) -> list[tuple[Operation, Patch]]:
    try:
        if operation.name not in RULES:
            raise Unknown(repr(operation.name))
        return RULES[operation.name](operation, patch, method)
    except Unknown as error:
        raise LayerError(
            f"{name} cannot be decoded: it is computed with {error}, and substitution knows convolution, pooling, "
            "linear layers, normalisation and element-wise functions; choose a layer before that."
        ) from None
