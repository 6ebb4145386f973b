"""Topic visualisation: the pre-image of a class through a topic's pathway (intraclass2015, section 4.2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import checked, flag, instance, seeds
from ..errors import SettingError
from ..preimage import PreImage, maximize
from ..representations.features import Features
from .cone import score_weights
from .pathway import Pathway
from .topics import DISTINCT, THRESHOLD, Topics


@checked(topics=instance(lambda: Topics, "what cx.topics gives"), seed=seeds, progress=flag)
def visualize_topic(
    topics: Topics,
    topic: int,
    *,
    threshold: float = THRESHOLD,
    distinct: float = DISTINCT,
    seed: int | list[int] = 0,
    progress: bool = True,
    **settings: Any,
) -> PreImage | list[PreImage]:
    """Synthesise what a topic looks like: its class's score, maximised through the topic's mask at fc7.

    The class is the one that most of the topic's images are predicted as. The scale M is the largest score that it
    gets through the mask from these images.

    Parameters
    ----------
    topics : Topics
        The topics of a class, from the layer before the class scores.
    topic : int
        Number of the topic.
    threshold : float
        Share of the component's largest entry that a unit must exceed to be in the mask, from 0 to below 1.
    distinct : float
        How many times the entry of every other topic a unit must have to be in the mask, 0 or more.
    seed : int or list of int
        Seed of the noise that the optimisation starts from. A list runs as one batch.
    progress : bool
        Show a progress bar.
    **settings
        Further settings of `maximize`: C, alpha, beta, jitter, steps, solver and so on.

    Returns
    -------
    PreImage or list of PreImage
        The pre-image; a list for a list of seeds.

    Raises
    ------
    SettingError
        If there is no such topic, no unit is left in the mask, or the network has no class for these images.
    LayerError
        If the class scores are not a linear function of the layer that the topics were found at.
    NetworkError
        If the network has no relu before its class scores.

    References
    ----------
    Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015, equations 2 and 4.

    Examples
    --------
    >>> net = cx.load("worldnet-styles")
    >>> churches = cx.world.dataset(24, 1, 96, ["church"])
    >>> topics = cx.topics(cx.features(net, churches, cache=False, progress=False), 3)
    >>> cx.visualize_topic(topics, 0, steps=3, progress=False).picture.shape
    (96, 96, 3)
    """
    mask = topics.mask(topic, threshold, distinct)
    features = topics.features
    unit, scale = class_and_scale(features, topics.images(topic, None), mask)
    given: dict[str, Any] = {"preset": "paper2016", "M": scale, "pathway": Pathway.topic(mask)} | settings
    return maximize(features.net, features.net.scores.name, unit, seed=seed, progress=progress, **given)


def class_and_scale(features: Features, indices: np.ndarray, mask: np.ndarray) -> tuple[int, float]:
    """The class that most of some images are predicted as, and the largest score that it gets through a mask m7.

    The score is the scale M, so that a response of 1 is that of the image that responds most. mask: (D,) bool.
    Raises SettingError for a network without classes, LayerError if its scores are not linear in the layer.
    """
    predicted = np.asarray(features.predicted)[indices]
    if not len(predicted) or predicted.max() < 0:
        raise SettingError(
            f"{features.net.name} predicts no class of these images; take a classifier, or images of a class."
        )
    unit = int(np.bincount(predicted[predicted >= 0]).argmax())
    weight, bias = score_weights(features.net, features.layer.name)
    scores = np.maximum(np.asarray(features[indices], np.float64), 0) * mask @ weight[unit] + bias[unit]
    return unit, round(max(float(scores.max()), 0.01), 3)


def nearest_topic(topics: Topics, images: Any) -> np.ndarray:
    """For each given image the topic of the nearest image of `topics`, by the cosine between activations.

    Parameters
    ----------
    topics : Topics
        The topics of a class.
    images : image or list of images
        What `Network.pixels_of` takes.

    Returns
    -------
    np.ndarray
        (n,) int, a topic for each image.

    Raises
    ------
    ImageError
        If one of them is not an image.
    """
    features = topics.features
    activations = features.net.activations(images, features.layer.name).float().flatten(1).cpu().numpy()
    known = np.maximum(np.asarray(features, np.float32), 0)
    known /= np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-12)
    return topics.assignment[(np.maximum(activations, 0) @ known.T).argmax(1)]
