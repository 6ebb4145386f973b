"""The settings of a run: what the controls write and the loop reads, one consistent set per step."""

from __future__ import annotations

import math
import threading
from dataclasses import asdict, dataclass, fields, replace

from ..errors import SettingError
from ..network import Layer


@dataclass(frozen=True)
class Values:
    """One consistent set of settings, with the letters of preimage2016.

    C: how much the code counts against looking natural. alpha, beta: exponents of the bounded range and of the total
    variation. jitter: T, the number of pixel shifts along each axis (0 or 1: none). rate: the first step as a
    fraction of N B^2 / alpha. gamma: the weight of a prior of the run's own, where it has one.
    """

    C: float = 1.0
    alpha: float = 6.0
    beta: float = 2.0
    jitter: int = 0
    rate: float = 0.05
    gamma: float = 0.0

    def __post_init__(self):
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not (number and math.isfinite(value) and low <= value <= high):
                raise SettingError(f"{name} is {value!r}; expected a number from {low:g} to {high:g}.")
        if self.jitter != int(self.jitter):
            raise SettingError(f"jitter is {self.jitter!r}; expected a whole number of pixels.")
        object.__setattr__(self, "jitter", int(self.jitter))

    def changed(self, other: Values) -> dict[str, float]:
        """The settings of `other` that differ from these."""
        return {name: value for name, value in asdict(other).items() if value != getattr(self, name)}


RANGES = {"C": (0, 1e9), "alpha": (1, 20), "beta": (1, 3), "jitter": (0, 64), "rate": (1e-6, 10), "gamma": (0, 1e9)}


class Settings:
    """A mailbox for Values: any thread may write, the loop takes one snapshot per step."""

    def __init__(self, values: Values):
        self._lock = threading.Lock()
        self._values = values
        self.version = 0

    def update(self, **changes: float) -> Values:
        """Changes some settings at once, or none: raises SettingError for a name or value that cannot be."""
        names = {f.name for f in fields(Values)}
        for name in changes:
            if name not in names:
                raise SettingError(f"{name!r} cannot change while a run goes on; expected one of {sorted(names)}.")
        with self._lock:
            self._values = replace(self._values, **changes)
            self.version += 1
            return self._values

    def snapshot(self) -> Values:
        """The settings as they are now; immutable."""
        return self._values

    def __getattr__(self, name: str) -> float:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._values, name)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{k}={v:g}' for k, v in asdict(self._values).items())})"


# The classical representations have settings of their own: C as in the authors' experiments (their text says 20).
_CLASSICAL = {"HogDescriptor", "SiftDescriptor"}


def paper_C(layer: Layer, size: tuple[int, int]) -> float:
    """The paper's weight of the code for a layer of that depth (preimage2016, section 5.2).

    One rule in receptive field and stride relative to the input gives the published choices for all layers of
    AlexNet, VGG-M and VGG-VD-16, and carries over to other networks: 300, 100, 20, then 1. Descriptors of HOG and
    DSIFT: 100.
    """
    if layer.kind in _CLASSICAL:
        return 100.0
    sees = max(rf / side for rf, side in zip(layer.rf_size, size, strict=True))
    coarse = max(stride / side for stride, side in zip(layer.rf_stride, size, strict=True)) >= 1 / 8
    if coarse or sees > 0.88:
        return 1.0
    return 300.0 if sees <= 0.45 else 100.0 if sees <= 0.6 else 20.0


def paper_jitter(layer: Layer) -> int:
    """T = a quarter of the layer's stride, at least 1 (section 5.2); none for HOG and DSIFT (section 5.1)."""
    return 1 if layer.kind in _CLASSICAL else max(int(max(layer.rf_stride) / 4 + 0.5), 1)
