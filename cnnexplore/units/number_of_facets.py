"""The number of facets: how well k groups of a unit's images are separated, and how stable they are, for each k."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import output
from ..representations.embedding import embed
from ..representations.features import Features
from ..results import FORMATS, Result, writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KS = range(2, 9)
_SPLITS = 2  # pairs of parts of the images that are embedded apart
_LEFT_OUT = 0.2  # of the images, in each part
_UNSTABLE, _MIXED = 0.05, 0.1  # below the best agreement and the best separation, that a larger k may be


@dataclass(frozen=True, eq=False)
class FacetCurve(Result):
    """How k facets of a unit are separated in the plane, and how two parts of the images agree on them, for each k.

    Both are at most 1. t-SNE makes islands of anything; what the parts agree on is less likely to be its work. A unit
    with a single facet has low numbers everywhere.

    Attributes
    ----------
    ks : list of int
        The numbers of facets.
    separation : np.ndarray
        (len(ks),), the mean silhouette of the images in the plane.
    agreement : np.ndarray
        (len(ks),), the adjusted Rand index between the groups of two parts of the images, each without another fifth
        of them and embedded by itself, over the images in both.
    python : str
        The Python that makes it again.
    """

    ks: list[int]
    separation: np.ndarray
    agreement: np.ndarray
    python: str = field(default="", repr=False)

    @property
    def suggested(self) -> int:
        """The largest k whose agreement is within 0.05, and its separation within 0.1, of the best one."""
        stable = self.agreement >= self.agreement.max() - _UNSTABLE
        apart = self.separation >= self.separation[stable].max() - _MIXED
        return max(k for k, good in zip(self.ks, stable & apart, strict=True) if good)

    def plot(self) -> Figure:
        """A matplotlib figure of both curves."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 2.8), layout="constrained", dpi=110)
        self.draw(figure.subplots())
        return figure

    def draw(self, axis: Any) -> None:
        """Draw both curves into matplotlib axes.

        Parameters
        ----------
        axis : matplotlib.axes.Axes
            The axes.
        """
        axis.plot(self.ks, self.agreement, "s--", color="tab:orange", label="agreement of two parts", ms=4)
        axis.plot(self.ks, self.separation, "o-", color="tab:blue", label="separation (silhouette)", ms=4)
        axis.axvline(self.suggested, color="0.8", zorder=0, label=f"suggested: {self.suggested}")
        axis.set_ylim(min(0.0, *self.agreement, *self.separation) - 0.05, 1.05)
        axis.set_xticks(self.ks)
        axis.set_xlabel("facets k", fontsize=8)
        axis.tick_params(labelsize=7)
        axis.legend(frameon=False, fontsize=7)

    def save(self, path: str | os.PathLike) -> None:
        """Write the numbers as a .csv file, or the figure.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .csv, .png, .pdf, .svg or another suffix of an image format.
        """
        place = output(FORMATS | {".csv"})("path", path)
        if place.suffix.lower() != ".csv":
            return super().save(place)
        with writing(place), open(place, "w", newline="", encoding="utf-8") as file:
            rows = zip(self.ks, self.separation.tolist(), self.agreement.tolist(), strict=True)
            csv.writer(file).writerows([("k", "separation", "agreement"), *rows])


def groups(points: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """k-means in the plane: the group of each point, (N,), the largest group first, and the centroids, (k, 2)."""
    from sklearn.cluster import KMeans

    found = KMeans(k, n_init=10, random_state=seed).fit(np.asarray(points, np.float64))
    order = np.argsort(-np.bincount(found.labels_, minlength=k), kind="stable")
    return np.argsort(order)[found.labels_], found.cluster_centers_[order]


def measure(
    features: Features,
    points: np.ndarray,
    ks: Sequence[int],
    perplexity: float,
    steps: int,
    seed: int,
    python: str = "",
) -> FacetCurve:
    """The curve for a unit's activations and their points in the plane; at least eight of them."""
    from sklearn.metrics import adjusted_rand_score, silhouette_score

    parts, random, left_out = [], np.random.default_rng(seed), max(1, round(_LEFT_OUT * len(features)))
    for _ in range(_SPLITS):
        order = random.permutation(len(features))
        pair = [np.sort(order[left_out:]), np.sort(order[:-left_out])]
        planes = [
            embed(features.only(which), perplexity=perplexity, steps=steps, seed=seed, progress=False).points
            for which in pair
        ]
        parts.append((pair, planes, np.intersect1d(pair[0], pair[1])))
    separation, agreement = [], []
    for k in ks:
        labels = groups(points, k, seed)[0]
        several = len(np.unique(labels)) > 1
        separation.append(silhouette_score(points, labels) if several else 0.0)
        agreed = []
        for pair, planes, both in parts:
            sides = [groups(plane, k, seed)[0][np.searchsorted(w, both)] for w, plane in zip(pair, planes, strict=True)]
            agreed.append(adjusted_rand_score(*sides) if several else 0.0)
        agreement.append(np.mean(agreed))
    return FacetCurve(list(ks), np.array(separation, float), np.array(agreement, float))
