"""Figure 10: an object inserted into a scene, and an object replaced, in several styles of its class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import world
from ...network import Network
from ...representations import Features, features
from ...styles import Completed, Pathway, Topics, as_pathway, complete, topics
from ..parts import batch
from ..sheet import Cell, Sheet
from .pathways import distances, images_or_default, mean_or_nan

TINT = np.array([224, 0, 122])  # the colour of a mask
_SCENES = 120  # of a class of the world, in which its topics are found


def figure10(
    net: Network,
    image: Any = None,
    mask: Any = None,
    target: int | str | None = None,
    styles: Any = None,
    other: Any = None,
    seed: int = 0,
    steps: int = 200,
    C: float | None = None,
    progress: bool = True,
) -> Sheet:
    """Completion: an object inserted into a scene, and an object replaced, each in several styles (section 5.2).

    For each the image above its mask, and above each completion an image of the style, where one is known. image, mask,
    target: the scene, where to fill it, and with which class (default: what its surroundings suggest). other: an image
    with an object; its salient part is filled again. styles: topics, masks or pathways of the class, or a folder of its
    images (default: topics for the world's classes, networks of dropout for others). data: "before" and "after", the
    probabilities of the class; "apart", the mean distance in fc7 between completions in two styles.
    """
    bundled = images_or_default(net, None)
    image, other = bundled[0] if image is None else image, bundled[1] if other is None else other
    mask = _middle(net, image) if mask is None else mask
    lines: list[list[Cell]] = []
    data: dict[str, list[Any]] = {"before": [], "after": [], "apart": []}
    for kind, one, where, unit in (("scene", image, mask, target), ("object", other, None, None)):
        empty = complete(net, one, where, target=unit, steps=0, refine=0, M=1.0, progress=False)
        (probe,) = batch(empty)
        pathways, names, examples = styles_of(net, probe.about, styles)
        filled_with = probe.about if net.labels.count(probe.about) == 1 else unit
        settings: dict[str, Any] = {"C": C, "steps": steps, "seed": seed, "progress": progress}
        made = batch(complete(net, one, where, pathways, target=filled_with, **settings))
        completions = [_completed_cell(result, name) for result, name in zip(made, names, strict=True)]
        first, second = Cell(probe.masked.photograph, kind), Cell(tinted(made[0]), "to be filled")
        if examples is None:
            lines.append([first, second, *completions])
        else:
            above = [Cell(picture, f"an image of {name}") for picture, name in zip(examples, names, strict=True)]
            lines += [[first, *above], [second, *completions]]
        data["before"].append([result.before for result in made])
        data["after"].append([result.after for result in made])
        apart = distances(net, [result.picture for result in made])
        data["apart"].append(mean_or_nan(apart[np.triu_indices(len(apart), 1)].tolist()))
    return Sheet(f"Completed images, {net.name}", lines, data, 1.7)


def _middle(net: Network, image: Any) -> np.ndarray:
    """A mask of the middle of what the network sees, where objects stand."""
    mask = np.zeros(net.size, bool)
    rows, columns = net.picture(net.pixels_of(image)).shape[:2]
    mask[rows // 3 : rows * 11 // 12, columns // 4 : columns * 3 // 4] = True
    return mask


def _completed_cell(result: Completed, name: str) -> Cell:
    """A completion with the probabilities of its class."""
    return Cell(result.picture, f"{result.about}, {name}\n{result.before:.0%} → {result.after:.0%}", result=result)


def tinted(result: Completed) -> np.ndarray:
    """The photograph with its mask in a colour."""
    picture = result.masked.photograph.copy()
    picture[result.mask] = (0.45 * picture[result.mask] + 0.55 * TINT).astype(np.uint8)
    return picture


def styles_of(net: Network, label: str, styles: Any, k: int = 3) -> tuple[list[Pathway], list[str], np.ndarray | None]:
    """Pathways of the styles of a class, their names, and an image of each where they are topics."""
    if styles is None and net.labels == list(world.CLASSES):
        styles = world.dataset(_SCENES, 0, max(net.size), [label])
    elif styles is None:
        return [Pathway.ensemble(n) for n in range(k)], [f"dropout {n + 1}" for n in range(k)], None
    if isinstance(styles, (list, tuple)):
        return [as_pathway(one) for one in styles], [f"style {n + 1}" for n in range(len(styles))], None
    if not isinstance(styles, Topics):  # images in which topics are found
        found = styles if isinstance(styles, Features) else features(net, styles, cache=False, progress=False)
        several = (found.labels >= 0).any() and len(set(found.labels.tolist())) > 1
        styles = topics(found.of(label) if several else found, k)
    first = [int(styles.images(n, 1)[0]) for n in range(len(styles))]
    pathways, names = [as_pathway(one) for one in styles], [f"style {n + 1}" for n in range(len(styles))]
    return pathways, names, styles.features.pictures(first)


FIGURES: dict[str, Callable[..., Any]] = {"10": figure10}
