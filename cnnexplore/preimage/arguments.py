"""Checks of the arguments that all runs share: their settings, seeds, steps, schedule and terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..arguments import Check, choice, flag, number, optional, place, seeds, several, whole
from ..data import Images
from ..errors import SettingError, brief_value
from ..network.arguments import layer_name, network
from .canvas import JITTER
from .energy import DATA_WEIGHT
from .patch_prior import GAMMA
from .priors import ALPHA, BETA, Prior
from .settings import Parameter, Settings
from .solvers import RATE, solvers
from .steered import MOST_STEPS
from .transformations import Transformation


def _parameter(parameter: Parameter) -> Check:
    return lambda name, value: parameter.check(value)


def schedule(name: str, value: Any) -> dict[int, dict[str, Any]]:
    """{step: {setting: value}}; the run says which settings there are."""
    step = whole(0, MOST_STEPS, "a step")
    if not isinstance(value, Mapping):
        raise SettingError(f"{name} is {brief_value(value)}; expected a dict, such as {{100: {{'C': 20}}}}.")
    found = {}
    for key, changes in value.items():
        if not isinstance(changes, Mapping) or not all(isinstance(setting, str) for setting in changes):
            raise SettingError(
                f"{name} has {brief_value(changes)} for step {brief_value(key)}; expected a dict, such as {{'C': 20}}."
            )
        found[step(f"a step of {name}", key)] = dict(changes)
    return found


def settings(name: str, value: Any) -> Any:
    """Values by name, or a mailbox."""
    if isinstance(value, Settings) or (isinstance(value, Mapping) and all(isinstance(key, str) for key in value)):
        return value
    raise SettingError(f"{name} is {brief_value(value)}; expected a dict of numbers by name, or a Settings.")


def _prior(name: str, value: Any) -> Prior:
    if isinstance(value, Prior):
        return value
    raise SettingError(f"{name} is {brief_value(value)}; expected a cnnexplore.preimage.Prior.")


def patches(name: str, value: Any) -> Any:
    """A collection of patches: an object with `prior`, `init` and `to_python`."""
    if all(callable(getattr(value, method, None)) for method in ("prior", "init", "to_python")):
        return value
    raise SettingError(f"{name} is {brief_value(value)}; expected a cx.PatchDatabase.")


def images(name: str, value: Any) -> Images:
    """A list of images, a folder or a data set."""
    return value if isinstance(value, Images) else Images(value)


def _transformation(name: str, value: Any) -> Transformation:
    if isinstance(value, Transformation):
        return value
    raise SettingError(f"{name} is {brief_value(value)}; expected a cnnexplore.preimage.Transformation.")


transforms = several(_transformation, "a list of cnnexplore.preimage.Transformation objects")
steps = whole(0, MOST_STEPS, "how many steps, a whole number")
RUN: dict[str, Check] = {
    "net": network,
    "layer": layer_name,
    "C": optional(_parameter(DATA_WEIGHT)),
    "alpha": _parameter(ALPHA),
    "beta": _parameter(BETA),
    "jitter": optional(_parameter(JITTER)),
    "steps": optional(steps),
    "seed": seeds,
    "solver": optional(choice(solvers)),
    "rate": _parameter(RATE),
    "refine": optional(steps),
    "schedule": optional(schedule),
    "priors": several(_prior, "a list of cnnexplore.preimage.Prior objects"),
    "settings": optional(settings),
}
PATCHES: dict[str, Check] = {
    "patches": optional(patches),
    "gamma": optional(_parameter(GAMMA)),
}
M = optional(number(1e-20, 1e20, "the response that counts as 1, a positive number"))
POSITION = optional(place)
PROGRESS = {"progress": flag}
