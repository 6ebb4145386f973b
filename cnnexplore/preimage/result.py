"""PreImage: what a run leaves behind; an image with its numbers and the Python that makes it again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch

from ..network import Network
from ..results import Result


@dataclass(frozen=True)
class PreImage(Result):
    """A pre-image. x: (1, C, H, W) in the network's units.

    error: ||Phi(x) - Phi0|| / ||Phi0|| of an inversion; response: <Phi(x), w> / M of a maximisation or caricature; the
    other one is not a number. history: structured array (step, energy, data, alpha, tv, other priors, and error or
    response), one record per step. python: the line of Python that makes it again. about: what it shows, in words.
    """

    x: torch.Tensor = field(repr=False)
    net: Network = field(repr=False)
    history: np.ndarray = field(repr=False)
    layer: str
    python: str = field(default="", repr=False)
    error: float = math.nan
    response: float = math.nan
    about: str = ""

    @property
    def picture(self) -> np.ndarray:
        """(H, W, 3) uint8."""
        return self.net.picture(self.x)

    def plot(self):
        """A matplotlib figure: the image beside its energy terms, on a logarithmic scale."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
        left.imshow(self.picture, interpolation="nearest")
        left.set_axis_off()
        left.set_title(self._title(), fontsize=10)
        steps, names = self.history["step"], self.history.dtype.names[3:-1]
        priors = sum(self.history[name] for name in names)
        responding = math.isnan(self.error)  # whose data term is negative: no logarithm
        lines = {
            "energy": (self.history["energy"], "0.6"),
            "C × data term": (self.history["energy"] - priors, "#c2410c"),
            "total variation": (self.history["tv"], "#2563eb"),
            "bounded range": (self.history["alpha"], "#7aa2f7"),
        }
        more = [name for name in names if name not in ("alpha", "tv")]
        lines |= {name: (self.history[name], "#0d9488") for name in more}
        for label, (values, colour) in lines.items():
            right.plot(steps, values if responding else np.maximum(values, 1e-12), label=label, color=colour, lw=1.6)
        right.set_yscale("symlog" if responding else "log")
        right.set_xlabel("step")
        right.legend(frameon=False, fontsize=8)
        right.spines[["top", "right"]].set_visible(False)
        return figure

    def _title(self) -> str:
        if math.isnan(self.error):
            return f"{self.about}; response {self.response:.2f} M"
        return f"what {self.layer} keeps; relative error {self.error:.3f}"
