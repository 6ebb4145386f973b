"""Topics: the styles of a class, as a non-negative factorisation of its images' codes (intraclass2015, section 4.2)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from .. import drawing
from ..errors import SettingError
from ..representations.features import Features

THRESHOLD, DISTINCT = 0.3, 1.5  # of a portrait: what all topics of a class share gives one picture for all
FAINT, FAVOURED = 0.1, 1.2  # of a fill: with a portrait's channels alone, the whole network sees no such class in it
_STEPS = 500  # of the factorisation, at most
_TILE = 96  # pixels of a picture in a plot, at most


@dataclass(frozen=True, eq=False)
class Topics:
    """The k components of codes that are about weights @ components, all non-negative.

    components: (k, D), each of length 1; weights: (N, k), in units of the codes; error: the residual's length over the
    codes'. Topics are numbered by how much of the codes they explain, the largest first.
    """

    features: Features = field(repr=False)
    components: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    error: float
    seed: int = 0

    def __len__(self) -> int:
        return len(self.components)

    def __getitem__(self, topic: int) -> Topic:
        return Topic(self, self._known(topic))

    def __iter__(self) -> Iterator[Topic]:
        return (Topic(self, k) for k in range(len(self)))

    def __repr__(self) -> str:
        counts = ", ".join(map(str, np.bincount(self.assignment, minlength=len(self))))
        return f"<{len(self)} topics of {len(self.features)} images: {counts}; error {self.error:.3f}>"

    @property
    def assignment(self) -> np.ndarray:
        """The strongest topic of each image, (N,)."""
        return self.weights.argmax(1)

    @property
    def shares(self) -> np.ndarray:
        """How much of each image each topic is, (N, k); rows sum to 1, or to 0 where an image has no topic."""
        return self.weights / np.maximum(self.weights.sum(1, keepdims=True), 1e-12)

    def images(self, topic: int, k: int | None = 9) -> np.ndarray:
        """Which images a topic has, by their place in the features, those first that are most of this topic.

        k: at most so many; None for all that are more of it than of any other. Raises SettingError.
        """
        topic = self._known(topic)
        own = np.flatnonzero(self.assignment == topic) if k is None else np.arange(len(self.weights))
        order = np.lexsort((-self.weights[own, topic], -self.shares[own, topic].round(6)))
        return own[order][:k]

    def mask(self, topic: int, threshold: float = 0.0, distinct: float = 0.0) -> np.ndarray:
        """The channels that a topic uses, (D,) bool: m7 of section 4.2, where its component is not zero.

        threshold: a share of the component's largest entry that a channel must exceed, 0 to below 1. distinct: how many
        times the entry of every other topic it must have at least, 0 or more; what all topics use opens nothing of one.
        Raises SettingError.
        """
        topic = self._known(topic)
        return topic_mask(self.components[topic], self.strongest_other(topic), threshold, distinct)

    def distinctive_mask(self, topic: int, threshold: float = FAINT, distinct: float = FAVOURED) -> np.ndarray:
        """The channels that are more of a topic than of any other, (D,) bool; all that it uses where none is."""
        try:
            return self.mask(topic, threshold, distinct)
        except SettingError:
            return self.mask(topic)

    def strongest_other(self, topic: int) -> np.ndarray:
        """The largest entry that any other topic has in each channel, (D,)."""
        return np.delete(self.components, self._known(topic), 0).max(0, initial=0)

    def similar(self, topic: int) -> list[tuple[int, float]]:
        """The other topics with the cosine of the angle to each, the most similar first. Raises SettingError."""
        likeness = self.components @ self.components[self._known(topic)]
        return [(int(k), float(likeness[k])) for k in np.argsort(-likeness, kind="stable") if k != topic]

    def transform(self, codes: np.ndarray) -> np.ndarray:
        """The weights (n, k) of further codes (n, D), by non-negative least squares; the components stay."""
        from scipy.optimize import nnls

        rows = np.maximum(np.asarray(codes, np.float64), 0)
        if rows.ndim != 2 or rows.shape[1] != self.components.shape[1]:
            raise SettingError(f"codes of shape {rows.shape} do not fit topics of {self.components.shape[1]} channels.")
        basis = self.components.T.astype(np.float64)
        return np.stack([nnls(basis, row)[0] for row in rows]).astype(np.float32)

    def plot(self, k: int = 8):
        """A matplotlib figure: a row of images for each topic."""
        pictures, titles = [], []
        for topic in range(len(self)):
            which = self.images(topic, k)
            pictures += list(self.features.pictures(which, _TILE))
            titles += [f"topic {topic}" if not n else "" for n in range(len(which))]
        return drawing.panels(pictures, titles, min(k, len(self.features)), 1.0)

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())

    def _known(self, topic: int) -> int:
        if not isinstance(topic, (int, np.integer)) or isinstance(topic, bool) or not 0 <= topic < len(self):
            raise SettingError(f"topic is {topic!r}; there are topics 0 to {len(self) - 1}.")
        return int(topic)


def topic_mask(component: np.ndarray, others: np.ndarray, threshold: float, distinct: float) -> np.ndarray:
    """The channels of `Topics.mask`, from a component and the largest entries of others. Raises SettingError."""
    if not 0 <= threshold < 1:
        raise SettingError(f"threshold is {threshold!r}; expected a share of the largest entry, 0 to below 1.")
    if not 0 <= distinct < np.inf:
        raise SettingError(f"distinct is {distinct!r}; expected how many times any other topic, 0 or more.")
    mask = (component > threshold * component.max()) & (component >= distinct * others)
    if not mask.any():
        raise SettingError(f"no channel is {distinct:g} times as strong as elsewhere; lower distinct or the threshold.")
    return mask


@dataclass(frozen=True)
class Topic:
    """One topic. threshold, distinct: what a channel must have to be in the mask, as `Topics.mask` takes them."""

    topics: Topics
    number: int
    threshold: float = 0.0
    distinct: float = 0.0

    @property
    def component(self) -> np.ndarray:
        """(D,), of length 1."""
        return self.topics.components[self.number]

    @property
    def mask(self) -> np.ndarray:
        """The channels that it uses, (D,) bool: what cx.Pathway.topic takes."""
        return self.topics.mask(self.number, self.threshold, self.distinct)

    @property
    def distinctive_mask(self) -> np.ndarray:
        """The channels that are more of it than of any other, (D,) bool."""
        return self.topics.distinctive_mask(self.number)

    def images(self, k: int | None = 9) -> np.ndarray:
        """Which images are most of this topic, by their place in the features."""
        return self.topics.images(self.number, k)


def topics(features: Features, k: int, *, seed: int = 0) -> Topics:
    """The k topics of a class's codes, found by non-negative matrix factorisation; the same each time.

    features: those of one class, `cx.features(...).of("church")`; what is negative counts as 0, so that fc7 is relu7.
    Raises SettingError if k is more than the images or channels, or if all codes are zero.
    Source: intraclass2015, section 4.2.
    """
    codes = positive(features)
    most = min(codes.shape)
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or not 1 <= k <= most:
        raise SettingError(f"k is {k!r}; expected how many topics, 1 to {most} for {len(codes)} images.")
    weights, components, error = factorised(codes, int(k), seed)
    length = np.linalg.norm(components, axis=1)
    weights, components = weights * length, components / np.maximum(length, 1e-12)[:, None]
    order = np.argsort(-np.linalg.norm(weights, axis=0), kind="stable")
    return Topics(features, components[order], weights[:, order], error, seed)


def positive(features) -> np.ndarray:
    """Codes (N, D) as float32 without what is negative. Raises SettingError for what has no two dimensions, or is 0."""
    codes = np.maximum(np.asarray(features, np.float32), 0)
    if codes.ndim != 2 or not codes.size:
        raise SettingError(f"features have the shape {codes.shape}; expected (images, channels), of one image or more.")
    if not np.isfinite(codes).all() or not codes.any():
        raise SettingError("the features are all zero or not finite; take another layer, such as a relu's.")
    return codes


def factorised(codes: np.ndarray, k: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """weights (N, k), components (k, D), relative error, by coordinate descent from a deterministic start."""
    from sklearn.decomposition import NMF
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a little further would not change which topic is which
        solver = NMF(k, init="nndsvd", random_state=seed, max_iter=_STEPS)
        weights = solver.fit_transform(codes)
    error = float(solver.reconstruction_err_ / np.linalg.norm(codes))
    return weights.astype(np.float32), solver.components_.astype(np.float32), error


@dataclass(frozen=True, eq=False)
class TopicCurve:
    """How well k topics describe a class's codes, and how sure they are, for each k.

    error: the residual of images left out, relative to their codes; stability: how alike the topics of two halves of
    the images are, the mean cosine of those paired best. A good k has a low error and topics that both halves agree on.
    """

    ks: list[int]
    error: np.ndarray
    stability: np.ndarray

    @property
    def suggested(self) -> int:
        """The largest k of those whose topics are within 0.05 of the surest with more than one."""
        several = [n for n, k in enumerate(self.ks) if k > 1] or [0]
        best = max(self.stability[n] for n in several)
        return max(self.ks[n] for n in several if self.stability[n] >= best - 0.05)

    def plot(self):
        """A matplotlib figure of both curves."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 2.8), layout="constrained", dpi=110)
        left = figure.subplots()
        right = left.twinx()
        left.plot(self.ks, self.error, "o-", color="tab:blue")
        right.plot(self.ks, self.stability, "s--", color="tab:orange")
        left.set_xlabel("topics k")
        left.set_ylabel("error on images left out", color="tab:blue")
        right.set_ylabel("agreement of two halves", color="tab:orange")
        left.set_xticks(self.ks)
        left.axvline(self.suggested, color="0.8", zorder=0)
        return figure

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


