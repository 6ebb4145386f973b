"""Layer: a named activation with its size and receptive field; Layers: a network's, found by any of their names."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..arguments import whole
from ..errors import LayerNotFound, brief_list, brief_value
from .layout import Layout, Span


@dataclass(frozen=True)
class Layer:
    """A named activation of a network.

    Attributes
    ----------
    name : str
        The field's name where the kind tells ("conv1", "fire4"), else the path.
    path : str
        The module path. A functional call ends in "()", the k-th use of a shared module in ":k".
    kind : str
        The module's class or the function's name.
    channels : int
        C, the number of units.
    size : tuple of int
        (rows, columns) of the map; (1, 1) where there is none.
    rf_size, rf_stride, rf_offset : tuple of float
        Size, stride and offset of the receptive fields in input pixels, each (rows, columns). The size is that of the
        largest. The offset is the centre of the field of the unit at (0, 0), counted from the centre of the top-left
        pixel; it may be negative. The stride is negative where the map runs against the image.
    aliases : tuple of str
        More names.
    site : tuple
        How a `Probe` finds the layer: "module", "function" or "output", which one, and its call.
    layout : Layout
        Which axes of the activations are units and which are positions.
    fields : tuple
        For each row, and for each column, of the map: the centre of the receptive fields and the first and last pixel
        that they see.
    sees_all : bool
        Whether every unit depends on the whole image. Its position still has a centre.

    Examples
    --------
    >>> layer = cx.load("worldnet").layers["conv3"]
    >>> layer.channels, layer.size, layer.has_map
    (128, (12, 12), True)
    """

    name: str
    path: str
    kind: str
    channels: int
    size: tuple[int, int]
    rf_size: tuple[float, float]
    rf_stride: tuple[float, float]
    rf_offset: tuple[float, float]
    aliases: tuple[str, ...] = ()
    site: tuple[str, str, int] = ("module", "", 0)
    layout: Layout = field(default_factory=Layout)
    fields: tuple[tuple[Span, ...], tuple[Span, ...]] = field(default=((), ()), repr=False, compare=False)
    sees_all: bool = False

    @property
    def has_map(self) -> bool:
        """Whether the units have positions: a map of more than one row or column."""
        return max(self.size) > 1

    @property
    def numbers(self) -> int:
        """How many activations an image has, tokens without a position included."""
        return self.channels * (self.layout.tokens or self.size[0] * self.size[1])

    def rf_box(self, row: int = 0, column: int = 0) -> tuple[float, float, float, float]:
        """The receptive field of a position.

        Parameters
        ----------
        row, column : int
            The position on the map.

        Returns
        -------
        tuple of float
            (top, left, bottom, right) in input pixels, centres of pixels, both ends included; it may leave the image.
        """
        places = whole(-1_000_000, 1_000_000, "a place on the map")
        row, column = places("row", row), places("column", column)
        (top, bottom), (left, right) = (self._span(a, place) for a, place in enumerate((row, column)))
        return (top, left, bottom, right)

    def _span(self, axis: int, place: int) -> tuple[float, float]:
        if 0 <= place < len(self.fields[axis]):
            return self.fields[axis][place][1:]
        centre = self.rf_offset[axis] + self.rf_stride[axis] * place
        half = (self.rf_size[axis] - 1) / 2
        return centre - half, centre + half

    def centres(self, axis: int, count: int | None = None) -> np.ndarray:
        """The centres of the receptive fields along an axis.

        Parameters
        ----------
        axis : int
            0 for the rows of the map, 1 for its columns.
        count : int, optional
            How many rows or columns the map has, for an image of another size than the network's.

        Returns
        -------
        np.ndarray
            (count,) float64, in input pixels.
        """
        if self.fields[axis] and count in (None, self.size[axis]):
            return np.array([span[0] for span in self.fields[axis]])
        return self.rf_offset[axis] + self.rf_stride[axis] * np.arange(self.size[axis] if count is None else count)

    @property
    def is_regular(self) -> bool:
        """Whether size, stride and offset give the receptive field of every unit, as after sliding windows."""
        for a in (0, 1):
            half = (self.rf_size[a] - 1) / 2
            for k, (centre, low, high) in enumerate(self.fields[a]):
                expected = self.rf_offset[a] + self.rf_stride[a] * k
                if max(abs(centre - expected), abs(low - expected + half), abs(high - expected - half)) > 1e-6:
                    return False
        return True

    def describe(self) -> str:
        """Size and receptive field in words: "55 x 55 x 256, sees 35 px"."""
        rows, columns = (f"{s:g}" for s in self.rf_size)
        sees = rows if rows == columns else f"{rows} x {columns}"
        return f"{self.size[0]} x {self.size[1]} x {self.channels}, sees {sees} px"


class Layers(Mapping[str, Layer]):
    """The layers of a network in the order of computation, found by name, path or alias.

    Parameters
    ----------
    layers : sequence of Layer
        The layers, in the order of computation.
    network : str
        The network's name, for messages.

    Examples
    --------
    >>> layers = cx.load("worldnet").layers
    >>> layers["conv1"].kind, "conv9" in layers
    ('Conv2d', False)
    """

    def __init__(self, layers: Sequence[Layer], network: str):
        self._layers = {layer.name: layer for layer in layers}
        self._network = network
        self._names = {alias: layer for layer in reversed(layers) for alias in (layer.path, *layer.aliases)}
        self._names.update(self._layers)
        self._order = {layer.name: k for k, layer in enumerate(layers)}

    def __getitem__(self, name: str) -> Layer:
        try:
            return self._names[name]
        except (KeyError, TypeError):
            close = difflib.get_close_matches(brief_value(name).strip("'"), self._names, 1, 0.5)
            hint = f"did you mean {brief_value(close[0])}?" if close else f"its layers are {brief_list(self._layers)}."
            raise LayerNotFound(f"{brief_value(name)} is not a layer of {self._network}; {hint}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def depth(self, layer: Layer) -> int:
        """The index of a layer in the order of computation.

        Parameters
        ----------
        layer : Layer
            A layer of this network.

        Returns
        -------
        int
            From 0.
        """
        return self._order[layer.name]

    def __repr__(self) -> str:
        width = max((len(name) for name in self._layers), default=0)
        return "\n".join(
            f"{layer.name:<{width}}  {layer.kind:<18} {layer.describe()}" for layer in self._layers.values()
        )
