"""ChosenStyle: a topic, or images that a person encircled: its images, its mask at fc7, and words for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ... import drawing
from ...representations import Features
from ...styles import Topics
from ...styles.topics import topic_mask

_SHUT = 90  # the grey that closed units fade into


@dataclass(frozen=True)
class ChosenStyle:
    """A style that was chosen.

    component, others: (D,), its own and the strongest of what it is told from; which: places of its images, the most
    typical first; said: a few words; code: the Python that finds it; near: the most similar topic, in words.
    """

    component: np.ndarray
    others: np.ndarray
    which: np.ndarray
    said: str
    code: str
    near: str = ""
    topic: int | None = None

    @classmethod
    def of_topic(cls, topics: Topics, topic: int, features_code: str) -> ChosenStyle:
        """A topic that was found."""
        near = topics.similar(topic)
        return cls(
            topics.components[topic],
            topics.strongest_other(topic),
            topics.images(topic, None),
            f"topic {topic}",
            f"topic {topic} of cx.topics({features_code}, {len(topics)})",
            f"most like topic {near[0][0]}, cosine {near[0][1]:.2f}" if near else "",
            topic,
        )

    @classmethod
    def by_hand(cls, features: Features, places: list[int]) -> ChosenStyle:
        """Images that were encircled: their mean code, told from that of all others."""
        codes, inside = np.maximum(np.asarray(features, np.float32), 0), np.zeros(len(features), bool)
        inside[places] = True
        mean = codes[inside].mean(0)
        others = codes[~inside].mean(0) if not inside.all() else 0 * mean
        typical = codes[inside] @ mean / np.maximum(np.linalg.norm(codes[inside], axis=1), 1e-12)
        which = np.flatnonzero(inside)[np.argsort(-typical, kind="stable")]
        said = f"{len(which)} images by hand"
        return cls(mean, others, which, said, f"the mean code of {said}")

    def mask(self, threshold: float, distinct: float) -> np.ndarray:
        """The channels that it opens, (D,) bool. Raises SettingError if there are none."""
        return topic_mask(self.component, self.others, threshold, distinct)

    def picture(self, mask: np.ndarray) -> np.ndarray:
        """How strong each channel is, in a square (n, n, 3) uint8; those that the mask closes are dimmed."""
        side = int(np.ceil(np.sqrt(len(mask))))
        shown, shut = np.zeros(side * side, np.float32), np.ones(side * side, bool)
        shown[: len(mask)], shut[: len(mask)] = self.component / self.component.max(), ~mask
        picture = drawing.heat(shown.reshape(side, side), span=(0, 1))
        dimmed = shut.reshape(side, side)
        picture[dimmed] = (0.25 * picture[dimmed] + 0.75 * _SHUT).astype(np.uint8)
        return picture
