"""PreImage: the result of a run; a picture with its numbers and the Python that makes it again."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from .. import drawing
from ..network import Network
from ..results import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = ("#0d9488", "#a16207", "#9333ea", "#be185d")  # of priors that declare none


class Term(NamedTuple):
    """A prior as it is drawn: its column in the history, its name in plots and its colour, each may be empty."""

    name: str
    label: str = ""
    colour: str = ""


@dataclass(frozen=True)
class PreImage(Result):
    """A pre-image: an image that a network's activation, unit or direction determines.

    Attributes
    ----------
    x : torch.Tensor
        (1, C, H, W) in the network's units, on the CPU.
    net : Network
        The network.
    history : np.ndarray
        Structured, (steps,): step, energy, data, the priors by name (alpha, tv, ...), and error or response.
    layer : str
        The layer.
    python : str
        The line of Python that makes it again.
    error : float
        ||Phi(x) - Phi0|| / ||Phi0|| of an inversion; else not a number.
    response : float
        <Phi(x), w> / M of a maximisation or caricature; else not a number.
    about : str
        What it shows, in words.
    terms : tuple of Term
        The priors as they are drawn.
    importance : np.ndarray, optional
        (H, W) how much each pixel mattered: the sum over all steps of the length of its gradient, where the method has
        one (MACO).

    Examples
    --------
    >>> r = cx.invert(cx.load("lenet"), cx.digit(3), "conv2", steps=5, refine=0, progress=False)
    >>> r.picture.shape
    (28, 28, 3)
    >>> r.history["energy"].shape
    (5,)
    """

    x: torch.Tensor = field(repr=False)
    net: Network = field(repr=False)
    history: np.ndarray = field(repr=False)
    layer: str
    python: str = field(default="", repr=False)
    error: float = math.nan
    response: float = math.nan
    about: str = ""
    terms: tuple[Term, ...] = field(default=(), repr=False)
    importance: np.ndarray | None = field(default=None, repr=False)

    @property
    def picture(self) -> np.ndarray:
        """The pre-image, (H, W, 3) uint8."""
        return self.net.picture(self.x)

    @property
    def faded(self) -> np.ndarray:
        """The pre-image on white, each pixel as opaque as it mattered, (H, W, 3) uint8; the picture without importance.

        The fifth of the pixels that mattered most is fully opaque.
        """
        return faded(self.picture, self.importance)

    def plot(self) -> Figure:
        """A matplotlib figure: the picture beside its energy terms, on a logarithmic scale; alone without a step."""
        from matplotlib.figure import Figure

        if not len(self.history):
            return self._plot_picture()
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
        left.imshow(self.faded, interpolation="nearest")
        left.set_axis_off()
        left.set_title(drawing.printable(self._title()), fontsize=10, parse_math=False)
        history = self.history
        priors = sum((history[term.name] for term in self.terms), np.zeros(len(history)))
        lines = [("energy", history["energy"], "0.6"), ("C × data term", history["energy"] - priors, "#c2410c")]
        colours = iter(_COLOURS * len(self.terms))
        for term in self.terms:
            lines.append((term.label or term.name, history[term.name], term.colour or next(colours)))
        positive = not math.isnan(self.error)  # responses and their data terms may be negative: no logarithm
        for label, values, colour in lines:
            right.plot(
                history["step"], np.maximum(values, 1e-12) if positive else values, label=label, color=colour, lw=1.6
            )
        right.set_yscale("log" if positive else "symlog")
        right.set_xlabel("step")
        right.legend(frameon=False, fontsize=8)
        right.spines[["top", "right"]].set_visible(False)
        return figure

    def _plot_picture(self) -> Figure:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3.6, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.imshow(self.faded, interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(drawing.printable(self._title()), fontsize=10, parse_math=False)
        return figure

    def _title(self) -> str:
        if not math.isnan(self.error):
            return f"what {self.layer} keeps; relative error {self.error:.3f}"
        return f"{self.about}; response {self.response:.2f} M"


def faded(picture: np.ndarray, importance: np.ndarray | None) -> np.ndarray:
    """A picture (H, W, 3) uint8 on white, as opaque as each pixel (H, W) mattered; the picture itself for None."""
    if importance is None or not importance.any() or picture.shape[:2] != importance.shape:
        return picture
    least, most = importance.min(), np.quantile(importance, 0.8)
    opacity = np.clip((importance - least) / max(most - least, 1e-30), 0, 1)[..., None]
    return (255 - opacity * (255.0 - picture) + 0.5).astype(np.uint8)
