"""ChosenStyle: a topic, or images that a person encircled: its images, its mask at fc7, its name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import drawing
from ...representations import Features
from ...styles import Topics
from ...styles.topics import topic_mask

_CLOSED = 90  # the grey that closed units fade into


@dataclass(frozen=True)
class ChosenStyle:
    """A style that was chosen.

    Attributes
    ----------
    component, others : np.ndarray
        (D,): its own entries, and the largest of the other topics.
    which : np.ndarray
        The places of its images, the most typical first.
    name : str
    python : str
        The Python that finds it.
    near : str
        The most similar topic.
    topic : int, optional
        Its number; None for encircled images.
    """

    component: np.ndarray
    others: np.ndarray
    which: np.ndarray
    name: str
    python: str
    near: str = ""
    topic: int | None = None

    @classmethod
    def of_topic(cls, topics: Topics, topic: int, features_python: str) -> ChosenStyle:
        """The style of a topic."""
        near = topics.similar(topic)
        return cls(
            topics.components[topic],
            topics.strongest_other(topic),
            topics.images(topic, None),
            f"topic {topic}",
            f"topic {topic} of cx.topics({features_python}, {len(topics)})",
            f"most like topic {near[0][0]}, cosine {near[0][1]:.2f}" if near else "",
            topic,
        )

    @classmethod
    def by_hand(cls, features: Features, places: list[int]) -> ChosenStyle:
        """The style of encircled images: their mean activation against that of all others."""
        activations, inside = np.maximum(np.asarray(features, np.float32), 0), np.zeros(len(features), bool)
        inside[places] = True
        mean = activations[inside].mean(0)
        others = activations[~inside].mean(0) if not inside.all() else 0 * mean
        typical = activations[inside] @ mean / np.maximum(np.linalg.norm(activations[inside], axis=1), 1e-12)
        which = np.flatnonzero(inside)[np.argsort(-typical, kind="stable")]
        name = f"{len(which)} images by hand"
        return cls(mean, others, which, name, f"the mean activation of {name}")

    def mask(self, threshold: float, distinct: float) -> np.ndarray:
        """The units that it opens, (D,) bool. Raises SettingError if there are none."""
        return topic_mask(self.component, self.others, threshold, distinct)

    def picture(self, mask: np.ndarray) -> np.ndarray:
        """How strong each unit is, in a square (n, n, 3) uint8; the units that the mask closes are dimmed."""
        side = int(np.ceil(np.sqrt(len(mask))))
        shown, shut = np.zeros(side * side, np.float32), np.ones(side * side, bool)
        shown[: len(mask)], shut[: len(mask)] = self.component / self.component.max(), ~mask
        picture = drawing.heat(shown.reshape(side, side), span=(0, 1))
        dimmed = shut.reshape(side, side)
        picture[dimmed] = (0.25 * picture[dimmed] + 0.75 * _CLOSED).astype(np.uint8)
        return picture
