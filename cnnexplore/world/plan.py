"""The plan of a scene: everything that is drawn from its seed before it is rendered, with arguments checked."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..arguments import MOST, checked_integer, number, plain_number
from ..errors import SettingError, brief_value
from .brush import Look
from .classes import AXES, CLASSES, SPECS, STYLES
from .random_stream import RandomStream, below, fold_seed, mix


class Plan(NamedTuple):
    """Everything that a scene shows.

    mirror: -1 if the object faces left. u, v: its place within the free space, 0..1 each.
    """

    seed: int
    bits: int
    size: int
    name: str
    look: Look
    scale: float
    angle: float
    background: str
    mirror: int
    u: float
    v: float


MOST_SEED = 2**128 - 1  # what numpy.random.SeedSequence makes


def checked_int(value: Any, what: str, low: int, high: int = MOST) -> int:
    """The value as an int. Raises SettingError if it is none from low to high."""
    return checked_integer(f"the {what}", value, low, high, what="a whole number")


def checked_choice(value: Any, choices: Sequence[Any], what: str) -> Any:
    """The choice that equals the value. Raises SettingError that names the most similar choice."""
    found = plain_number(value)
    wanted = value if found is None else found
    if isinstance(wanted, str | int | float) and not isinstance(wanted, bool) and wanted in choices:
        return choices[choices.index(wanted)]
    close = difflib.get_close_matches(brief_value(value).strip("'"), [str(c) for c in choices], 1, 0.4)
    hint = f"did you mean {close[0]!r}?" if close else f"choose one of {', '.join(map(str, choices))}."
    raise SettingError(f"{brief_value(value)} is not a {what}; {hint}")


def _checked_float(value: Any, low: float, high: float, what: str) -> float:
    """The value as a float. Raises SettingError if it is none from low to high."""
    return float(number(low, high)(what, value))


# The class and the style are hashes of the seed, so that a data set knows them without drawing anything.


def class_index(bits: Any, count: Any) -> Any:
    """The class of a scene among `count`; elementwise for arrays."""
    return below(mix(bits, 11), count)


def style_index(bits: Any, count: Any) -> Any:
    """The style of a scene among `count`; elementwise for arrays."""
    return below(mix(bits, 12), count)


def plan_scene(seed: int, name: str | None = None, style: str | None = None, size: int = 96, **axes: Any) -> Plan:
    """The plan of a scene; what is not given is drawn from the seed. Raises SettingError."""
    seed, size = checked_int(seed, "seed", 0, MOST_SEED), checked_int(size, "size", 16, 1024)
    bits = fold_seed(seed)
    name = (
        CLASSES[class_index(bits, len(CLASSES))]
        if name is None
        else checked_choice(name, CLASSES, "class of the world")
    )
    styles, ranges = STYLES[name], AXES[name]
    style = (
        styles[style_index(bits, len(styles))] if style is None else checked_choice(style, styles, f"style of {name}")
    )
    for axis in axes:
        checked_choice(axis, tuple(ranges), "axis of variation")
    random = RandomStream(bits, 1)
    values: dict[str, Any] = {}
    for axis, allowed in ranges.items():  # always drawn, so that a fixed axis does not change the others
        drawn = random.between(*allowed) if axis in ("scale", "angle") else random.choice(allowed)
        given = axes.get(axis)
        if given is None:
            values[axis] = drawn
        elif axis in ("scale", "angle"):
            values[axis] = _checked_float(given, allowed[0], allowed[1], f"the {axis} of a {name}")
        else:
            values[axis] = checked_choice(given, allowed, f"{axis} of a {name}")
    background = random.weighted_choice(SPECS[name].backgrounds)
    mirror, u, v = random.sign(), random.uniform(), random.uniform()
    draws = tuple(random.uniform() for _ in range(8))
    look = Look(style, values["colour"], values["status"], values["content"], draws)
    return Plan(seed, bits, size, name, look, values["scale"], values["angle"], background, mirror, u, v)