def topic_curve(features: Features, ks: Sequence[int] = range(1, 9), *, splits: int = 3, seed: int = 0) -> TopicCurve:
    """Errors and stabilities of topics for several k, to choose k by: each from `splits` random halvings of the images.

    Raises SettingError if a k is more than half of the images.
    """
    from scipy.optimize import linear_sum_assignment

    codes, ks = positive(features), sorted(set(map(int, ks)))
    most = min(len(codes) // 2, codes.shape[1])
    if not ks or ks[0] < 1 or ks[-1] > most:
        raise SettingError(f"ks are {ks}; expected numbers of topics, 1 to {most} for {len(codes)} images.")
    errors, stabilities = np.zeros((2, len(ks), splits))
    for split in range(splits):
        order = np.random.default_rng((seed, split)).permutation(len(codes))
        halves = codes[order[: len(order) // 2]], codes[order[len(order) // 2 :]]
        for n, k in enumerate(ks):
            found = [factorised(half, k, seed)[1] for half in halves]
            units = [c / np.maximum(np.linalg.norm(c, axis=1, keepdims=True), 1e-12) for c in found]
            likeness = units[0] @ units[1].T
            stabilities[n, split] = likeness[linear_sum_assignment(-likeness)].mean()
            errors[n, split] = np.mean([_residual(halves[1 - h], units[h]) for h in (0, 1)])
    return TopicCurve(ks, errors.mean(1), stabilities.mean(1))


def _residual(codes: np.ndarray, components: np.ndarray) -> float:
    """The distance of codes to the cone of the components, relative to their length."""
    from scipy.optimize import nnls

    basis = components.T.astype(np.float64)
    squares = sum(nnls(basis, row)[1] ** 2 for row in codes.astype(np.float64))
    return float(np.sqrt(squares) / np.linalg.norm(codes))
