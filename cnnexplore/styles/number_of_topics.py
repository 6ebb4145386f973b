"""The number of topics: how well k topics describe a class, and how stable they are, for each k."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..arguments import checked, instance, output, several, small_seed, whole
from ..errors import SettingError
from ..representations.features import Features
from ..results import FORMATS, Result, writing
from .factorization import factorize
from .topics import features_to_python, nonnegative

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class TopicCurve(Result):
    """The held-out error and the stability of topics for each k.

    A good k has a low error, and topics that both halves of the images agree on.

    Attributes
    ----------
    ks : list of int
        The numbers of topics.
    error : np.ndarray
        (len(ks),), the residual of held-out images over the length of their activations.
    stability : np.ndarray
        (len(ks),), the mean cosine between the topics of two halves of the images, paired so that it is largest.
    python : str
        The Python that makes it again.
    """

    ks: list[int]
    error: np.ndarray
    stability: np.ndarray
    python: str = field(default="", repr=False)

    @property
    def suggested(self) -> int:
        """The largest k above 1 with a stability within 0.05 of the best one."""
        several = [n for n, k in enumerate(self.ks) if k > 1] or [0]
        best = max(self.stability[n] for n in several)
        return max(self.ks[n] for n in several if self.stability[n] >= best - 0.05)

    def plot(self) -> Figure:
        """A matplotlib figure of both curves."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 2.8), layout="constrained", dpi=110)
        left = figure.subplots()
        right = left.twinx()
        left.plot(self.ks, self.error, "o-", color="tab:blue")
        right.plot(self.ks, self.stability, "s--", color="tab:orange")
        left.set_xlabel("topics k")
        left.set_ylabel("error on held-out images", color="tab:blue")
        right.set_ylabel("agreement of two halves", color="tab:orange")
        left.set_xticks(self.ks)
        left.axvline(self.suggested, color="0.8", zorder=0)
        return figure

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
            rows = zip(self.ks, self.error.tolist(), self.stability.tolist(), strict=True)
            csv.writer(file).writerows([("k", "error", "stability"), *rows])


@checked(
    features=instance(lambda: (Features, np.ndarray), "what cx.features gives"),
    ks=several(whole(1, what="a number of topics"), "a list of numbers of topics"),
    splits=whole(1, 1000, "how many halvings of the images"),
    seed=small_seed,
)
def topic_curve(features: Features, ks: Sequence[int] = range(1, 9), *, splits: int = 3, seed: int = 0) -> TopicCurve:
    """Measure the error and stability of topics for several k, to choose k by.

    For each k and each random halving of the images, the topics of one half are fitted to the other half.

    Parameters
    ----------
    features : Features
        Activations of the images of one class, such as `cx.features(...).of("church")`.
    ks : sequence of int
        Numbers of topics, each at most half of the images.
    splits : int
        How many random halvings the numbers are averaged over.
    seed : int
        Seed of the halvings and of the factorisations.

    Returns
    -------
    TopicCurve
        Error and stability for each k, in ascending order.

    Raises
    ------
    SettingError
        If a k is below 1 or more than half of the images, or if `splits` is below 1.

    References
    ----------
    Brunet, Tamayo, Golub and Mesirov, Metagenes and molecular pattern discovery using matrix factorization, PNAS 2004,
    choose k by the stability of the factorisation too.

    Examples
    --------
    >>> net = cx.load("worldnet-styles")
    >>> churches = cx.world.dataset(24, 1, 96, ["church"])
    >>> features = cx.features(net, churches, cache=False, progress=False)
    >>> cx.topic_curve(features, range(1, 4), splits=1).ks
    [1, 2, 3]
    """
    from scipy.optimize import linear_sum_assignment

    activations, numbers = nonnegative(features), sorted(set(ks))
    most = min(len(activations) // 2, activations.shape[1])
    if not numbers or numbers[0] < 1 or numbers[-1] > most:
        raise SettingError(f"ks are {numbers}; expected numbers of topics, 1 to {most} for {len(activations)} images.")
    errors, stabilities = np.zeros((2, len(numbers), splits))
    for split in range(splits):
        order = np.random.default_rng((seed, split)).permutation(len(activations))
        halves = activations[order[: len(order) // 2]], activations[order[len(order) // 2 :]]
        for n, k in enumerate(numbers):
            found = [factorize(half, k, seed)[1] for half in halves]
            components = [c / np.maximum(np.linalg.norm(c, axis=1, keepdims=True), 1e-12) for c in found]
            cosines = components[0] @ components[1].T
            stabilities[n, split] = cosines[linear_sum_assignment(-cosines)].mean()
            errors[n, split] = np.mean([_residual(halves[1 - h], components[h]) for h in (0, 1)])
    more = f"{f', splits={splits}' if splits != 3 else ''}{f', seed={seed}' if seed else ''}"
    python = f"cx.topic_curve({features_to_python(features)}, {numbers}{more})"
    return TopicCurve(numbers, errors.mean(1), stabilities.mean(1), python)


def _residual(activations: np.ndarray, components: np.ndarray) -> float:
    """The distance of activations to the cone of the components, relative to their length."""
    from scipy.optimize import nnls

    basis = components.T.astype(np.float64)
    squares = sum(nnls(basis, row)[1] ** 2 for row in activations.astype(np.float64))
    return float(np.sqrt(squares) / max(float(np.linalg.norm(activations)), 1e-300))
