"""Figures 1 and 6: topics of classes, each with its pre-images and the images nearest to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import world
from ...errors import SettingError
from ...network import Network
from ...representations import Features, features
from ...styles import Topics, nearest_topic, retrieve, topics, visualize_topic
from ..parts import batch
from ..sheet import Cell, Sheet

SCENES = (800, 5)  # number and seed of the world's scenes


def figure1(
    net: Network,
    images: Any = None,
    classes: Sequence[str] | None = None,
    k: int = 3,
    columns: int = 4,
    seed: int = 0,
    cache: Any = None,
    **run: Any,
) -> Sheet:
    """Two styles of each of two classes: the topics that differ most, as pre-images and as images.

    images: a folder, a list or a data set of the network's classes, or features of it (default: scenes of the world).
    classes: default the two with most images. k: how many topics are found, of which two are shown. cache: as
    `features` takes it. data: "topics" by class; "shown" by class, the numbers of the two.
    """
    found = _features(net, images, cache, run.get("progress", True))
    names = list(classes or _classes(found)[:2])
    rows: list[list[Cell]] = []
    data: dict[str, dict[str, Any]] = {"topics": {}, "shown": {}}
    for name in names:
        styles = topics(found.of(name), max(k, 2))
        cosines = styles.components @ styles.components.T
        pair = np.unravel_index(cosines.argmin(), cosines.shape)
        data["topics"][name], data["shown"][name] = styles, sorted(map(int, pair))
        for topic in data["shown"][name]:
            rows.append(_row(name, styles, topic, columns, [seed], run)[0])
    return Sheet(f"Two styles of {' and of '.join(names)}, {net.name}", rows, data)


def figure6(
    net: Network,
    images: Any = None,
    classes: Sequence[str] | None = None,
    k: int = 3,
    columns: int = 6,
    seeds: Sequence[int] = (0, 1),
    cache: Any = None,
    **run: Any,
) -> Sheet:
    """The topics of classes: pre-images of each from several seeds, and the images nearest to it.

    Under each pre-image stands the topic of the image that is nearest to it. images: a folder, a list or a data set of
    the network's classes, or features of it (default: scenes of the world). classes: default the five with most images.
    cache: as `features` takes it. data: "topics" by class; "nearest" by class, (topics, seeds), the topics of the
    nearest images; "rate", the share of pre-images that are nearest to an image of their own topic; "chance", the share
    that would be by chance.
    """
    found = _features(net, images, cache, run.get("progress", True))
    names = list(classes or _classes(found)[:5])
    rows: list[list[Cell]] = []
    data: dict[str, Any] = {"topics": {}, "nearest": {}}
    right: list[bool] = []
    chance: list[float] = []
    for name in names:
        styles = data["topics"][name] = topics(found.of(name), k)
        of_class = []
        for topic in range(len(styles)):
            row, nearest = _row(name, styles, topic, columns, list(seeds), run)
            rows.append(row)
            of_class.append(nearest)
            right += (nearest == topic).tolist()
            chance += [float((styles.assignment == topic).mean())] * len(nearest)
        data["nearest"][name] = np.array(of_class)
    data |= {"rate": float(np.mean(right)), "chance": float(np.mean(chance))}
    score = f"{data['rate']:.0%} of the pictures are nearest to their own topic (by chance {data['chance']:.0%})"
    return Sheet(f"Topics of classes, {net.name}: {score}", rows, data)


def _features(net: Network, images: Any, cache: Any, progress: bool) -> Features:
    """The features of the images given, or of scenes of the world for a network of its classes."""
    if isinstance(images, Features):
        return images
    if isinstance(images, (list, tuple)) and len(images) == 1 and isinstance(images[0], str):
        images = images[0]  # a folder, from the command line
    if images is None and net.labels == list(world.CLASSES):
        images = world.dataset(*SCENES)
    if images is None:
        raise SettingError(
            f"figures of styles need images of the classes that {net.name} knows: a folder, a list or a data set; "
            "'worldnet-styles' has its own."
        )
    return features(net, images, cache=cache, progress=progress)


def _classes(found: Features) -> list[str]:
    """The classes of the images, those with most images first; in the order of their names where there are as many."""
    labelled = found.labels.max(initial=-1) >= 0
    numbers, names = (found.labels, found.classes) if labelled else (found.predicted, found.predictions)
    known, counts = np.unique(numbers[numbers >= 0], return_counts=True)
    return [names[known[n]] for n in np.argsort(-counts, kind="stable")]


def _row(
    name: str, styles: Topics, topic: int, columns: int, seeds: list[int], run: dict[str, Any]
) -> tuple[list[Cell], np.ndarray]:
    """The pre-images of a topic, then the images nearest to it; and the topics that the pre-images are nearest to."""
    made = batch(visualize_topic(styles, topic, seed=seeds, **run))
    nearest = nearest_topic(styles, [one.picture for one in made])
    row = []
    for one, seed, near in zip(made, seeds, nearest, strict=True):
        title = f"{name}, topic {topic}\nseed {seed}, nearest: {near}"
        row.append(Cell(one.picture, title, result=one, framed=bool(near == topic)))
    found = retrieve(styles, topic, k=columns)
    return row + [Cell(p, f"{s:.2f}") for p, s in zip(found.pictures(), found.similarity, strict=True)], nearest


FIGURES: dict[str, Callable[..., Any]] = {"1": figure1, "6": figure6}
