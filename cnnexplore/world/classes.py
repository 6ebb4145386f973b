"""The ten classes: what draws them, their styles, the ranges of their axes, where they stand and in which scenes."""

from __future__ import annotations

from typing import NamedTuple

from . import animals, buildings, plants, things, vehicles


class Look(NamedTuple):
    """What a drawing function is told. draws: eight numbers in 0..1 for the details that no axis names."""

    style: str
    colour: str
    status: str
    content: object
    draws: tuple


class Kind(NamedTuple):
    """One class. stands: style -> 'floor', 'wall', 'water', 'air', under '' for all others; grounds: name -> weight."""

    draw: object
    styles: tuple
    axes: dict
    stands: dict
    grounds: dict


def _axes(scale, lean, colours, status, content):
    return {
        "scale": scale, "angle": (-float(lean), float(lean)), "colour": tuple(colours.split()),
        "status": status, "content": content,
    }  # fmt: skip


KINDS = {
    "house": Kind(
        buildings.house, ("gable", "flat", "barn"),
        _axes((0.5, 0.9), 7, "red orange yellow white blue brown grey", ("lit", "dark"), (1, 2, 3, 4, 5)),
        {"": "floor"},
        {"meadow": 4, "garden": 3, "street": 4, "snow": 3, "beach": 2, "desert": 2, "sea": 1},
    ),
    "church": Kind(
        buildings.church, ("dome", "spire", "two towers"),
        _axes((0.55, 0.95), 7, "white grey yellow red brown orange", ("open", "closed"), (1, 2, 3, 4)),
        {"": "floor"},
        {"meadow": 4, "street": 4, "snow": 3, "garden": 2, "desert": 2, "beach": 1, "sea": 1},
    ),
    "tree": Kind(
        plants.tree, ("round", "conifer", "palm"),
        _axes((0.5, 0.95), 12, "green yellow orange red pink", ("leafy", "bare"),
              ("none", "apples", "lemons", "plums")),
        {"": "floor"},
        {"meadow": 4, "garden": 4, "street": 2, "beach": 2, "snow": 2, "desert": 2, "room": 1},
    ),
    "car": Kind(
        vehicles.car, ("sedan", "van", "pickup", "beetle"),
        _axes((0.5, 0.9), 12, "red blue yellow green white black grey orange", ("open", "closed"), (0, 1, 2)),
        {"": "floor"},
        {"street": 5, "meadow": 2, "desert": 3, "snow": 2, "beach": 2, "garden": 2, "room": 1, "underwater": 1},
    ),
    "boat": Kind(
        vehicles.boat, ("sail", "steamer", "rowing"),
        _axes((0.5, 0.9), 14, "red blue white brown green black yellow", ("under way", "at rest"), (0, 1, 2, 3)),
        {"": "water"},
        {"sea": 6, "beach": 3, "underwater": 1, "meadow": 1, "street": 1, "snow": 1, "desert": 1},
    ),
    "fish": Kind(
        animals.fish, ("slim", "round", "angel"),
        _axes((0.45, 0.9), 40, "orange yellow blue red green purple grey pink", ("open", "closed"), (0, 1, 2, 3)),
        {"": "any"},
        {"underwater": 5, "sea": 3, "kitchen": 2, "beach": 2, "room": 1, "sky": 1},
    ),
    "flower": Kind(
        plants.flower, ("daisy", "tulip", "sunflower"),
        _axes((0.5, 0.95), 22, "red yellow pink purple white orange blue", ("open", "closed"), (1, 2, 3)),
        {"": "floor"},
        {"garden": 4, "meadow": 4, "room": 2, "kitchen": 2, "snow": 1, "beach": 1, "desert": 1, "sky": 1},
    ),
    "cup": Kind(
        things.cup, ("mug", "teacup", "goblet"),
        _axes((0.45, 0.85), 14, "red blue white yellow green pink black orange", ("steaming", "still"),
              ("coffee", "tea", "milk", "juice", "empty")),
        {"": "floor"},
        {"kitchen": 5, "room": 4, "garden": 2, "beach": 1, "meadow": 1, "snow": 1, "street": 1},
    ),
    "clock": Kind(
        things.clock, ("wall", "alarm", "grandfather"),
        _axes((0.45, 0.85), 14, "red blue brown yellow green grey black pink", ("lit", "dark"), tuple(range(1, 13))),
        {"": "floor", "wall": "wall"},
        {"room": 5, "kitchen": 4, "street": 2, "garden": 1, "desert": 1, "beach": 1, "sky": 1},
    ),
    "bird": Kind(
        animals.bird, ("songbird", "owl", "heron"),
        _axes((0.4, 0.85), 25, "blue brown red yellow green grey white purple", ("spread", "folded"),
              ("nothing", "worm", "twig")),
        {"": "air", "heron": "floor"},
        {"sky": 4, "meadow": 3, "garden": 3, "sea": 2, "beach": 2, "snow": 2, "street": 1, "room": 1},
    ),
}  # fmt: skip

CLASSES = tuple(KINDS)
STYLES = {name: kind.styles for name, kind in KINDS.items()}
AXES = {name: dict(kind.axes) for name, kind in KINDS.items()}
