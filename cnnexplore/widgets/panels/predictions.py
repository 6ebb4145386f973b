"""What a network predicts for an image: the likeliest classes, with their numbers and probabilities."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...errors import ExploreError
from ...network import Network


class Predicted(NamedTuple):
    """A class that a network predicts: its number, its label and its probability."""

    target: int
    label: str
    probability: float


def predicted(net: Network, image: Any, k: int = 3) -> list[Predicted]:
    """The likeliest classes of an image; none where the network does not end in one score per class.

    Parameters
    ----------
    net : Network
    image : image
        What `Network.pixels_of` takes; one.
    k : int
        How many.

    Returns
    -------
    list of Predicted
        The likeliest first.
    """
    try:
        found = net.predict(image, k)
    except ExploreError:
        return []
    scores = net.activations(image, net.scores.name).flatten()
    order = scores.topk(min(k, len(scores))).indices.tolist()
    return [Predicted(target, *row) for target, row in zip(order, found, strict=False)]
