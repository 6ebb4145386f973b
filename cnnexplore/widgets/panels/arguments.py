"""Checks of the arguments that several panels share: what is looked at, how runs begin, images to search in."""

from __future__ import annotations

import os
from typing import Any

from ...arguments import Check, flag, instance, number, optional, small_seed, whole
from ...data import Images
from ...errors import ExploreError, ImageError, brief
from ...network import Network
from ...network.arguments import layer_name
from ...network.arguments import network as as_network
from ...preimage import arguments as run_arguments
from ...representations import Features
from ...styles import PatchDatabase
from ..live.selection import SharedSelection

MOST_SEEDS, MOST_STEPS = 16, 100_000
MOST_GAMMA = 1e5


def network(name: str, value: Any) -> Any:
    """A Network, or a name or path for `load`. Raises NetworkError."""
    return value if isinstance(value, (str, os.PathLike)) else as_network(name, value)


def source(name: str, value: Any) -> Any:
    """A folder, a list or a data set of images, or what was made of one; it is returned as it is."""
    if not isinstance(value, (PatchDatabase, Features, Images)):
        Images(value)
    return value


def read_first(net: Network, images: Any) -> None:
    """Read the first of some images, so that what holds no images is refused before the panel is made.

    Raises ImageError.
    """
    if images is None or isinstance(images, (PatchDatabase, Features)):
        return
    try:
        net.pixels.read(Images.of(net, images)[0])
    except ExploreError:
        raise
    except Exception as error:  # the user's own data set
        raise ImageError(f"the first image raised {type(error).__name__}: {brief(error)}.") from error


LOOKED_AT: dict[str, Check] = {
    "net": optional(network),
    "layer": optional(layer_name),
    "selection": optional(instance(lambda: SharedSelection, "a SharedSelection, that of another panel")),
}
START: dict[str, Check] = {
    "seed": small_seed,
    "seeds": whole(1, MOST_SEEDS, "how many pictures"),
    "steps": whole(1, MOST_STEPS, "how many steps"),
}
STARTED = {"start": flag}
PRIORS = {"priors": run_arguments.RUN["priors"]}
PATCHES: dict[str, Check] = {
    "patches": optional(source),
    "gamma": optional(number(0.01, MOST_GAMMA, "the weight of the patches")),
}
