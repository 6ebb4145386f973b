"""Units as a caller names them: by number or label, at a place on a layer's map."""

from __future__ import annotations

import difflib

import numpy as np

from ..errors import NetworkError, SettingError
from .layers import Layer
from .network import Network


def unit_of(net: Network, layer: Layer, unit) -> int:
    """The number of a unit of a layer, or of the class with that label. Raises SettingError."""
    count = layer.channels
    if isinstance(unit, str):
        if unit in net.labels and len(net.labels) == count:
            return net.labels.index(unit)
        within = [one for one in net.labels if unit.lower() in one.lower()]
        close = within or difflib.get_close_matches(unit, net.labels, 1)
        hint = f"expected a unit's number, 0 to {count - 1}."
        if close and len(net.labels) == count:
            hint = f"did you mean {close[0]!r}?"
        elif net.labels:
            hint = f"{hint[:-1]}, or one of net.labels, such as {net.labels[0]!r}, at the last layer."
        raise SettingError(f"{unit!r} is no class of {net.name} at {layer.name}; {hint}")
    if isinstance(unit, bool) or not isinstance(unit, (int, np.integer)) or not 0 <= unit < count:
        raise SettingError(f"unit is {unit!r}; {layer.name} has units 0 to {count - 1}.")
    return int(unit)


def place_of(layer: Layer, position) -> tuple[int, int]:
    """A (row, column) on a layer's map. Raises SettingError."""
    rows, columns = layer.size
    try:
        row, column = (int(v) for v in position)
    except (TypeError, ValueError):
        raise SettingError(f"position is {position!r}; expected (row, column).") from None
    if not (0 <= row < rows and 0 <= column < columns):
        raise SettingError(
            f"position is {tuple(position)}; expected (row, column) on {layer.name}'s map of {rows} x {columns}."
        )
    return row, column


def class_scores(net: Network) -> Layer:
    """The layer of the class scores, one number for each. Raises NetworkError if the network ends in a map."""
    layer = net.scores
    if max(layer.size) > 1:
        rows, columns = layer.size
        raise NetworkError(
            f"{net.name} ends in a map of {rows} x {columns}, not in one score per class; take a classifier."
        )
    return layer


def class_name(net: Network, unit: int) -> str:
    """A class in words: its label, or its number where the network has none."""
    return net.labels[unit] if len(net.labels) == net.scores.channels else f"class {unit}"
