"""Figures 4, 5 and 6: families of decoded filters, and the composition of units."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import drawing
from ...decoding import Comparison, by_class, by_shape, compare, composition, decode
from ...network import Layer, Network, unit_name
from ...units.filters import filters, layers_with_convolutions
from ..diagram import Diagram, Edge, Node
from ..sheet import Cell, Sheet
from .parts import filter_cells, input_picture, labelled_images, layers_with_filters, wrapped


def figure4(
    net: Network, images: Any = None, layers: Sequence[str] | None = None, unpool: str = "bilinear", columns: int = 10,
    share: float = 0.3, about: int = 5,
) -> Sheet:  # fmt: skip
    """Decoded filters by layer; of the two deepest also strong parts and images with the largest responses.

    Shallow layers are ordered by the filters' shapes; of the layer before the last, units that respond to class
    `about` are shown. images: a pair (images, labels), or a folder with MNIST. share: the strong part of a filter, as
    a share of its largest value. data: "comparisons" of the two deepest layers by name, "units" shown by layer.
    """
    names = layers_with_filters(net, layers)
    images, labels = labelled_images(net, images)
    rows: list[list[Cell]] = []
    data: dict[str, dict] = {"comparisons": {}, "units": {}}
    for name in names:
        where = net.layers[name]
        deep = name in names[-2:]
        if not deep:
            filters = decode(net, name, unpool=unpool, progress=False).filters
            units = by_shape(filters)[: 5 * columns]
            cells = filter_cells(net, name, units, filters[units])
            rows += [cells[k : k + columns] for k in range(0, len(cells), columns)]
        else:
            found = data["comparisons"][name] = compare(net, name, None, images, unpool=unpool, progress=False)
            units = list(range(min(columns, where.channels)))
            if name != names[-1]:
                units = (by_class(found.network, labels)[about] or units)[:columns]
            rows += _deep(net, where, found, units, images, unpool, share, tops=1 if name != names[-1] else 4)
        data["units"][name] = units
    return Sheet(f"Decoded filters of {net.name}", rows, data)


def _deep(
    net: Network,
    where: Layer,
    found: Comparison,
    units: list[int],
    images: Sequence,
    unpool: str,
    share: float,
    tops: int,
) -> list[list[Cell]]:
    filters = decode(net, where.name, units, unpool=unpool, progress=False)
    titles = [f"{where.name}\n{unit_name(net, where, u)}" for u in units]
    rows = [
        [Cell(p, title) for p, title in zip(filters.threshold(share).pictures(), titles, strict=True)],
        [Cell(p, "decoded") for p in filters.pictures()],
    ]
    best = [found.top(u, tops) for u in units]
    for side, who in ((0, "network"), (1, "filter")):
        for k in range(tops if side == 0 else 1):
            rows.append([Cell(input_picture(net, images[top[side][k]]), f"{who}'s top {k + 1}") for top in best])
    return rows


def figure5(
    net: Network, images: Any = None, layers: Sequence[str] | None = None, unpool: str = "bilinear", columns: int = 14
) -> Sheet:
    """The family of decoded filters of each layer, and the filters they were decoded from.

    images: not used. data: the decoded filters by layer.
    """
    rows: list[list[Cell]] = []
    data: dict[str, Any] = {}
    known, convolutions = layers_with_filters(net), layers_with_convolutions(net.operations())
    for name in layers_with_filters(net, layers):
        units = list(range(min(columns, net.layers[name].channels)))
        data[name] = decode(net, name, units, unpool=unpool, progress=False)
        family = [filter_cells(net, name, units, data[name].filters)]
        if name != known[0] and name in convolutions:
            weights = filters(net, name, units).weights
            family.append([Cell(_mosaic(weights[u]), "its filter") for u in units])
        rows += wrapped(*family)
    return Sheet(f"Decoded filters of {net.name}", rows, data)


def _mosaic(weights: np.ndarray) -> np.ndarray:
    """The channels of one filter (C, k, k), up to 36 of the strongest, in a square with lines between."""
    if len(weights) > 36:
        strength = np.linalg.norm(weights.reshape(len(weights), -1), axis=1)
        weights = weights[np.sort(np.argsort(-strength, kind="stable")[:36])]
    side = int(np.ceil(len(weights) ** 0.5))
    tiles = drawing.signed_picture(weights.reshape(1, 1, len(weights), -1))[0].reshape(*weights.shape, 3)
    k = weights.shape[-1] + 1
    sheet = np.full((side * k - 1, side * k - 1, 3), 40, np.uint8)
    for n, tile in enumerate(tiles):
        row, column = n // side * k, n % side * k
        sheet[row : row + k - 1, column : column + k - 1] = tile
    return sheet


def figure6(
    net: Network, images: Any = None, layer: str | None = None, units: Sequence[int] = (0, 1), unpool: str = "bilinear",
    strongest: int = 4,
) -> Diagram:  # fmt: skip
    """The composition of units of the last layer, down to the first: units, weights and shared parts.

    images: not used. strongest: how many units of the layer below are followed from each.
    """
    where = net.layers[layer or layers_with_filters(net)[-1]].name
    levels: dict[str, list[int]] = {where: [int(u) for u in units]}
    edges: list[Edge] = []
    waiting = [(where, u) for u in levels[where]]
    for name, unit in waiting:  # grows during the loop
        for composed in composition(net, name, unit, unpool=unpool)[:1]:
            own = composed.strongest(strongest)
            strong = [(u, weight) for u, weight in own if abs(weight) >= 0.1 * abs(own[0][1])]
            for below, weight in strong:
                edges.append(Edge((name, unit), (composed.layer, below), weight))
                if below not in levels.setdefault(composed.layer, []):
                    levels[composed.layer].append(below)
                    waiting.append((composed.layer, below))
    order = sorted(levels, key=lambda name: net.layers.depth(net.layers[name]))
    nodes = []
    for name in order:
        found = sorted(levels[name])
        shown = decode(net, name, found, unpool=unpool, progress=False).pictures()
        titles = [f"{name} {unit_name(net, net.layers[name], u)}" for u in found]
        nodes += [Node(name, u, title, p) for u, title, p in zip(found, titles, shown, strict=True)]
    return Diagram(f"Composition of {where} of {net.name}", order, nodes, edges)
