"""How many estimates a run has: one for each of what it was given several of, each from its own seed."""

from __future__ import annotations

from ..errors import SettingError


def seeds_of(seed) -> list[int]:
    """One seed or several as a list. Raises SettingError."""
    seeds = list(seed) if isinstance(seed, (list, tuple)) else [seed]
    if not seeds or not all(isinstance(s, int) and 0 <= s < 2**63 for s in seeds):
        raise SettingError(f"seed is {seed!r}; expected a whole number, 0 or more, or a list of them.")
    return seeds


def listed(value) -> int:
    """How many things a list holds; 1 for what is no list."""
    return len(value) if isinstance(value, (list, tuple)) else 1


def paired(seeds: list[int], **counts: int) -> list[int]:
    """As many seeds as there are things to start, or runs of the one thing. Raises SettingError.

    counts: by name, how many there are of what a run may have one or several of.
    """
    several = {what: count for what, count in (*counts.items(), ("seeds", len(seeds))) if count > 1}
    if len(set(several.values())) > 1:
        given = " and ".join(f"{count} {what}" for what, count in several.items())
        raise SettingError(f"{given} were given; expected as many, or one of either.")
    return seeds * max(several.values(), default=1) if len(seeds) == 1 else seeds
