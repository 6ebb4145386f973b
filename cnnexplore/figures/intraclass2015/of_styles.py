"""Figures 1 and 6: styles of classes, each with images that have it and what the network wants of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import world
from ...errors import SettingError
from ...network import Network
from ...representations import Features, features
from ...styles import Topics, nearest_topic, retrieve, topics, visualize_topic
from ..sheet import Cell, Sheet

SCENES = (800, 5)  # of the world, and their seed


def figure1(
    net: Network,
    images=None,
    classes: Sequence[str] | None = None,
    k: int = 3,
    columns: int = 4,
    seed: int = 0,
    cache=None,
    **run,
) -> Sheet:
    """Two different styles of each of two classes: what the network wants of them, and images that have them.

    images: a folder, a list or a data set that the network knows, or its features (default: scenes of the world).
    classes: two of them; k: how many topics are looked for, of which the two most different are shown. cache: as
    `cx.features` takes it; run: anything that `cx.maximize` takes. data: "topics" and "shown" by class.
    """
    found = _found(net, images, cache, run.get("progress", True))
    classes = list(classes or _classes(found)[:2])
    rows, data = [], {"topics": {}, "shown": {}}
    for name in classes:
        styles = topics(found.of(name), max(k, 2))
        likeness = styles.components @ styles.components.T
        pair = np.unravel_index(likeness.argmin(), likeness.shape)
        data["topics"][name], data["shown"][name] = styles, sorted(map(int, pair))
        for topic in data["shown"][name]:
            rows.append(_row(net, name, styles, topic, columns, [seed], run)[0])
    return Sheet(f"Two styles of {' and of '.join(classes)}, {net.name}", rows, data)


def figure6(
    net: Network,
    images=None,
    classes: Sequence[str] | None = None,
    k: int = 3,
    columns: int = 6,
    seeds: Sequence[int] = (0, 1),
    cache=None,
    **run,
) -> Sheet:
    """The topics of classes: what the network wants of each, from several seeds, and the images nearest to it.

    Under each picture: of which topic the image is whose code is nearest to the picture's. images, cache, run: as for
    figure 1; classes: default the first five. data: "topics" by class; "nearest": by class, (topics, seeds), those
    topics; "rate": how many pictures are nearest to their own topic; "chance": how many of a class's images are.
    """
    found = _found(net, images, cache, run.get("progress", True))
    classes = list(classes or _classes(found)[:5])
    rows, data = [], {"topics": {}, "nearest": {}}
    own, chance = [], []
    for name in classes:
        styles = data["topics"][name] = topics(found.of(name), k)
        near = []
        for topic in range(len(styles)):
            row, nearest = _row(net, name, styles, topic, columns, list(seeds), run)
            rows.append(row)
            near.append(nearest)
            own += (nearest == topic).tolist()
            chance += [float((styles.assignment == topic).mean())] * len(nearest)
        data["nearest"][name] = np.array(near)
    data |= {"rate": float(np.mean(own)), "chance": float(np.mean(chance))}
    told = f"{data['rate']:.0%} of the pictures are nearest to their own topic (by chance {data['chance']:.0%})"
    return Sheet(f"Topics of classes, {net.name}: {told}", rows, data)


def _found(net: Network, images, cache, progress: bool) -> Features:
    """The codes of the images given, or of scenes of the world for a network that knows it."""
    if isinstance(images, Features):
        return images
    if isinstance(images, (list, tuple)) and len(images) == 1 and isinstance(images[0], str):
        images = images[0]
    if images is None and net.labels == list(world.CLASSES):
        images = world.dataset(*SCENES)
    if images is None:
        raise SettingError(
            f"figures of styles need images of the classes that {net.name} knows: a folder, a list or a data set; "
            "'worldnet-styles' has its own."
        )
    return features(net, images, cache=cache, progress=progress)


def _classes(found: Features) -> list[str]:
    """The classes of the images, those first that have most; by name where there are as many."""
    labelled = found.labels.max(initial=-1) >= 0
    numbers, names = (found.labels, found.classes) if labelled else (found.predicted, found.predictions)
    known, counts = np.unique(numbers[numbers >= 0], return_counts=True)
    return [names[known[n]] for n in np.argsort(-counts, kind="stable")]


def _row(net, name, styles: Topics, topic: int, columns: int, seeds: list[int], run) -> tuple[list[Cell], np.ndarray]:
    """The pictures that the network wants of a topic, then the images nearest to it; and the pictures' topics."""
    made = visualize_topic(styles, topic, seed=seeds, **run)
    nearest = nearest_topic(styles, [one.picture for one in made])
    row = [
        Cell(one.picture, f"{name}, topic {topic}\nseed {seed}, nearest: {near}", result=one, framed=near == topic)
        for one, seed, near in zip(made, seeds, nearest, strict=True)
    ]
    got = retrieve(styles, topic, k=columns)
    return row + [Cell(p, f"{s:.2f}") for p, s in zip(got.pictures(), got.similarity, strict=True)], nearest


FIGURES = {"1": figure1, "6": figure6}
