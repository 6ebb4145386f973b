"""TopicSearch: activations of a class's images, their topics and their t-SNE map, one step at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
_CHUNK = 8  # thumbnails in one step


@dataclass(frozen=True)
class SearchStep:
    """How far a search is; each part is there as soon as it is computed.

    Attributes
    ----------
    text : str
        For the status line.
    features : Features, optional
        The activations of the images.
    topics : Topics, optional
    embedding : Embedding, optional
        Where the images lie in the plane.
    moved : bool
        Only the embedding is new.
    """

    text: str
    features: Features | None = None
    topics: Topics | None = None
    embedding: Embedding | None = None
    moved: bool = False


class TopicSearch:
    """Finds the topics of classes in threads of its own; what was found is kept.

    Parameters
    ----------
    runner, thumbnails : Runner
        Drive the search, and the making of thumbnails.
    images : object, optional
        A folder, a list or a data set, or Features, whose network needs no pass then; None: scenes of the world, where
        the network's classes are those of the world.
    """

    def __init__(self, runner: Runner, thumbnails: Runner, images: Any = None):
        self.given = images
        found = {images.net: images} if isinstance(images, Features) else {}
        images = images.source if found else images
        self.images = images if images is None or isinstance(images, Images) else Images(images)
        self.runner, self.thumbnails = runner, thumbnails
        self._features: dict[Network, Features] = found
        self._embeddings: dict[tuple, Embedding] = {}

    def begin(self, net: Network, name: str | None, k: int) -> None:
        """Find the k topics of a class's images; None: of all images, "": of the first class."""
        self.runner.begin(lambda: Task(self._steps(net, name, k), 100_000))

    def classes(self, net: Network) -> list[str]:
        """The classes of the images, once their activations are computed."""
        found = self._features[net]
        labelled = found.labels.max(initial=-1) >= 0
        numbers, names = (found.labels, found.classes) if labelled else (found.predicted, found.predictions)
        return [names[k] for k in np.unique(numbers[numbers >= 0])]

    def pictures(self, features: Features, which: list[int], side: int) -> Iterator[tuple[int, np.ndarray]]:
        """Thumbnails, some at a time, each time with the place of the first in `which`."""
        for first in range(0, len(which), _CHUNK):
            yield first, features.pictures(which[first : first + _CHUNK], side)

    def features_python(self, net: Network) -> str:
        """The Python of the activations of the images."""
        if isinstance(self.given, Features) and self.given.net is net:
            return "features"
        return f"cx.features({net.to_python()}, {self._images_python})"

    def image_python(self, features: Features, number: int) -> str:
        """The Python of an image, by its number in the image set."""
        item, python = features.source.source[number], f"{self._images_python}[{number}]"
        if isinstance(item, (str, os.PathLike)):
            return repr(os.fspath(item))
        return f"{python}[0]" if isinstance(item, tuple) and not isinstance(self.given, Features) else python

    @property
    def _images_python(self) -> str:
        if isinstance(self.given, Features):
            return "features.source"
        if isinstance(self.given, (str, os.PathLike)):
            return repr(os.fspath(self.given))
        return f"cx.world.dataset{SCENES}" if self.given is None else "images"

    def _source(self, net: Network) -> Images:
        if self.images is not None:
            return self.images
        if net.labels == list(world.CLASSES):
            return Images(world.dataset(*SCENES))
        raise SettingError(f"which images? Give StylePanel a folder, a list or a data set that {net.name} knows.")

    def _steps(self, net: Network, name: str | None, k: int) -> Iterator[SearchStep]:
        for one in () if net in self._features else feature_stream(net, self._source(net)):
            if isinstance(one, tuple):
                yield SearchStep(f"{one[0]} of {one[1]} images passed through the network")
            else:
                self._features[net] = one
        found = self._features[net]
        names = self.classes(net)
        name = names[0] if name == "" or (name is not None and name not in names) else name
        some = found if name is None else found.of(name)
        kept = topics(some, min(k, *some.shape))
        embedding = self._embeddings.get((net, name))
        yield SearchStep(f"{len(some)} images in {len(kept)} topics", some, kept, embedding)
        if embedding is None:
            for step, embedding in embed_stream(some):
                yield SearchStep(f"t-SNE, step {step}", some, kept, embedding, moved=True)
        if embedding is not None:
            self._embeddings[net, name] = embedding
