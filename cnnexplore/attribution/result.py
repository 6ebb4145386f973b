"""Attribution: a map over an image's pixels, with the number that it explains and the code that remakes it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from .. import drawing
from ..network import Network
from .segment import box_of, grabcut


@dataclass(frozen=True)
class Attribution:
    """Which pixels. map: (H, W), high where the target is seen; raw: what the method computes, before it is one map.

    raw: (C, H, W) of gradients, in the network's channel order; (1, h, w) of CAMs on the layer's grid; (1, rows,
    columns) of occlusion, by window. target: the class's or unit's number; score: its response to the image;
    signed: whether negative values speak against it; bias: of a CAM, the score without the map's mean, else 0.
    code: the Python that remakes it.
    """

    map: np.ndarray = field(repr=False)
    raw: np.ndarray = field(repr=False)
    target: int
    method: str
    about: str
    score: float
    signed: bool
    x: torch.Tensor = field(repr=False)
    net: Network = field(repr=False)
    bias: float = 0.0
    code: str = ""

    @cached_property
    def image(self) -> np.ndarray:
        """What the network was shown, (H, W, 3) uint8."""
        return self.net.picture(self.x)

    @property
    def picture(self) -> np.ndarray:
        """The map in colours, (H, W, 3) uint8."""
        return drawing.heat(self.map, self.signed)

    def overlay(self, opacity: float = 0.6) -> np.ndarray:
        """The map in colours over the image in grey, (H, W, 3) uint8. Raises SettingError."""
        return drawing.overlay(self.image, self.map, opacity, self.signed)

    def segment(self, foreground: float = 0.95, background: float = 0.3, rounds: int = 1) -> np.ndarray:
        """The object's pixels by GrabCut from the map, (H, W) bool, one connected part; see `segment.grabcut`.

        Needs OpenCV (pip install "cnnexplore[segmentation]").
        """
        return grabcut(self.image, self.map, foreground, background, rounds)

    def box(self, **options) -> tuple[int, int, int, int]:
        """(top, left, bottom, right) around the segment, half open; options as for `segment`."""
        return box_of(self.segment(**options))

    def plot(self):
        """A matplotlib figure: the image, the map with its colour bar, and the map over the image."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.4, 2.9), layout="constrained", dpi=110)
        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.16, 1))
        low, high = drawing.limits(self.map, self.signed)
        left.imshow(self.image, interpolation="nearest")
        drawn = middle.imshow(self.map, cmap=drawing.colours(self.signed), vmin=low, vmax=high, interpolation="nearest")
        right.imshow(self.overlay(), interpolation="nearest")
        beyond = "both" if self.signed else "max"
        figure.colorbar(drawn, ax=middle, fraction=0.046, pad=0.03, extend=beyond).ax.tick_params(labelsize=7)
        for axis, title in ((left, "image"), (middle, self.method.replace("_", " ")), (right, "over the image")):
            axis.set_axis_off()
            axis.set_title(title, fontsize=9)
        figure.suptitle(f"{self.about}, score {self.score:.3g}", fontsize=10)
        return figure

    def save(self, path: str | os.PathLike) -> None:
        """Writes the figure in the format of the path's suffix (png, pdf, svg)."""
        self.plot().savefig(path)

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())
