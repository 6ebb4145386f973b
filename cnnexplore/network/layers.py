"""Layer: a named activation with its size and receptive field; Layers: a network's, found by any of their names."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..errors import LayerNotFound


@dataclass(frozen=True)
class Layer:
    """A named activation of a network.

    name: the field's name where the kind tells ("conv1", "fire4"), else the module path.
    path: where in the module; a functional call ends in "()", the k-th use of a shared module in ":k".
    kind: the module's class or the function's name.
    channels, size: C and (rows, columns) of the code; (1, 1) where a layer has no spatial extent.
    rf_size, rf_stride, rf_offset: the receptive field in input pixels, (rows, columns); offset is the centre of
        unit (0, 0)'s field, counted from the centre of the top-left pixel, and may be negative.
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
    site: tuple[str, str, int] = ("module", "", 0)  # how Probe finds it: what, which, which call

    @property
    def has_map(self) -> bool:
        """Whether its units have positions: a map of more than one row or column."""
        return max(self.size) > 1

    def rf_box(self, row: int = 0, column: int = 0) -> tuple[float, float, float, float]:
        """(top, left, bottom, right) of the field of the unit at (row, column), pixel centres, both ends included."""
        centre = [o + s * p for o, s, p in zip(self.rf_offset, self.rf_stride, (row, column), strict=True)]
        half = [(s - 1) / 2 for s in self.rf_size]
        return (centre[0] - half[0], centre[1] - half[1], centre[0] + half[0], centre[1] + half[1])

    def describe(self) -> str:
        """What a picker shows: "55 x 55 x 256, sees 35 px"."""
        rows, columns = (f"{s:g}" for s in self.rf_size)
        sees = rows if rows == columns else f"{rows} x {columns}"
        return f"{self.size[0]} x {self.size[1]} x {self.channels}, sees {sees} px"


class Layers(Mapping[str, Layer]):
    """The layers of a network in the order in which they are computed; found by name, path or alias."""

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
            close = difflib.get_close_matches(str(name), self._names, 1, 0.5)
            hint = f"did you mean {close[0]!r}?" if close else f"its layers are {', '.join(self._layers)}."
            raise LayerNotFound(f"{name!r} is not a layer of {self._network}; {hint}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def depth(self, layer: Layer) -> int:
        """The place of a layer in the order of computation, from 0."""
        return self._order[layer.name]

    def __repr__(self) -> str:
        width = max((len(name) for name in self._layers), default=0)
        return "\n".join(
            f"{layer.name:<{width}}  {layer.kind:<18} {layer.describe()}" for layer in self._layers.values()
        )
