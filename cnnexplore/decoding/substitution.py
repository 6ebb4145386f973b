"""Substitution: a layer's activation replaced by activations of the layer below (decoding2015, equations 1 and 2).

Every value of a map is replaced by its filter times the value, and overlaps are added: a transposed convolution.
Pooling becomes up-sampling; element-wise functions and normalisations change nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from ..errors import LayerError
from ..network.graph import Operation
from .patch import Patch, added
from .rules import RULES, UnknownOperation


def substitute(layer: Operation, patch: Patch, method: str, name: str) -> tuple[Patch, int]:
    """A patch of a layer carried down to the image; and how many numbers the largest step held.

    Raises LayerError for what cannot be decoded.
    """
    largest = before = 0
    for operation, found in descend(layer, patch, method, name):
        largest, before = max(largest, before + found.values.numel()), found.values.numel()
        if operation.name == "input":
            return found, largest
    raise LayerError(f"{name} does not depend on the image; choose a layer that does.")


def descend(layer: Operation, patch: Patch, method: str, name: str) -> Iterator[tuple[Operation, Patch]]:
    """Every operation below the layer with the patch that replaces the layer's there, step by step.

    The latest operations come first, so that branches are complete before they are carried further down.
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
            waiting[source.index] = (source, added(known and known[1], below))


def _below(operation: Operation, patch: Patch, method: str, name: str) -> list[tuple[Operation, Patch]]:
    try:
        if operation.name not in RULES:
            written = operation.name == "assembled"
            raise UnknownOperation("a tensor that is written part by part" if written else repr(operation.name))
        return RULES[operation.name](operation, patch, method)
    except UnknownOperation as error:
        raise LayerError(
            f"{name} cannot be decoded: it is computed with {error}, and substitution knows convolution, pooling, "
            "linear layers, normalisation and element-wise functions; only layers before that can be decoded."
        ) from None
