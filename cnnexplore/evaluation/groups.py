"""Groupings of the images of a class that the score card compares with the class's styles."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import checked, small_seed, whole
from ..data.images import BATCH
from ..network import Network, class_score_layer
from ..network.arguments import network
from ..units import Facets, facets

NO_GROUP = -1


@checked(net=network, k=whole(1, 100, "how many groups"), seed=small_seed)
def facet_groups(net: Network, images: Any, k: int, seed: int = 0) -> np.ndarray:
    """The facets of a class's unit as groups of its images, for ``cx.score(net, topics={"facets": facet_groups})``.

    The class is the one that the network takes most of the images for.

    Parameters
    ----------
    net : Network
        A classifier.
    images : np.ndarray or list
        (N, H, W, 3) images of one class.
    k : int
        How many facets.
    seed : int
        Of t-SNE and k-means.

    Returns
    -------
    np.ndarray
        (N,) int, the facet of each image; -1 for those that the network takes for another class.

    Raises
    ------
    SettingError
        If the network takes fewer than three of the images for the class.
    """
    scores = class_score_layer(net)
    predicted: list[int] = []
    for first in range(0, len(images), BATCH):
        predicted += net.activations(list(images[first : first + BATCH]), scores.name).flatten(1).argmax(1).tolist()
    unit = int(np.bincount(predicted).argmax())
    found = facets(
        net, scores.name, unit, list(images), k=k, count=max(len(images), 3), method="none", seed=seed, progress=False
    )
    assert isinstance(found, Facets)  # of one unit
    groups = np.full(len(images), NO_GROUP)
    groups[found.indices] = found.assignment
    return groups
