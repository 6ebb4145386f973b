"""The seeds of a batch: one for each image, whatever arguments of a run are lists."""

from __future__ import annotations

from ..arguments import seeds as checked_seeds
from ..errors import SettingError


def count_of(value: object) -> int:
    """How many things a list holds; 1 for anything else."""
    return len(value) if isinstance(value, (list, tuple)) else 1


def batch_seeds(seed: object, **counts: int) -> list[int]:
    """One seed per image of a batch; `counts`: how many there are of each argument that may be a list.

    Raises SettingError if the lists differ in length, or a seed is no whole number.
    """
    given = checked_seeds("seed", seed)
    seeds = given if isinstance(given, list) else [given]
    counted = {what: count for what, count in (*counts.items(), ("seeds", len(seeds))) if count > 1}
    if len(set(counted.values())) > 1:
        sizes = " and ".join(f"{count} {what}" for what, count in counted.items())
        raise SettingError(f"{sizes} were given; expected as many, or one of either.")
    return seeds * max(counted.values(), default=1) if len(seeds) == 1 else seeds
