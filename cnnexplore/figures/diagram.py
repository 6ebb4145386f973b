"""Diagram: units in columns by layer, with a line from each to the units that it is composed of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .. import drawing
from ..results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Node:
    """A unit of a layer with its picture."""

    layer: str
    unit: int
    title: str
    picture: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class Edge:
    """The weight with which a unit (layer, unit) contributes to one above it."""

    above: tuple[str, int]
    below: tuple[str, int]
    weight: float


@dataclass(frozen=True)
class Diagram(Result):
    """A figure: units in one column per layer, the deepest layer on the right.

    The width of a line grows with the size of its weight; negative weights are red.

    Attributes
    ----------
    title : str
        Title of the figure.
    layers : list of str
        The layers from left to right.
    nodes : list of Node
        The units with their pictures.
    edges : list of Edge
        The weights between them.
    python : str
        The call that makes the figure again.
    """

    title: str
    layers: list[str]
    nodes: list[Node]
    edges: list[Edge]
    python: str = field(default="", repr=False)

    def plot(self, inches: float = 1.1) -> Figure:
        """A matplotlib figure.

        Parameters
        ----------
        inches : float
            The height of a unit's picture.

        Returns
        -------
        matplotlib.figure.Figure
            The units, connected by lines.
        """
        from matplotlib.figure import Figure
        from matplotlib.patches import ConnectionPatch

        columns = {layer: [n for n in self.nodes if n.layer == layer] for layer in self.layers}
        most = max(map(len, columns.values()))
        wide, high = 3.0 * inches * len(self.layers), (inches + 0.3) * most + 0.6
        drawn = Figure(figsize=(wide, high), dpi=150)
        drawn.suptitle(drawing.printable(self.title), fontsize=9, parse_math=False, y=1 - 0.15 / high)
        axes = {}
        for k, layer in enumerate(self.layers):
            for row, node in enumerate(columns[layer]):
                middle = 1 - (row + 0.5) / len(columns[layer])
                x = (k + 0.5) / len(self.layers) - inches / wide / 2
                y = middle * (high - 0.6) / high - inches / high / 2
                axis = axes[layer, node.unit] = drawn.add_axes((x, y, inches / wide, inches / high))
                axis.imshow(node.picture, interpolation="nearest")
                axis.set_title(drawing.printable(node.title), fontsize=7, parse_math=False, pad=3)
                axis.set_xticks([])
                axis.set_yticks([])
        largest: dict[tuple[str, int], float] = {}
        for edge in self.edges:
            largest[edge.above] = max(abs(edge.weight), largest.get(edge.above, 0.0))
        for edge in self.edges:
            share = abs(edge.weight) / largest[edge.above]
            drawn.add_artist(
                ConnectionPatch(
                    xyA=(1, 0.5),
                    xyB=(0, 0.5),
                    coordsA=axes[edge.below].transAxes,
                    coordsB=axes[edge.above].transAxes,
                    color="tab:red" if edge.weight < 0 else "0.25",
                    linewidth=0.4 + 1.6 * share,
                    alpha=0.25 + 0.6 * share,
                    zorder=-1,
                )
            )
        return drawn
