"""The facets of a unit: the result of `facets`, with its plane of images and its pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import drawing
from ..arguments import optional, whole
from ..network import Layer, Network, unit_name
from ..representations.embedding import Embedding
from ..results import Result
from .excited import Excited
from .number_of_facets import FacetCurve

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7f7f7f",
    "#8c564b",
    "#bcbd22",
    "#17becf",
)


@dataclass(frozen=True, eq=False)
class Facets(Result):
    """The facets of a unit: groups of the images that excite it, and for each a picture that it responds to.

    Facets are numbered by their number of images, the largest first.

    Attributes
    ----------
    embedding : Embedding
        The N images, or patches, as points of a plane, with the activations that they were placed by.
    assignment : np.ndarray
        (N,) int, the facet of each of them.
    values : np.ndarray
        (N,), the unit's responses to them, the largest first.
    nearest : list of np.ndarray
        For each facet the images nearest to its centroid, of which it is the mean: indices below N, the nearest first.
    means : np.ndarray
        (k, C, H, W) float32, the mean images in the network's units: where each picture starts.
    x : np.ndarray
        (k, C, H, W) float32, the pictures in the network's units.
    responses : np.ndarray
        (k,), the unit's responses to the pictures.
    deviations : np.ndarray
        (k,), root mean squared difference of the images of a facet's mean from it, 0..255. A small one is a sharp mean.
    deviation : float
        The same of all N images from their own mean.
    history : np.ndarray
        (steps, k), the responses during the ascent.
    layer : Layer
        The unit's layer.
    unit : int
        The unit.
    net : Network
        The network.
    method : str
        How the pictures were made: "multifaceted2016", "preimage2016" or "none".
    curve : FacetCurve or None
        What k was chosen by, where it was not given.
    excited : Excited
        What excites the unit.
    step : int
        How many steps were taken.
    total : int
        How many steps there are.
    python : str
        The call that makes this result again.
    """

    embedding: Embedding = field(repr=False)
    assignment: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)
    nearest: list[np.ndarray] = field(repr=False)
    means: np.ndarray = field(repr=False)
    x: np.ndarray = field(repr=False)
    responses: np.ndarray
    deviations: np.ndarray
    deviation: float
    history: np.ndarray = field(repr=False)
    layer: Layer
    unit: int
    net: Network = field(repr=False)
    method: str
    curve: FacetCurve | None = field(default=None, repr=False)
    excited: Excited | None = field(default=None, repr=False)
    step: int = 0
    total: int = 0
    python: str = field(default="", repr=False)

    def __len__(self) -> int:
        return len(self.nearest)

    @property
    def sizes(self) -> np.ndarray:
        """(k,) int, how many images each facet has."""
        return np.bincount(self.assignment, minlength=len(self))

    @property
    def pictures(self) -> np.ndarray:
        """The facets' pictures, (k, H, W, 3) uint8."""
        return self.net.pixels.decode(torch.from_numpy(self.x)).numpy()

    @property
    def mean_pictures(self) -> np.ndarray:
        """The mean images, (k, H, W, 3) uint8."""
        return self.net.pixels.decode(torch.from_numpy(self.means)).numpy()

    @property
    def indices(self) -> np.ndarray:
        """(N,) int, the images' numbers in the data set."""
        return self.embedding.features.numbers

    def images(self, facet: int, k: int | None = None) -> np.ndarray:
        """What the unit saw of the images that a facet's mean is of, (n, H, W, 3) uint8; grey outside an image.

        Parameters
        ----------
        facet : int
            The number of the facet.
        k : int, optional
            Only the k nearest to the centroid.

        Raises
        ------
        SettingError
            If there is no such facet.
        """
        facet = whole(0, len(self) - 1, "the number of a facet")("facet", facet)
        k = optional(whole(1, what="how many images"))("k", k)
        assert self.excited is not None
        return self.excited.pictures(self.nearest[facet][:k].tolist())

    def __repr__(self) -> str:
        name = unit_name(self.net, self.layer, self.unit)
        counts = ", ".join(map(str, self.sizes))
        return f"<{len(self)} facets of {name} of {self.layer.name}, of {counts} images>"

    def plot(self, k: int = 5) -> Figure:
        """A matplotlib figure: the plane of images, and a row for each facet with its mean, its picture and its images.

        Parameters
        ----------
        k : int
            Images in a row.
        """
        from matplotlib.figure import Figure

        k = whole(1, 50, "images in a row")("k", k)
        rows, columns = len(self), 2 + min(k, max(len(one) for one in self.nearest))
        height = max(1.25 * rows + 0.75, 3.4 if self.curve is None else 5.2)
        figure = Figure(figsize=(3.3 + 1.05 * columns, height), layout="constrained", dpi=110)
        parts: Any = figure.subfigures(1, 2, width_ratios=(3.3, 1.05 * columns))
        left, right = parts
        axes = left.subplots(1 if self.curve is None else 2, 1, squeeze=False)[:, 0]
        self._draw_plane(axes[0])
        if self.curve is not None:
            self.curve.draw(axes[1])
        drawn = self.net.pixels.decode(torch.from_numpy(np.concatenate([self.means, self.x]))).numpy()
        for facet, line in enumerate(right.subplots(rows, columns, squeeze=False)):
            cells = [drawn[facet], drawn[rows + facet], *self.images(facet, k)]
            spread = f"mean of {len(self.nearest[facet])}\n± {self.deviations[facet]:.0f} of 255"
            titles = [spread, f"facet {facet}\nresponse {self.responses[facet]:.3g}"]
            titles += [f"{self.values[one]:.3g}" for one in self.nearest[facet][:k]]
            for n, axis in enumerate(line):
                axis.set_xticks([])
                axis.set_yticks([])
                if n >= len(cells):
                    axis.set_axis_off()
                    continue
                axis.imshow(cells[n], interpolation="nearest")
                axis.set_title(titles[n], fontsize=7, pad=2)
                for side in axis.spines.values():
                    side.set(color=_COLOURS[facet % len(_COLOURS)], linewidth=2 if n == 1 else 1, visible=n < 2)
        figure.suptitle(drawing.printable(self._title()), fontsize=9, parse_math=False)
        return figure

    def _title(self) -> str:
        name = unit_name(self.net, self.layer, self.unit)
        kind = "patches" if self.layer.has_map else "images"
        by = self.embedding.features.layer.name
        return f"{self.net.name}, {name} of {self.layer.name}: {len(self)} facets of {len(self.values)} {kind}, by {by}"

    def _draw_plane(self, axis: Any) -> None:
        points = self.embedding.points
        for facet in range(len(self)):
            of = points[self.assignment == facet]
            colour = _COLOURS[facet % len(_COLOURS)]
            axis.scatter(of[:, 0], of[:, 1], s=7, linewidths=0, color=colour, label=f"facet {facet}: {len(of)}")
            near = points[self.nearest[facet]]
            axis.scatter(near[:, 0], near[:, 1], s=14, linewidths=0.5, facecolors="none", edgecolors="black")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_title("t-SNE of the activations; circles: in a mean", fontsize=7)
        axis.legend(fontsize=6, markerscale=1.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3)
