"""TopicSearch: activations of a class's images, their topics and their t-SNE map, one step at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ... import world
from ...data import Images
from ...errors import SettingError
from ...network import Network
from ...representations import Embedding, Features, embed_stream, feature_stream
from ...styles import Topics, topics
from ..live.runner import Runner
from ..live.task import Task

SCENES = (800, 5)  # how many of the world, and their seed
_CHUNK = 8  # thumbnails made between two looks at what a person wants


@dataclass(frozen=True)
class Step:
    """How far a survey is: each part as soon as it is there."""

    said: str
    features: Features | None = None
    topics: Topics | None = None
    embedding: Embedding | None = None
    moved: bool = False  # only the points did


class TopicSearch:
    """Finds what classes contain, in a thread of its own; what was found is kept.

    images: a folder, a list, a data set, or Features, whose network needs no pass then; None for scenes of the world
    where a network knows them.
    """

    def __init__(self, key: str | None, images=None):
        found = {images.net: images} if isinstance(images, Features) else {}
        images = images.source if found else images
        self.images = images if images is None or isinstance(images, Images) else Images(images)
        self.runner = Runner(key and f"{key} survey")
        self.thumbnails = Runner(key and f"{key} images")
        self._features: dict[Network, Features] = found
        self._embeddings: dict[tuple, Embedding] = {}

    def begin(self, net: Network, name: str | None, k: int) -> None:
        """Looks for the k topics of a class's images, or of all."""
        self.runner.begin(lambda: Task(self._steps(net, name, k), 100_000))

    def classes(self, net: Network) -> list[str]:
        """The classes of the images, once their codes are known."""
        found = self._features[net]
        labelled = found.labels.max(initial=-1) >= 0
        numbers, names = (found.labels, found.classes) if labelled else (found.predicted, found.predictions)
        return [names[k] for k in np.unique(numbers[numbers >= 0])]

    def picture(self, features: Features, which: list[int], side: int) -> Iterator:
        """Thumbnails, some at a time, with their places in `which`."""
        for first in range(0, len(which), _CHUNK):
            yield first, features.pictures(which[first : first + _CHUNK], side)

    def _source(self, net: Network):
        if self.images is not None:
            return self.images
        if net.labels == list(world.CLASSES):
            return Images(world.dataset(*SCENES))
        raise SettingError(f"which images? Give StylePanel a folder, a list or a data set that {net.name} knows.")

    def _steps(self, net: Network, name: str | None, k: int) -> Iterator[Step]:
        found = self._features.get(net)
        if found is None:
            for found in feature_stream(net, self._source(net)):
                if isinstance(found, tuple):
                    yield Step(f"{found[0]} of {found[1]} images seen")
            self._features[net] = found
        names = self.classes(net)
        name = names[0] if name == "" or (name is not None and name not in names) else name
        some = found if name is None else found.of(name)
        kept = topics(some, min(k, *some.shape))
        embedding = self._embeddings.get((net, name))
        yield Step(f"{len(some)} images in {len(kept)} topics", some, kept, embedding)
        if embedding is None:
            for step, embedding in embed_stream(some):
                yield Step(f"t-SNE, step {step}", some, kept, embedding, moved=True)
            self._embeddings[net, name] = embedding

    def stop(self) -> None:
        """Ends what goes on."""
        self.runner.stop()
        self.thumbnails.stop()
