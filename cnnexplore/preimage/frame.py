"""Frame: what a run shows after a step."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from .settings import Values

if TYPE_CHECKING:
    from .run import Run


@dataclass(frozen=True)
class Frame:
    """The estimate after a step, with the energy that the step started from.

    x: (N, C, H, W), the canvas's centre. terms: (K, N), the run's `term_names`, on its device.
    """

    step: int
    total: int
    values: Values
    x: torch.Tensor = field(repr=False)
    terms: torch.Tensor = field(repr=False)
    run: Run = field(repr=False)

    @property
    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8, or (N, H, W, 3) for a batch."""
        return self.run.net.picture(self.x)

    @property
    def energies(self) -> dict[str, float]:
        """The terms by name, means over the batch."""
        return dict(zip(self.run.term_names, self.terms.mean(1).tolist(), strict=True))

    @property
    def metric(self) -> float:
        """What the run is judged by, before the step, mean over the batch: the relative error, or the response."""
        return float(self.run.loss.metric(self.terms[1]).mean())

    @property
    def error(self) -> float:
        """||Phi(x) - Phi0|| / ||Phi0|| before the step, mean over the batch; not a number if the run has no Phi0."""
        return self.metric if self.run.loss.metric_name == "error" else math.nan
