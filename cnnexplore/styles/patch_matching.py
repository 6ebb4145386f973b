"""Matching: how the patches of an estimate are matched, and the Python of a database with these settings."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from ..arguments import optional, whole
from ..errors import SettingError, brief_value
from ..network import Network
from ..results import value_to_python

METRICS = ("learned", "activation")
NAME = "patches"


@dataclass(frozen=True)
class Matching:
    """How the patches of an estimate are matched.

    Attributes
    ----------
    k : int
        Nearest activations at each position, where the database has a layer.
    size : int, optional
        Side of a matched patch in pixels. Default: half of the patch of an activation; without a layer 32, or half of
        the picture.
    stride : int
        Pixels between the estimate's patches.
    count : int
        The mean of so many nearest patches is the match of a patch.
    every : int
        After how many steps the matches are searched again.
    """

    k: int = 30
    size: int | None = None
    stride: int = 8
    count: int = 10
    every: int = 20


def changed(before: Matching, changes: dict[str, Any]) -> Matching:
    """A matching with other settings. Raises SettingError."""
    known = {f.name for f in fields(Matching)}
    for name in changes:
        if name not in known:
            raise SettingError(
                f"a patch database has no setting {brief_value(name)}; it has {', '.join(sorted(known))}."
            )
    count = whole(1, 1_000_000)
    numbers = {name: (optional(count) if name == "size" else count)(name, value) for name, value in changes.items()}
    return replace(before, **numbers)


def database_to_python(
    net: Network, images: Any, layer: str | None, metric: str, exclude: Sequence[Any], matching: Matching
) -> str:
    """The Python of a database; only a name if its images are not a folder, or some are left out."""
    if not (images is None or isinstance(images, (str, os.PathLike))) or len(exclude):
        return NAME
    folder = "None" if images is None else repr(os.fspath(images))
    more = {"metric": metric} if metric != METRICS[0] else {}
    usual = Matching()
    more |= {f.name: v for f in fields(Matching) if (v := getattr(matching, f.name)) != getattr(usual, f.name)}
    arguments = f", {arguments_to_python(more)}" if more else ""
    return f"cx.PatchDatabase({net.to_python()}, {folder}, {layer!r}{arguments})"


def arguments_to_python(options: dict[str, Any]) -> str:
    """The Python of keyword arguments."""
    return ", ".join(f"{name}={value_to_python(value)}" for name, value in options.items())
