"""Style-based retrieval: the images with activations nearest to a mixture of topics (intraclass2015, section 5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import drawing
from ..arguments import checked, instance, number, optional, plain_number, whole
from ..errors import SettingError
from ..representations.features import Features
from ..results import Result, image_to_python
from .topics import Topics, features_to_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CHUNK = 8192  # images that are compared at once
_TILE = 112  # pixels of an image in a plot, at most


@dataclass(frozen=True, eq=False)
class Retrieved(Result):
    """The images that are nearest to a style.

    Attributes
    ----------
    features : Features
        Where the images were searched.
    indices : np.ndarray
        (k,) int, their indices in `features`, the nearest first.
    similarity : np.ndarray
        (k,), the cosine between each image's activations and the style's, 1 for the same direction.
    weights : np.ndarray
        (topics,), the weight of each topic in the style.
    python : str
        The Python that finds them again.
    """

    features: Features = field(repr=False)
    indices: np.ndarray
    similarity: np.ndarray
    weights: np.ndarray
    python: str = field(default="", repr=False)

    def pictures(self, side: int | None = None) -> np.ndarray:
        """The images as the network saw them, (k, H, W, 3) uint8.

        Parameters
        ----------
        side : int, optional
            Make them at most so many pixels high and wide.
        """
        return self.features.pictures(self.indices.tolist(), side)

    def plot(self) -> Figure:
        """A matplotlib figure of the images with their similarities."""
        return drawing.picture_grid(list(self.pictures(_TILE)), [f"{value:.2f}" for value in self.similarity], 9, 1.0)


@checked(
    topics=instance(lambda: Topics, "what cx.topics gives"),
    k=whole(1, what="how many images"),
    features=optional(instance(lambda: Features, "what cx.features gives")),
)
def retrieve(topics: Topics, query: Any, *, k: int = 9, features: Features | None = None) -> Retrieved:
    """Find the k images that are nearest to a style, by the cosine between their activations and the style's.

    Parameters
    ----------
    topics : Topics
        The topics of a class.
    query : int, dict, sequence of float or image
        The style: a topic's number; weights of topics, as a dict {number: weight} or one number for each topic; or an
        image, which is replaced by its own topic weights, so that what is in no topic (who or where it is) is ignored.
    k : int
        How many images.
    features : Features, optional
        Where to search: activations of the same network and layer. Default: the features that the topics were found
        in. They are read a part at a time.

    Returns
    -------
    Retrieved
        The images, the nearest first.

    Raises
    ------
    SettingError
        If there is no such topic, the weights are negative or all 0, or the features have another number of units.
    ImageError
        If the query is neither a style nor an image.

    References
    ----------
    Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015, section 5.1.

    Examples
    --------
    >>> net = cx.load("worldnet-styles")
    >>> churches = cx.world.dataset(24, 1, 96, ["church"])
    >>> topics = cx.topics(cx.features(net, churches, cache=False, progress=False), 3)
    >>> cx.retrieve(topics, {0: 1.0, 2: 0.5}, k=4).indices.shape
    (4,)
    """
    where = topics.features if features is None else features
    if where.shape[1] != topics.components.shape[1]:
        raise SettingError(
            f"the features have {where.shape[1]} units and the topics {topics.components.shape[1]}; take features of "
            "the layer that the topics were found at."
        )
    weights = _weights(topics, query)
    style = weights.astype(np.float64) @ topics.components
    if not style.any():
        raise SettingError("the style has no units, because its topics have none; ask for another topic.")
    style = style / np.linalg.norm(style)
    cosines = np.concatenate([_cosines(where[first : first + _CHUNK], style) for first in range(0, len(where), _CHUNK)])
    order = np.argsort(-cosines, kind="stable")[:k]
    return Retrieved(where, order, cosines[order], weights, _python(topics, query, k, features))


def _cosines(activations: np.ndarray, style: np.ndarray) -> np.ndarray:
    activations = np.maximum(np.asarray(activations, np.float64), 0)
    lengths = np.linalg.norm(activations, axis=1)
    return activations @ style / np.where(lengths > 0, lengths, 1)  # 0 for an image without any topic


def _weights(topics: Topics, query: Any) -> np.ndarray:
    """A query as one weight per topic. Raises SettingError."""
    count = len(topics)
    weights = np.zeros(count, np.float32)
    if _is_number(query):
        weights[topics.number_of(query)] = 1
        return weights
    share = number(0, what="the weight of a topic")
    if isinstance(query, Mapping):
        for topic, weight in query.items():
            weights[topics.number_of(topic)] = share("a weight of the query", weight)
    elif _is_weights(query):
        if len(query) != count:
            raise SettingError(f"the query has {len(query)} weights; expected {count}, one for each topic.")
        with np.errstate(over="ignore"):  # what is too large for float32 is refused below
            weights = np.array([share("a weight of the query", weight) for weight in query], np.float32)
    else:
        activation = topics.features.net.activations(query, topics.features.layer.name)
        weights = topics.transform(activation.float().flatten(1).cpu().numpy()[:1])[0]
    if len(weights) != count or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise SettingError(
            f"the query's weights are {weights.tolist()}; expected {count}, none negative and not all 0."
        )
    return weights


def _is_weights(query: Any) -> bool:
    """Whether a query is a sequence of numbers; an image is not."""
    if isinstance(query, (np.ndarray, torch.Tensor)):
        return query.ndim == 1
    return isinstance(query, (list, tuple, range)) and all(plain_number(value) is not None for value in query[:100])


def _is_number(query: Any) -> bool:
    """Whether a query is a single number; an image is not."""
    return isinstance(query, (bool, np.bool_)) or plain_number(query) is not None


def _python(topics: Topics, query: Any, k: int, features: Features | None) -> str:
    """The Python of a retrieval."""
    if _is_number(query):
        asked = repr(int(query))
    elif isinstance(query, Mapping):
        asked = repr({int(topic): float(weight) for topic, weight in query.items()})
    elif _is_weights(query):
        asked = repr([float(weight) for weight in query])
    else:
        asked = image_to_python(query)
    more = f"{f', k={int(k)}' if k != 9 else ''}"
    more += "" if features is None else f", features={features_to_python(features)}"
    return f"cx.retrieve({topics.to_python() or 'topics'}, {asked}{more})"
