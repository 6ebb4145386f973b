"""What a step is given from outside: the settings, the solver's numbers and the random changes of the image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch

from .canvas import Offsets
from .scalars import Number
from .settings import Values

Watching = Literal["asks", "always", "never"]


class Change(NamedTuple):
    """A random change of the images of a batch, on their device.

    Attributes
    ----------
    places : torch.Tensor
        (N, 2, 3), as `transformations.places_of` gives.
    noise : torch.Tensor or None
        (N, C, H, W) what is added.
    """

    places: torch.Tensor
    noise: torch.Tensor | None


@dataclass(frozen=True)
class Inputs:
    """What varies from step to step.

    Attributes
    ----------
    values : Values
        The settings.
    offsets : torch.Tensor, list or None
        (N, 2) the (top, left) corner of each image's crop, a tensor where the step may be captured; None where the
        canvas has no border.
    changes : tuple of Change
        Transformations of the crops; of several the mean loss is taken.
    numbers : mapping
        What `Solver.numbers` gave.
    watching : {"asks", "always", "never"}
        How a unit without a response, behind a rectifier, comes to follow the gradient of what goes into the rectifier.
        "asks" looks for such units, which waits for the device; "always" lets the gradient find them; "never" leaves
        them.
    """

    values: Values
    offsets: Offsets | None = None
    changes: tuple[Change, ...] = ()
    numbers: Mapping[str, Number] = field(default_factory=dict)
    watching: Watching = "asks"


def sent(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A tensor of the CPU on a device, without waiting for it."""
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)
