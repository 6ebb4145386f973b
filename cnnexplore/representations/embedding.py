"""Embeddings: images as points of a plane, those with similar activations close to each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import array, checked, choice, flag, instance, number, small_seed, whole
from ..errors import SettingError, brief_value
from ..results import Result
from .features import Features

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = {"tsne": "t-SNE after PCA", "pca": "the first two principal components"}
_WIDTH = 50  # principal components that t-SNE is given
_EVERY = 25  # steps of t-SNE between two results of the stream
_MANY = 4000  # points from which on the forces are interpolated
_CHUNK = 4096  # images at a time, where all of them would be too many


@dataclass(frozen=True, eq=False)
class Embedding(Result):
    """Images as points of a plane; `np.asarray(embedding)` are the points.

    Attributes
    ----------
    features : Features
        The images' activations.
    points : np.ndarray
        (N, 2) float32, in the order of the features, without a unit.
    method : str
        How they were found, "tsne" or "pca".
    python : str
        The call that makes this result again.
    """

    features: Features = field(repr=False)
    points: np.ndarray = field(repr=False)
    method: str
    python: str = field(default="", repr=False)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.points, dtype, copy=copy) if copy else np.asarray(self.points, dtype)

    def plot(self, colours: Sequence[float] | np.ndarray | None = None) -> Figure:
        """A matplotlib figure of the points.

        Parameters
        ----------
        colours : (N,) sequence of float, optional
            Numbers, such as labels or topics. Default: the classes that the network predicts.
        """
        from matplotlib.figure import Figure

        numbers = self.features.predicted
        if colours is not None:
            numbers = array("colours", colours, f"{len(self.points)} numbers, one for each image")
            if numbers.shape != (len(self.points),):
                raise SettingError(
                    f"colours is {brief_value(colours)}; expected {len(self.points)} numbers, one for each image."
                )
        figure = Figure(figsize=(4.5, 4.5), layout="constrained", dpi=110)
        axis = figure.subplots()
        axis.scatter(self.points[:, 0], self.points[:, 1], c=numbers, cmap="tab20", s=6, linewidths=0)
        axis.set_title(
            drawing.printable(f"{len(self.points)} images by {self.features.layer.name}, {METHODS[self.method]}"),
            fontsize=9,
            parse_math=False,
        )
        axis.set_xticks([])
        axis.set_yticks([])
        return figure


@checked(
    features=instance(lambda: Features, "what cx.features gives"),
    method=choice(METHODS),
    perplexity=number(1, 1e6, "how many neighbours count as near"),
    steps=whole(1, 100_000, "how many steps of t-SNE"),
    seed=small_seed,
    progress=flag,
)
def embed(
    features: Features,
    *,
    method: str = "tsne",
    perplexity: float = 30,
    steps: int = 500,
    seed: int = 0,
    progress: bool = True,
) -> Embedding:
    """Embed images in a plane, those with similar activations close to each other; the same result each time.

    Parameters
    ----------
    features : Features
        The activations of three images or more.
    method : {"tsne", "pca"}
        t-SNE of the first 50 principal components, or the first two principal components themselves.
    perplexity : float
        How many neighbours count as near, 1 or more; fewer where there are few images.
    steps : int
        Steps of t-SNE; half of them, at most 250, with early exaggeration.
    seed : int
        Of the random choices.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Embedding
        The points, (N, 2), with their picture.

    Raises
    ------
    SettingError
        If the method is unknown, a setting is out of range, or there are fewer than three images.

    References
    ----------
    van der Maaten and Hinton, Visualizing data using t-SNE, 2008.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> scenes = [cx.scene(seed).image for seed in range(4)]
    >>> features = cx.features(cx.load("worldnet"), scenes, cache=False, progress=False)
    >>> cx.embed(features, method="pca").points.shape
    (4, 2)
    """
    with tqdm(total=steps, desc="t-SNE", unit="step", disable=not progress or method != "tsne") as bar:
        for step, found in embed_stream(features, method=method, perplexity=perplexity, steps=steps, seed=seed):
            bar.update(step - bar.n)
            last = found
    return last


@checked(
    features=instance(lambda: Features, "what cx.features gives"),
    method=choice(METHODS),
    perplexity=number(1, 1e6, "how many neighbours count as near"),
    steps=whole(1, 100_000, "how many steps of t-SNE"),
    seed=small_seed,
)
def embed_stream(
    features: Features, *, method: str = "tsne", perplexity: float = 30, steps: int = 500, seed: int = 0
) -> Iterator[tuple[int, Embedding]]:
    """`embed` as a stream: the points every 25 steps, at first the principal components.

    Parameters
    ----------
    features : Features
        The activations of three images or more.
    method : {"tsne", "pca"}
        t-SNE of the first 50 principal components, or the first two principal components themselves.
    perplexity : float
        How many neighbours count as near, 1 or more; fewer where there are few images.
    steps : int
        Steps of t-SNE.
    seed : int
        Of the random choices.

    Yields
    ------
    tuple of int and Embedding
        The step, and the points.

    Raises
    ------
    SettingError
        If the method is unknown, a setting is out of range, or there are fewer than three images.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.representations import embed_stream
    >>> digits = [cx.digit(k) for k in range(6)]
    >>> features = cx.features(cx.load("lenet"), digits, cache=False, progress=False)
    >>> [step for step, _ in embed_stream(features, steps=50)]
    [0, 25, 50]
    """
    if np.ndim(features) != 2 or len(features) < 3:
        shape = np.shape(features)
        raise SettingError(f"features have the shape {shape}; expected (images, channels), 3 images or more.")
    given = features.to_python() or "features"
    python = f"cx.embed({given}, method={method!r}"
    python += f", perplexity={float(perplexity):g}, steps={steps}, seed={seed})" if method == "tsne" else ")"
    with np.errstate(divide="ignore", invalid="ignore"):  # shares of variance, of equal images
        reduced = principal_components(features, min(_WIDTH, *features.shape), seed)
    yield 0, Embedding(features, _first_two(reduced), method, python)
    if method == "tsne":
        for step, points in _tsne(reduced, perplexity, steps, seed):
            yield step, Embedding(features, points, method, python)


def principal_components(features: Features, count: int, seed: int) -> np.ndarray:
    """The first principal components, (N, count) float64; many images are not held in memory at once."""
    from sklearn.decomposition import PCA, IncrementalPCA

    if len(features) <= 2 * _CHUNK:
        rows = np.asarray(features, np.float32).astype(np.float64)
        return _oriented(PCA(count, random_state=seed, svd_solver="covariance_eigh").fit_transform(rows))
    pca, last = IncrementalPCA(count), len(features) // _CHUNK * _CHUNK
    chunks = [slice(first, first + _CHUNK) for first in range(0, last, _CHUNK)]
    for chunk in chunks:
        pca.partial_fit(np.asarray(features[chunk], np.float64))
    parts = [pca.transform(np.asarray(features[chunk], np.float64)) for chunk in chunks]
    if last < len(features):
        parts.append(pca.transform(np.asarray(features[last:], np.float64)))
    return _oriented(np.concatenate(parts))


def _oriented(points: np.ndarray) -> np.ndarray:
    """Each axis in the direction in which its largest entry is positive: the same on every machine."""
    largest = points[np.abs(points).argmax(0), np.arange(points.shape[1])]
    return points * np.where(largest < 0, -1, 1)


def _first_two(reduced: np.ndarray) -> np.ndarray:
    points = np.zeros((len(reduced), 2))
    points[:, : reduced.shape[1]] = reduced[:, :2]
    return points.astype(np.float32)


def _tsne(reduced: np.ndarray, perplexity: float, steps: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    from openTSNE import TSNEEmbedding, affinity, initialization

    if not np.ptp(reduced, axis=0).any():  # all images are equal: one point
        yield steps, np.zeros((len(reduced), 2), np.float32)
        return
    reduced = np.ldexp(reduced, -int(np.frexp(np.abs(reduced).max())[1]))  # about 1: squares of it must be finite
    near = min(perplexity, max(1.0, (len(reduced) - 1) / 3))
    affinities = affinity.PerplexityBasedNN(reduced, near, method="exact", n_jobs=1, random_state=seed)
    start = initialization.pca(reduced, random_state=seed) if reduced.shape[1] > 1 else _first_two(reduced) * 1e-4
    gradient = "fft" if len(reduced) > _MANY else "bh"
    points = TSNEEmbedding(start, affinities, negative_gradient_method=gradient, n_jobs=1, random_state=seed)
    early, step = min(250, steps // 2), 0
    while step < steps:
        phase = {"exaggeration": 12, "momentum": 0.5} if step < early else {"momentum": 0.8}
        some = min(_EVERY, (early if step < early else steps) - step)
        points.optimize(some, inplace=True, **phase)
        step += some
        yield step, np.array(points, np.float32)
