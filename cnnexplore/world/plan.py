"""What a scene will show, drawn from its seed before anything is painted; the words of a caller are checked here."""

from __future__ import annotations

import difflib
import math
import numbers
from typing import NamedTuple

from ..errors import SettingError
from .chance import Chance, below, folded, mix
from .classes import AXES, CLASSES, KINDS, STYLES, Look


class Plan(NamedTuple):
    """mirror: -1 when the object looks to the left; u, v: where in the free room it stands, 0..1 each."""

    seed: int
    bits: int
    size: int
    name: str
    look: Look
    scale: float
    angle: float
    ground: str
    mirror: int
    u: float
    v: float


def whole(value, what: str, low: int, high: int | None = None) -> int:
    """value as an int, or a SettingError."""
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        value = int(value)
        if low <= value and (high is None or value <= high):
            return value
    bounds = f"of at least {low}" if high is None else f"from {low} to {high}"
    raise SettingError(f"the {what} is {value!r}, but expected a whole number {bounds}; give one.")


def one_of(value, choices, what: str):
    """value when it is among the choices, or a SettingError with the nearest."""
    if not isinstance(value, bool) and isinstance(value, str | numbers.Number) and value in choices:
        return choices[choices.index(value)]
    close = difflib.get_close_matches(str(value), [str(c) for c in choices], 1, 0.4)
    hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(map(str, choices))}."
    raise SettingError(f"{value!r} is not a {what}; {hint}")


def _within(value, low: float, high: float, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if low <= number <= high:
        return number
    raise SettingError(f"{what} is {value!r}, but expected a number from {low:g} to {high:g}; give one.")


# The class and the style come from plain integers, so that a data set knows them without drawing anything.
def class_index(bits, count):
    return below(mix(bits, 11), count)


def style_index(bits, count):
    return below(mix(bits, 12), count)


def plan(seed, name=None, style=None, size=96, **axes) -> Plan:
    """Everything that is chosen about a scene; what is not given is drawn from the seed. Raises SettingError."""
    seed, size = whole(seed, "seed", 0), whole(size, "size", 16, 1024)
    bits = folded(seed)
    name = CLASSES[class_index(bits, len(CLASSES))] if name is None else one_of(name, CLASSES, "class of the world")
    styles, ranges = STYLES[name], AXES[name]
    style = styles[style_index(bits, len(styles))] if style is None else one_of(style, styles, f"style of {name}")
    for axis in axes:
        one_of(axis, tuple(ranges), "axis of variation")
    chance, values = Chance(bits, 1), {}
    for axis, allowed in ranges.items():  # always drawn, so that fixing one moves no other
        drawn = chance.between(*allowed) if axis in ("scale", "angle") else chance.pick(allowed)
        given = axes.get(axis)
        if given is None:
            values[axis] = drawn
        elif axis in ("scale", "angle"):
            values[axis] = _within(given, *allowed, f"the {axis} of a {name}")
        else:
            values[axis] = one_of(given, allowed, f"{axis} of a {name}")
    ground = chance.weighted(KINDS[name].grounds)
    mirror, u, v = chance.sign(), chance.unit(), chance.unit()
    draws = tuple(chance.unit() for _ in range(8))
    look = Look(style, values["colour"], values["status"], values["content"], draws)
    return Plan(seed, bits, size, name, look, values["scale"], values["angle"], ground, mirror, u, v)
