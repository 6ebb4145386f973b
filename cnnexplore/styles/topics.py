"""Topics: the styles of a class, as a non-negative factorisation of its images' activations (intraclass2015, 4.2)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .. import drawing
from ..arguments import array, checked, checked_integer, fraction, instance, number, optional, small_seed, whole
from ..errors import SettingError
from ..representations.features import Features
from ..results import Result
from .factorization import factorize

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

# Masks for `visualize_topic`: through the units that all topics of a class use, every topic gives the same picture.
THRESHOLD, DISTINCT = 0.3, 1.5
# Masks for `complete`: through as few units as that, the filled object is not of the class for the whole network.
_FILL_THRESHOLD, _FILL_DISTINCT = 0.1, 1.2
_TILE = 96  # pixels of an image in a plot, at most


@dataclass(frozen=True, eq=False)
class Topics(Result):
    """The topics of a class: k non-negative components; their weighted sums approximate the activations.

    activations ~ weights @ components. Topics are numbered by how much of the activations they explain, the largest
    first. `topics[k]` is one `Topic`, and a loop over them gives all.

    Attributes
    ----------
    features : Features
        The activations of the N images that were factorised.
    components : np.ndarray
        (k, D) float32, each of length 1.
    weights : np.ndarray
        (N, k) float32, in units of the activations.
    error : float
        Length of the residual over the length of the activations.
    seed : int
        Seed of the factorisation.
    python : str
        The Python that makes them again.
    """

    features: Features = field(repr=False)
    components: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    error: float
    seed: int = 0
    python: str = field(default="", repr=False)

    def __len__(self) -> int:
        return len(self.components)

    def __getitem__(self, topic: int) -> Topic:
        return Topic(self, self.number_of(topic))

    def __iter__(self) -> Iterator[Topic]:
        return (Topic(self, k) for k in range(len(self)))

    def __repr__(self) -> str:
        counts = ", ".join(map(str, np.bincount(self.assignment, minlength=len(self))))
        return f"<{len(self)} topics of {len(self.features)} images: {counts}; error {self.error:.3f}>"

    @property
    def assignment(self) -> np.ndarray:
        """(N,) int, the strongest topic of each image."""
        return self.weights.argmax(1)

    @property
    def shares(self) -> np.ndarray:
        """(N, k), the share of each topic in each image; a row sums to 1, or to 0 for an image without any topic."""
        return self.weights / np.maximum(self.weights.sum(1, keepdims=True), 1e-12)

    def images(self, topic: int, k: int | None = 9) -> np.ndarray:
        """Indices of a topic's images in `features`, those with the largest share of the topic first.

        Parameters
        ----------
        topic : int
            Number of the topic.
        k : int, optional
            At most so many images. None: all images in which this topic is the strongest.

        Returns
        -------
        np.ndarray
            (at most k,) int.

        Raises
        ------
        SettingError
            If there is no such topic.
        """
        topic, k = self.number_of(topic), optional(whole(1, what="how many images"))("k", k)
        candidates = np.flatnonzero(self.assignment == topic) if k is None else np.arange(len(self.weights))
        order = np.lexsort((-self.weights[candidates, topic], -self.shares[candidates, topic].round(6)))
        return candidates[order][:k]

    def mask(self, topic: int, threshold: float = 0.0, distinct: float = 0.0) -> np.ndarray:
        """The units that a topic uses, the mask m7 of section 4.2: where its component is not zero.

        Parameters
        ----------
        topic : int
            Number of the topic.
        threshold : float
            Share of the component's largest entry that a unit must exceed, from 0 to below 1.
        distinct : float
            How many times the entry of every other topic a unit must have, 0 or more. Units that all topics use do not
            tell one from another.

        Returns
        -------
        np.ndarray
            (D,) bool.

        Raises
        ------
        SettingError
            If there is no such topic, a number is out of its range, or no unit is left.
        """
        topic = self.number_of(topic)
        return topic_mask(self.components[topic], self.strongest_other(topic), threshold, distinct)

    def distinctive_mask(
        self, topic: int, threshold: float = _FILL_THRESHOLD, distinct: float = _FILL_DISTINCT
    ) -> np.ndarray:
        """The units that a topic uses more than every other topic; all that it uses if there are none.

        Parameters
        ----------
        topic : int
            Number of the topic.
        threshold : float
            Share of the component's largest entry that a unit must exceed, from 0 to below 1.
        distinct : float
            How many times the entry of every other topic a unit must have, 0 or more.

        Returns
        -------
        np.ndarray
            (D,) bool.

        Raises
        ------
        SettingError
            If there is no such topic.
        """
        threshold = fraction("a share of the largest entry, 0 to below 1")("threshold", threshold)
        distinct = number(0, what="how many times any other topic")("distinct", distinct)
        try:
            return self.mask(topic, threshold, distinct)
        except SettingError:
            return self.mask(topic)

    def strongest_other(self, topic: int) -> np.ndarray:
        """(D,), the largest entry of every unit in any other topic.

        Parameters
        ----------
        topic : int
            Number of the topic.
        """
        return np.delete(self.components, self.number_of(topic), 0).max(0, initial=0)

    def similar(self, topic: int) -> list[tuple[int, float]]:
        """The other topics with the cosine between their components and this one's, the most similar first.

        Parameters
        ----------
        topic : int
            Number of the topic.
        """
        topic = self.number_of(topic)
        cosines = self.components @ self.components[topic]
        return [(int(k), float(cosines[k])) for k in np.argsort(-cosines, kind="stable") if k != topic]

    def transform(self, activations: ArrayLike) -> np.ndarray:
        """The weights (n, k) of further activations by non-negative least squares; the components stay.

        Parameters
        ----------
        activations : array_like
            (n, D), of the layer of `features`. Negative numbers count as 0.

        Returns
        -------
        np.ndarray
            (n, k) float32.

        Raises
        ------
        SettingError
            If the activations do not have D units.
        """
        from scipy.optimize import nnls

        count = self.components.shape[1]
        rows = np.maximum(array("activations", activations, f"n x {count} finite numbers").astype(np.float64), 0)
        if rows.ndim != 2 or rows.shape[1] != self.components.shape[1]:
            raise SettingError(
                f"activations of shape {rows.shape} do not fit topics of {self.components.shape[1]} units."
            )
        basis = self.components.T.astype(np.float64)
        return np.stack([nnls(basis, row)[0] for row in rows]).astype(np.float32)

    @checked(k=whole(1, 100, "images in a row"))
    def plot(self, k: int = 8) -> Figure:
        """A matplotlib figure with a row of images for each topic.

        Parameters
        ----------
        k : int
            Images in a row.
        """
        pictures, titles = [], []
        for topic in range(len(self)):
            indices = self.images(topic, k)
            pictures += list(self.features.pictures(indices.tolist(), _TILE))
            titles += [f"topic {topic}" if not n else "" for n in range(len(indices))]
        return drawing.picture_grid(pictures, titles, min(k, len(self.features)), 1.0)

    def number_of(self, topic: int) -> int:
        """A topic's number, checked.

        Parameters
        ----------
        topic : int
            Number of the topic.

        Raises
        ------
        SettingError
            If there is no such topic.
        """
        return whole(0, len(self) - 1, "the number of a topic")("topic", topic)


def topic_mask(component: np.ndarray, others: np.ndarray, threshold: float, distinct: float) -> np.ndarray:
    """The mask of `Topics.mask` from a component and the largest entries of others. Raises SettingError."""
    threshold = fraction("a share of the largest entry, 0 to below 1")("threshold", threshold)
    if threshold == 1:
        raise SettingError("threshold is 1; expected a share of the largest entry, 0 to below 1.")
    distinct = number(0, what="how many times any other topic")("distinct", distinct)
    if not component.any():
        raise SettingError("the topic has no units: fewer topics describe these images as well; lower k.")
    with np.errstate(over="ignore"):  # infinite is larger than any
        least = min(distinct, 1e30) * others
    mask = (component > threshold * component.max()) & (component >= least)
    if not mask.any():
        raise SettingError(f"no unit is {distinct:g} times as strong as elsewhere; lower distinct or the threshold.")
    return mask


@dataclass(frozen=True)
class Topic:
    """One topic.

    Attributes
    ----------
    topics : Topics
        All topics of the class.
    number : int
        Which of them this is.
    threshold : float
        Share of the component's largest entry that a unit of `mask` must exceed, from 0 to below 1.
    distinct : float
        How many times the entry of every other topic a unit of `mask` must have, 0 or more.
    """

    topics: Topics
    number: int
    threshold: float = 0.0
    distinct: float = 0.0

    @property
    def component(self) -> np.ndarray:
        """(D,) float32, of length 1."""
        return self.topics.components[self.number]

    @property
    def mask(self) -> np.ndarray:
        """(D,) bool, the units that it uses; `Pathway.topic` takes it."""
        return self.topics.mask(self.number, self.threshold, self.distinct)

    @property
    def distinctive_mask(self) -> np.ndarray:
        """(D,) bool, the units that it uses more than every other topic; `complete` takes it."""
        return self.topics.distinctive_mask(self.number)

    def images(self, k: int | None = 9) -> np.ndarray:
        """Indices of its images in the features, those with the largest share of the topic first.

        Parameters
        ----------
        k : int, optional
            At most so many images. None: all images in which this topic is the strongest.
        """
        return self.topics.images(self.number, k)


@checked(features=instance(lambda: (Features, np.ndarray), "what cx.features gives"), seed=small_seed)
def topics(features: Features, k: int, *, seed: int = 0) -> Topics:
    """Find the topics of a class by non-negative matrix factorisation of its images' activations.

    The start of the factorisation is deterministic, so that the same features give the same topics.

    Parameters
    ----------
    features : Features
        Activations of the images of one class, such as `cx.features(...).of("church")`. Negative numbers count as 0,
        so that fc7 and its relu give the same topics.
    k : int
        How many topics, at most as many as there are images or units. `topic_curve` helps to choose.
    seed : int
        Seed of the factorisation.

    Returns
    -------
    Topics
        The topics, the one that explains most of the activations first.

    Raises
    ------
    SettingError
        If k is more than the images or units, or if no activation is positive.

    References
    ----------
    Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015, section 4.2.

    Examples
    --------
    >>> net = cx.load("worldnet-styles")
    >>> churches = cx.world.dataset(24, 1, 96, ["church"])
    >>> topics = cx.topics(cx.features(net, churches, cache=False, progress=False), 3)
    >>> topics.components.shape
    (3, 256)
    >>> len(topics.images(0, 5))
    5
    """
    activations = nonnegative(features)
    k = checked_integer("k", k, 1, min(activations.shape), what=f"how many topics of {len(activations)} images")
    weights, components, error = factorize(activations, int(k), seed)
    length = np.linalg.norm(components, axis=1)
    weights, components = weights * length, components / np.maximum(length, 1e-12)[:, None]
    order = np.argsort(-np.linalg.norm(weights, axis=0), kind="stable")
    python = f"cx.topics({features_to_python(features)}, {int(k)}{f', seed={seed}' if seed else ''})"
    return Topics(features, components[order], weights[:, order], error, seed, python)


def nonnegative(features: ArrayLike) -> np.ndarray:
    """Activations (N, D) as float32, negative ones as 0. Raises SettingError if they are all 0 or not (N, D)."""
    if not isinstance(features, Features):
        features = array("features", features, "what cx.features gives, or an array (images, units)", 10**9)
    activations = np.maximum(np.asarray(features, np.float32), 0)
    if activations.ndim != 2 or not activations.size:
        raise SettingError(f"features have the shape {activations.shape}; expected (images, units), one image or more.")
    if not np.isfinite(activations).all() or not activations.any():
        raise SettingError("the features are all zero or not finite; take another layer, such as a relu's.")
    return activations


def features_to_python(features: Features) -> str:
    """The Python that makes features, or the name `features`."""
    to_python = getattr(features, "to_python", None)
    return (to_python() if to_python is not None else "") or "features"
