"""Checks of the settings of figures and tables, by name: a setting has one meaning in all of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ..arguments import (
    Check,
    choice,
    flag,
    fraction,
    number,
    optional,
    path,
    plain_number,
    plain_pair,
    seeds,
    several,
    text,
    whole,
)
from ..data import Images
from ..decoding.unpooling import METHODS
from ..errors import SettingError, brief_value
from ..network import RULES
from ..network.arguments import layer_name
from ..preimage.arguments import PATCHES, RUN, M
from ..preimage.solvers import solvers
from ..representations.features import cache_place
from ..sweep import executor

_COUNT = whole(1, 1000, "how many")


def _class(name: str, value: Any) -> Any:
    if isinstance(value, str) and value:
        return value
    return whole(0, what="a number or a label")(name, value)


def _units(name: str, value: Any) -> Any:
    """How many units, or which ones: numbers, or labels where the layer is the class scores."""
    if plain_number(value) is not None:
        return whole(0, 100_000, "a unit, or a list of units")(name, value)
    return several(_class, "a unit, or a list of units")(name, value)


def _steps(name: str, value: Any) -> Any:
    """The number of steps, or several of them where a figure shows the run after each."""
    if isinstance(value, (list, tuple, range, np.ndarray, torch.Tensor)) and plain_number(value) is None:
        return several(RUN["steps"], "a list of steps", 1000)(name, value)
    return RUN["steps"](name, value)


def _side(name: str, value: Any) -> Any:
    """Pixels, or (rows, columns)."""
    side = whole(1, 4096, "pixels, or (rows, columns)")
    pair = plain_pair(value)
    return (side(name, pair[0]), side(name, pair[1])) if pair else side(name, value)


def _patches(name: str, value: Any) -> Any:
    """A database of patches, or the photographs to make one of; or one of these for each class."""
    if isinstance(value, Mapping):
        return {key: _patches(name, one) for key, one in value.items()}
    photographs = isinstance(value, (list, tuple, str, os.PathLike, Images)) or hasattr(value, "__getitem__")
    return value if photographs else PATCHES["patches"](name, value)


OPTIONS: dict[str, Check] = {
    **{name: check for name, check in RUN.items() if name not in ("net", "alpha", "beta", "rate")},
    **{name: optional(RUN[name]) for name in ("alpha", "beta", "rate")},
    "M": M,
    "gamma": PATCHES["gamma"],
    "layer": optional(layer_name),
    "layers": optional(several(layer_name, "a list of names of layers", 1000)),
    "unpool": choice(METHODS),
    "unpools": several(choice(METHODS), "a list of ways to unpool", 10),
    "share": fraction(),
    "about": _COUNT,
    "channels": _COUNT,
    "columns": _COUNT,
    "k": _COUNT,
    "masks": _COUNT,
    "most": _COUNT,
    "of": _COUNT,
    "segments": whole(2, 1000, "about how many segments"),
    "starts": _COUNT,
    "strongest": _COUNT,
    "unit": optional(_class),
    "units": optional(_units),
    "target": optional(_class),
    "classes": optional(several(_class, "a list of classes", 1000)),
    "steps": optional(_steps),
    "seeds": several(whole(0, what="a seed"), "a list of seeds", 1000),
    "seed": seeds,
    "cache": optional(cache_place),
    "executor": optional(executor),
    "log": optional(path("the path of a journal")),
    "progress": flag,
    "relu": flag,
    "estimate": flag,
    "patches": optional(_patches),
    "solvers": several(choice(solvers), "a list of solvers", 10),
    "variation": number(0, 1e9, "the weight of the total variation", above=True),
    "variations": several(number(0, 1e9, "a weight of the total variation", above=True), "a list of numbers", 100),
    "weights": several(number(0, 1e9, "a weight C"), "a list of numbers", 100),
    "betas": several(number(1, 3, "an exponent beta"), "a list of numbers", 100),
    "jitters": several(whole(0, 64, "a jitter in pixels"), "a list of numbers", 100),
    "window": optional(_side),
    "stride": optional(_side),
    "rule": choice(RULES),
    "names": several(text("a name"), "a list of names", 100),
    "n": whole(1, 1_000_000, "how many scenes"),
    "per_class": whole(1, 100_000, "how many scenes of each class"),
    "draws": _COUNT,
    "powers": several(fraction("a power of the rotation"), "a list of powers, 0 to 1", 100),
}
"""The check of each setting; a setting that is not here is checked by the function that uses it."""


def checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a figure, each checked. Raises SettingError."""
    empty = [name for name in ("seeds", "weights", "betas", "jitters", "names", "solvers", "powers") if name in options]
    found = {name: OPTIONS[name](name, value) if name in OPTIONS else value for name, value in options.items()}
    for name in empty:
        if not found[name]:
            raise SettingError(f"{name} is {brief_value(options[name])}; expected one item or more.")
    return found
