"""The ten classes: drawing functions, styles, ranges of the axes, supports and backgrounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import animals, buildings, household, plants, vehicles
from .brush import Brush, Look


class ClassSpec(NamedTuple):
    """One class.

    support: style -> "floor", "wall", "water", "air" or "any", under "" for all other styles. backgrounds: name ->
    weight.
    """

    draw: Callable[[Brush, Look], None]
    styles: tuple[str, ...]
    axes: dict[str, tuple[Any, ...]]
    support: dict[str, str]
    backgrounds: dict[str, float]


def _axes(
    scale: tuple[float, float], lean: float, colours: str, status: tuple[str, str], content: tuple[Any, ...]
) -> dict[str, tuple[Any, ...]]:
    """The ranges of the axes. lean: the largest angle to either side, degrees."""
    return {
        "scale": scale, "angle": (-float(lean), float(lean)), "colour": tuple(colours.split()),
        "status": status, "content": content,
    }  # fmt: skip


SPECS = {
    "house": ClassSpec(
        buildings.house, ("gable", "flat", "barn"),
        _axes((0.5, 0.9), 7, "red orange yellow white blue brown grey", ("lit", "dark"), (1, 2, 3, 4, 5)),
        {"": "floor"},
        {"meadow": 4, "garden": 3, "street": 4, "snow": 3, "beach": 2, "desert": 2, "sea": 1},
    ),
    "church": ClassSpec(
        buildings.church, ("dome", "spire", "two towers"),
        _axes((0.55, 0.95), 7, "white grey yellow red brown orange", ("open", "closed"), (1, 2, 3, 4)),
        {"": "floor"},
        {"meadow": 4, "street": 4, "snow": 3, "garden": 2, "desert": 2, "beach": 1, "sea": 1},
    ),
    "tree": ClassSpec(
        plants.tree, ("round", "conifer", "palm"),
        _axes((0.5, 0.95), 12, "green yellow orange red pink", ("leafy", "bare"),
              ("none", "apples", "lemons", "plums")),
        {"": "floor"},
        {"meadow": 4, "garden": 4, "street": 2, "beach": 2, "snow": 2, "desert": 2, "room": 1},
    ),
    "car": ClassSpec(
        vehicles.car, ("sedan", "van", "pickup", "beetle"),
        _axes((0.5, 0.9), 12, "red blue yellow green white black grey orange", ("open", "closed"), (0, 1, 2)),
        {"": "floor"},
        {"street": 5, "meadow": 2, "desert": 3, "snow": 2, "beach": 2, "garden": 2, "room": 1, "underwater": 1},
    ),
    "boat": ClassSpec(
        vehicles.boat, ("sail", "steamer", "rowing"),
        _axes((0.5, 0.9), 14, "red blue white brown green black yellow", ("under way", "at rest"), (0, 1, 2, 3)),
        {"": "water"},
        {"sea": 6, "beach": 3, "underwater": 1, "meadow": 1, "street": 1, "snow": 1, "desert": 1},
    ),
    "fish": ClassSpec(
        animals.fish, ("slim", "round", "angel"),
        _axes((0.45, 0.9), 40, "orange yellow blue red green purple grey pink", ("open", "closed"), (0, 1, 2, 3)),
        {"": "any"},
        {"underwater": 5, "sea": 3, "kitchen": 2, "beach": 2, "room": 1, "sky": 1},
    ),
    "flower": ClassSpec(
        plants.flower, ("daisy", "tulip", "sunflower"),
        _axes((0.5, 0.95), 22, "red yellow pink purple white orange blue", ("open", "closed"), (1, 2, 3)),
        {"": "floor"},
        {"garden": 4, "meadow": 4, "room": 2, "kitchen": 2, "snow": 1, "beach": 1, "desert": 1, "sky": 1},
    ),
    "cup": ClassSpec(
        household.cup, ("mug", "teacup", "goblet"),
        _axes((0.45, 0.85), 14, "red blue white yellow green pink black orange", ("steaming", "still"),
              ("coffee", "tea", "milk", "juice", "empty")),
        {"": "floor"},
        {"kitchen": 5, "room": 4, "garden": 2, "beach": 1, "meadow": 1, "snow": 1, "street": 1},
    ),
    "clock": ClassSpec(
        household.clock, ("wall", "alarm", "grandfather"),
        _axes((0.45, 0.85), 14, "red blue brown yellow green grey black pink", ("lit", "dark"), tuple(range(1, 13))),
        {"": "floor", "wall": "wall"},
        {"room": 5, "kitchen": 4, "street": 2, "garden": 1, "desert": 1, "beach": 1, "sky": 1},
    ),
    "bird": ClassSpec(
        animals.bird, ("songbird", "owl", "heron"),
        _axes((0.4, 0.85), 25, "blue brown red yellow green grey white purple", ("spread", "folded"),
              ("nothing", "worm", "twig")),
        {"": "air", "heron": "floor"},
        {"sky": 4, "meadow": 3, "garden": 3, "sea": 2, "beach": 2, "snow": 2, "street": 1, "room": 1},
    ),
}  # fmt: skip

CLASSES = tuple(SPECS)
STYLES = {name: spec.styles for name, spec in SPECS.items()}
AXES = {name: dict(spec.axes) for name, spec in SPECS.items()}
