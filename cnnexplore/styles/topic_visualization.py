"""What a network wants of a style: the pre-image of a class through a topic's pathway (intraclass2015, section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import SettingError
from ..preimage import PreImage, maximize
from ..representations.features import Features
from .cone import readout
from .pathway import Pathway
from .topics import DISTINCT, THRESHOLD, Topics


def class_and_scale(features: Features, which: Sequence[int], mask: np.ndarray) -> tuple[int, float]:
    """What to look for in a style: (the class most of its images are taken for, M).

    which: places of the style's images; mask: (D,), m7. M is the largest score that the class gets from their codes
    through the mask, so that a response of 1 is that of the image that has most of it.
    Raises SettingError for a network that names no class, LayerError if its scores are no linear function of the layer.
    """
    said = np.asarray(features.predicted)[which]
    if not len(said) or said.max() < 0:
        raise SettingError(
            f"{features.net.name} names no class of these images; take a classifier, or images of a class."
        )
    unit = int(np.bincount(said[said >= 0]).argmax())
    weight, bias = readout(features.net, features.layer.name)
    scores = np.maximum(np.asarray(features[which], np.float64), 0) * mask @ weight[unit] + bias[unit]
    return unit, round(max(float(scores.max()), 0.01), 3)


def visualize_topic(
    topics: Topics,
    topic: int,
    threshold: float = THRESHOLD,
    distinct: float = DISTINCT,
    seed: int | list[int] = 0,
    **run,
) -> PreImage | list[PreImage]:
    """What the network wants of a topic: its class's score, maximised through the topic's mask at fc7.

    threshold, distinct: of the mask, as `Topics.mask` takes them; run: anything that `cx.maximize` takes. A list of
    seeds runs as one batch and gives a list. Raises SettingError, LayerError, NetworkError.
    Source: intraclass2015, equations 2 and 4.
    """
    mask = topics.mask(topic, threshold, distinct)
    features = topics.features
    unit, most = class_and_scale(features, topics.images(topic, None), mask)
    given = {"M": most, "pathway": Pathway.topic(mask)} | run
    return maximize(features.net, features.net.scores.name, unit, seed=seed, **given)


def nearest_topic(topics: Topics, images) -> np.ndarray:
    """The topic of the image whose code is nearest, by the angle, to that of each image given, (n,).

    images: one or a list, as `Network.pixels_of` takes them.
    """
    features = topics.features
    codes = features.net.activations(images, features.layer.name).float().flatten(1).cpu().numpy()
    known = np.maximum(np.asarray(features, np.float32), 0)
    known /= np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-12)
    return topics.assignment[(np.maximum(codes, 0) @ known.T).argmax(1)]
