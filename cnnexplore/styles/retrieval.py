"""Style-based retrieval: the images whose codes are nearest to a mixture of topics (intraclass2015, section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .. import drawing
from ..errors import SettingError
from ..representations.features import Features
from .topics import Topics

_CHUNK = 8192  # images at a time
_TILE = 112


@dataclass(frozen=True, eq=False)
class Retrieved:
    """The images found. indices: (k,) places in `features`, nearest first; similarity: (k,) cosines, 1 for the same
    direction; weights: (topics,) what was asked for."""

    features: Features = field(repr=False)
    indices: np.ndarray
    similarity: np.ndarray
    weights: np.ndarray

    def pictures(self, side: int | None = None) -> np.ndarray:
        """The images as the network saw them, (k, H, W, 3) uint8."""
        return self.features.pictures(self.indices, side)

    def plot(self):
        """A matplotlib figure of them in rows."""
        return drawing.panels(list(self.pictures(_TILE)), [f"{value:.2f}" for value in self.similarity], 9, 1.0)

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


def retrieve(topics: Topics, query, k: int = 9, *, features: Features | None = None) -> Retrieved:
    """The k images nearest to a style, by the angle between their codes and the style's.

    query: a topic's number; weights of topics, a dict or a list of one number each; or an image, whose own topic
    weights are taken, so that what is not of any topic (who or where it is) plays no part. features: where to look
    (default: those that the topics were found in), of the same network and layer; they are read a part at a time.
    Raises SettingError, ImageError.
    """
    where = topics.features if features is None else features
    if where.shape[1] != topics.components.shape[1]:
        raise SettingError(
            f"the features have {where.shape[1]} channels the topics {topics.components.shape[1]}; take one layer's."
        )
    if not isinstance(k, int) or k < 1:
        raise SettingError(f"k is {k!r}; expected how many images, 1 or more.")
    weights = _weights(topics, query)
    wanted = weights @ topics.components
    wanted = wanted / np.linalg.norm(wanted)
    cosines = np.concatenate(
        [_cosines(where[first : first + _CHUNK], wanted) for first in range(0, len(where), _CHUNK)]
    )
    order = np.argsort(-cosines, kind="stable")[:k]
    return Retrieved(where, order, cosines[order], weights)


def _cosines(codes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    codes = np.maximum(np.asarray(codes, np.float32), 0)
    return codes @ wanted / np.maximum(np.linalg.norm(codes, axis=1), 1e-12)


def _weights(topics: Topics, query) -> np.ndarray:
    """What is asked for as one weight per topic. Raises SettingError."""
    count = len(topics)
    if isinstance(query, (int, np.integer)) and not isinstance(query, bool):
        weights = np.zeros(count, np.float32)
        weights[topics._known(query)] = 1
        return weights
    if isinstance(query, Mapping):
        weights = np.zeros(count, np.float32)
        for topic, weight in query.items():
            weights[topics._known(topic)] = weight
    elif np.ndim(query) == 1 and not isinstance(query, (str, bytes)) and _numeric(query):
        weights = np.asarray(query, np.float32)
    else:
        code = topics.features.net.activations(query, topics.features.layer.name)
        weights = topics.transform(code.float().flatten(1).cpu().numpy()[:1])[0]
    if len(weights) != count or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise SettingError(
            f"the query's weights are {weights.tolist()}; expected {count}, none negative and not all 0."
        )
    return weights


def _numeric(query: Sequence) -> bool:
    return all(isinstance(value, (int, float, np.number)) for value in query)
