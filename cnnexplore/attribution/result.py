"""Attribution: a map over an image's pixels, with the score that it explains and the Python that makes it again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .. import drawing
from ..arguments import checked, fraction, whole
from ..network import Network
from ..results import Result
from .segment import box_of, grabcut

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_SEGMENT = {
    "foreground": fraction("a quantile of the map"),
    "background": fraction("a quantile of the map"),
    "rounds": whole(0, 100, "how often the colours are learnt again"),
}


@dataclass(frozen=True)
class Attribution(Result):
    """Which pixels of an image a class score, or a unit's response, depends on.

    Attributes
    ----------
    map : np.ndarray
        (H, W), high where the target is seen.
    raw : np.ndarray
        What the method computes before it is one map: (C, H, W) of gradients, in the network's channel order;
        (1, h, w) of CAMs, on the layer's grid; (1, rows, columns) of occlusion, by window.
    target : int
        The class or unit.
    method : str
        The method's name.
    about : str
        The target in words: "tench", or "unit 7 of conv4 at (3, 2)".
    score : float
        The response of the target to the image.
    signed : bool
        Whether negative values speak against the target.
    image : np.ndarray
        (H, W, 3) uint8, what the network was shown.
    net : Network
        The network.
    bias : float
        Of a CAM, the score without the mean of `raw`; else 0.
    accuracy : str
        Of occlusion: "exact", or how far what is not computed is off and how that is known, in words. It then begins
        with "approximate", or "unfinished" where the error is not known yet. "" for other methods.
    bound : float, optional
        Of an approximate map: the largest difference that was measured; 0 if exact, None if not known yet.
    python : str
        The Python that makes it again; of an approximate map, the Python of the exact one.

    Examples
    --------
    >>> a = cx.attribute(cx.load("lenet"), cx.digit(3))
    >>> a.about, a.map.shape, a.signed
    ('3', (28, 28), False)
    """

    map: np.ndarray = field(repr=False)
    raw: np.ndarray = field(repr=False)
    target: int
    method: str
    about: str
    score: float
    signed: bool
    image: np.ndarray = field(repr=False)
    net: Network = field(repr=False)
    bias: float = 0.0
    accuracy: str = ""
    bound: float | None = 0.0
    python: str = field(default="", repr=False)

    @property
    def picture(self) -> np.ndarray:
        """The map in colours, (H, W, 3) uint8."""
        return drawing.heat(self.map, self.signed)

    @property
    def in_short(self) -> str:
        """What a caption says of an approximate or unfinished map; "" for others."""
        if self.accuracy in ("", "exact"):
            return ""
        return "unfinished" if self.bound is None else f"approximate, error ≤ {self.bound:.2g} where measured"

    @checked(opacity=fraction("the opacity of the map"))
    def overlay(self, opacity: float = 0.6) -> np.ndarray:
        """The map in colours over the image in grey.

        Parameters
        ----------
        opacity : float
            Of the map, 0 to 1.

        Returns
        -------
        np.ndarray
            (H, W, 3) uint8.

        Raises
        ------
        SettingError
            If the opacity is outside 0 to 1.
        """
        return drawing.overlay(self.image, self.map, opacity, self.signed)

    @checked(**_SEGMENT)
    def segment(self, foreground: float = 0.95, background: float = 0.3, rounds: int = 1) -> np.ndarray:
        """The object's pixels, by GrabCut from the map; needs OpenCV (pip install "cnnexplore[segmentation]").

        Parameters
        ----------
        foreground, background : float
            Quantiles of the map: colours of the object are learnt above the first, those of its surroundings below the
            second.
        rounds : int
            How often the colours are learnt again from what was found.

        Returns
        -------
        np.ndarray
            (H, W) bool, one connected part.

        Raises
        ------
        SettingError
            If the quantiles are out of order, or OpenCV is not installed.

        References
        ----------
        Simonyan et al., Deep inside convolutional networks, 2014, section 3.2; Rother et al., GrabCut, 2004.
        """
        return grabcut(self.image, self.map, foreground, background, rounds)

    @checked(**_SEGMENT)
    def box(self, foreground: float = 0.95, background: float = 0.3, rounds: int = 1) -> tuple[int, int, int, int]:
        """The box around the object's pixels that `segment` finds.

        Parameters
        ----------
        foreground, background : float
            Quantiles of the map: colours of the object are learnt above the first, those of its surroundings below the
            second.
        rounds : int
            How often the colours are learnt again from what was found.

        Returns
        -------
        tuple of int
            (top, left, bottom, right), half open.
        """
        return box_of(self.segment(foreground, background, rounds))

    def plot(self) -> Figure:
        """A matplotlib figure: the image, the map with its colour bar, and the map over the image."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.4, 2.9), layout="constrained", dpi=110)
        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1.16, 1))
        low, high = drawing.limits(self.map, self.signed)
        left.imshow(self.image, interpolation="nearest")
        drawn = middle.imshow(
            self.map, cmap=drawing.colour_map(self.signed), vmin=low, vmax=high, interpolation="nearest"
        )
        right.imshow(self.overlay(), interpolation="nearest")
        beyond = "both" if self.signed else "max"
        figure.colorbar(drawn, ax=middle, fraction=0.046, pad=0.03, extend=beyond).ax.tick_params(labelsize=7)
        for axis, title in ((left, "image"), (middle, self.method.replace("_", " ")), (right, "over the image")):
            axis.set_axis_off()
            axis.set_title(title, fontsize=9, parse_math=False)
        title = f"{self.about}, score {self.score:.3g}" + (f"; {self.in_short}" if self.in_short else "")
        figure.suptitle(drawing.printable(title), fontsize=10, parse_math=False)
        return figure

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())
