"""Images as points of a plane, those with similar codes close to each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from tqdm.auto import tqdm

from ..errors import SettingError
from .features import Features

METHODS = {"tsne": "t-SNE after PCA", "pca": "the first two principal components"}
_WIDTH = 50  # of the codes that t-SNE is given
_EVERY = 25  # steps of t-SNE between two looks
_MANY = 4000  # points from which on the forces are interpolated
_CHUNK = 4096  # images at a time, where all of them would be too many


@dataclass(frozen=True, eq=False)
class Embedding:
    """points: (N, 2), in the order of the features; they have no unit. method: how they were found."""

    features: Features = field(repr=False)
    points: np.ndarray = field(repr=False)
    method: str

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.points, dtype, copy=copy) if copy else np.asarray(self.points, dtype)

    def plot(self, colours=None):
        """A matplotlib figure. colours: (N,) numbers such as labels or topics (default: what the network predicts)."""
        from matplotlib.figure import Figure

        numbers = self.features.predicted if colours is None else np.asarray(colours)
        figure = Figure(figsize=(4.5, 4.5), layout="constrained", dpi=110)
        axis = figure.subplots()
        axis.scatter(*self.points.T, c=numbers, cmap="tab20", s=6, linewidths=0)
        axis.set_title(f"{len(self.points)} images by {self.features.layer.name}, {METHODS[self.method]}", fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
        return figure

    def _repr_png_(self) -> bytes:
        from .. import drawing

        return drawing.shown(self.plot())


def embed(
    features: Features,
    method: str = "tsne",
    *,
    perplexity: float = 30,
    steps: int = 500,
    seed: int = 0,
    progress: bool = True,
) -> Embedding:
    """Each image's place on a plane; the same each time.

    method: "tsne" or "pca". perplexity: how many neighbours count as near, less where there are few images. steps: of
    t-SNE, half of them, and at most 250, with early exaggeration. Raises SettingError.
    Source: van der Maaten and Hinton, Visualizing data using t-SNE, 2008.
    """
    last = None
    with tqdm(total=steps, desc="t-SNE", unit="step", disable=not progress or method != "tsne") as bar:
        for step, points in embed_stream(features, method, perplexity=perplexity, steps=steps, seed=seed):
            bar.update(step - bar.n)
            last = points
    return last


def embed_stream(
    features: Features, method: str = "tsne", *, perplexity: float = 30, steps: int = 500, seed: int = 0
) -> Iterator[tuple[int, Embedding]]:
    """`embed` as a stream: (step, the points as they are) every 25 steps, at first the principal components."""
    if method not in METHODS:
        raise SettingError(f"method is {method!r}; expected one of {', '.join(map(repr, METHODS))}.")
    if np.ndim(features) != 2 or len(features) < 3:
        shape = np.shape(features)
        raise SettingError(f"features have the shape {shape}; expected (images, channels), 3 images or more.")
    if not isinstance(perplexity, (int, float)) or not perplexity >= 1 or not isinstance(steps, int) or steps < 1:
        raise SettingError(f"perplexity is {perplexity!r}, steps {steps!r}; expected numbers of 1 or more.")
    reduced = principal(features, min(_WIDTH, *features.shape), seed)
    yield 0, Embedding(features, _plane(reduced), method)
    if method == "tsne":
        for step, points in _tsne(reduced, perplexity, steps, seed):
            yield step, Embedding(features, points, method)


def principal(features: Features, width: int, seed: int) -> np.ndarray:
    """The first principal components of codes (N, width), float64; of many images without holding all codes at once."""
    from sklearn.decomposition import PCA, IncrementalPCA

    if len(features) <= 2 * _CHUNK:
        codes = np.asarray(features, np.float32).astype(np.float64)
        return _signed(PCA(width, random_state=seed, svd_solver="covariance_eigh").fit_transform(codes))
    pca, last = IncrementalPCA(width), len(features) // _CHUNK * _CHUNK
    chunks = [slice(first, first + _CHUNK) for first in range(0, last, _CHUNK)]
    for rows in chunks:
        pca.partial_fit(np.asarray(features[rows], np.float64))
    parts = [pca.transform(np.asarray(features[rows], np.float64)) for rows in [*chunks, slice(last, None)]]
    return _signed(np.concatenate([part for part in parts if len(part)]))


def _signed(points: np.ndarray) -> np.ndarray:
    """Each axis in the direction in which its largest entry is positive: the same on every machine."""
    largest = points[np.abs(points).argmax(0), np.arange(points.shape[1])]
    return points * np.where(largest < 0, -1, 1)


def _plane(reduced: np.ndarray) -> np.ndarray:
    points = np.zeros((len(reduced), 2))
    points[:, : reduced.shape[1]] = reduced[:, :2]
    return points.astype(np.float32)


def _tsne(reduced: np.ndarray, perplexity: float, steps: int, seed: int) -> Iterator[tuple[int, np.ndarray]]:
    from openTSNE import TSNEEmbedding, affinity, initialization

    near = min(perplexity, max(1.0, (len(reduced) - 1) / 3))
    likeness = affinity.PerplexityBasedNN(reduced, near, method="exact", n_jobs=1, random_state=seed)
    start = initialization.pca(reduced, random_state=seed) if reduced.shape[1] > 1 else _plane(reduced) * 1e-4
    way = "fft" if len(reduced) > _MANY else "bh"
    points = TSNEEmbedding(start, likeness, negative_gradient_method=way, n_jobs=1, random_state=seed)
    early, step = min(250, steps // 2), 0
    while step < steps:
        phase = {"exaggeration": 12, "momentum": 0.5} if step < early else {"momentum": 0.8}
        some = min(_EVERY, (early if step < early else steps) - step)
        points.optimize(some, inplace=True, **phase)
        step += some
        yield step, np.array(points, np.float32)
