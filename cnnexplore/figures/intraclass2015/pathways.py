"""Figures 5, 7 and 8: classes at locations, ensembles of dropout networks, and hierarchical codes of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import world
from ...data import photograph
from ...errors import SettingError, brief_value
from ...network import Network, resolve_unit, unit_name
from ...preimage import maximize
from ...representations import features
from ...styles import Pathway, pathway_weight
from ...styles.classifier_head import classifier_head
from ..parts import batch, input_cell, result_cell
from ..sheet import Sheet


def figure5(
    net: Network,
    classes: Sequence[int | str] | None = None,
    k: int = 2,
    C: float | None = None,
    steps: int = 200,
    seed: int = 0,
    progress: bool = True,
) -> Sheet:
    """Classes at locations: activation maximisation where only k x k positions of pool5 are open (section 4.1).

    Three by three windows from the top left to the bottom right, class beside class. White frames show where the open
    positions lie. data: "windows", (row, column) of each; "classes", their numbers.
    """
    units, (rows, columns) = units_of(net, classes), classifier_head(net).grid
    if not isinstance(k, (int, np.integer)) or not 1 <= k <= min(rows, columns):
        raise SettingError(f"k is {brief_value(k)}; expected 1 to {min(rows, columns)} positions of pool5.")
    corners = [sorted({0, (side - k) // 2, side - k}) for side in (rows, columns)]
    windows = [(row, column) for row in corners[0] for column in corners[1]]
    pathways = [Pathway.location(row, column, k) for row, column in windows]
    C = pathway_weight(net) if C is None else C
    settings: dict[str, Any] = {
        "preset": "paper2016", "C": C, "steps": steps, "seed": seed, "pathway": pathways, "progress": progress,
    }  # fmt: skip
    made = {unit: batch(maximize(net, net.scores.name, unit, **settings)) for unit in units}
    lines = []
    for n, row in enumerate(corners[0]):
        line = []
        for unit in units:
            name = unit_name(net, net.scores, unit)
            for m, column in enumerate(corners[1]):
                title = f"{name}\nrows {row + 1}-{row + k}, columns {column + 1}-{column + k}"
                result = made[unit][n * len(corners[1]) + m]
                line.append(result_cell(result, title, box=_box(net, row, column, k)))
        lines.append(line)
    return Sheet(f"Classes at positions of pool5, {net.name}", lines, {"windows": windows, "classes": units}, 1.7)


def _box(net: Network, row: int, column: int, k: int) -> tuple[float, float, float, float] | None:
    """Where the centres of k x k positions lie, (top, left, bottom, right) in pixels."""
    pool = classifier_head(net).pool
    if pool is None:
        return None
    top, left = (o + s * (p - 0.5) for o, s, p in zip(pool.rf_offset, pool.rf_stride, (row, column), strict=True))
    height, width = net.size
    bottom, right = top + pool.rf_stride[0] * k, left + pool.rf_stride[1] * k
    return top, left, min(bottom, height - 1), min(right, width - 1)


def figure7(
    net: Network,
    classes: Sequence[int | str] | None = None,
    masks: int = 2,
    starts: int = 2,
    relu: bool = False,
    C: float | None = None,
    steps: int = 200,
    progress: bool = True,
) -> Sheet:
    """Ensembles: activation maximisation of classes in networks of dropout, each from several starts (section 4.3).

    A row per class; the networks beside each other, each with its starts. relu: keep the ReLUs in force. data:
    "between" and "within", the mean distances in fc7 between pictures of two networks from one start, and of one
    network from two starts.
    """
    C = pathway_weight(net) if C is None else C
    order = [(mask, start) for mask in range(masks) for start in range(starts)]
    settings: dict[str, Any] = {
        "C": C,
        "steps": steps,
        "seed": [start for _, start in order],
        "pathway": [Pathway.ensemble(mask, relu=relu) for mask, _ in order],
        "progress": progress,
    }
    lines: list[list[Any]] = []
    between: list[float] = []
    within: list[float] = []
    for unit in units_of(net, classes):
        made, name = batch(maximize(net, net.scores.name, unit, **settings)), unit_name(net, net.scores, unit)
        lines.append([
            result_cell(one, f"{name}\nnetwork {mask + 1}, start {start + 1}")
            for one, (mask, start) in zip(made, order, strict=True)
        ])  # fmt: skip
        apart = distances(net, [one.picture for one in made])
        pairs = [(i, j) for i in range(len(order)) for j in range(i)]
        between += [apart[i, j] for i, j in pairs if order[i][1] == order[j][1]]
        within += [apart[i, j] for i, j in pairs if order[i][0] == order[j][0]]
    data = {"between": mean_or_nan(between), "within": mean_or_nan(within)}
    return Sheet(f"Networks of dropout, {net.name}", lines, data, 1.7)


def figure8(
    net: Network,
    images: Any = None,
    C: float | None = None,
    steps: int = 200,
    seed: int = 0,
    relu: bool = False,
    progress: bool = True,
) -> Sheet:
    """Hierarchical codes: a class through the masks {m7}, {m6, m7} and {m5, m6, m7} of an image (section 4.4).

    A row per image: the image, its class through the whole network, then through its masks. relu: keep the ReLUs in
    force. data: "distances", (images, 4), from each picture to the image in fc7.
    """
    C = pathway_weight(net) if C is None else C
    lines, apart = [], []
    for image in images_or_default(net, images):
        unit = int(net.activations(image, net.scores.name).flatten().argmax())
        depths = [1, 2, 3] if len(classifier_head(net).relus) > 1 else [1]
        pathways = [None, *(Pathway.of(image, depth, relu=relu) for depth in depths)]
        names = ["the whole network", "{m7}", "{m6, m7}", "{m5, m6, m7}"]
        made = batch(
            maximize(
                net,
                net.scores.name,
                unit,
                preset="paper2016",
                C=C,
                steps=steps,
                seed=seed,
                pathway=pathways,
                progress=progress,
            )
        )
        apart.append(distances(net, [image, *(one.picture for one in made)])[0, 1:])
        cells = [result_cell(one, name) for one, name in zip(made, names, strict=False)]
        label = unit_name(net, net.scores, unit)
        lines.append([input_cell(net, image, f"{label},\nthe image of the masks"), *cells])
    return Sheet(f"The masks of an image, {net.name}", lines, {"distances": np.array(apart)}, 1.7)


def units_of(net: Network, classes: Sequence[int | str] | None, count: int = 2) -> list[int]:
    """The classes asked for, by label or number, as units, or the first ones of the network. Raises SettingError."""
    if classes is None:
        return list(range(min(count, net.scores.channels)))
    return [resolve_unit(net, net.scores, one) for one in classes]


def distances(net: Network, images: list[Any]) -> np.ndarray:
    """Distances between images in the features layer (fc7), relative to their lengths there, (N, N)."""
    activations = np.asarray(features(net, images, cache=False, progress=False, dtype="float32"))
    length = np.linalg.norm(activations, axis=1)
    apart = np.linalg.norm(activations[:, None] - activations[None], axis=2)
    return apart / np.sqrt(np.outer(length, length)).clip(1e-12)


def mean_or_nan(values: Sequence[float]) -> float:
    """The mean, not a number for no values."""
    return float(np.mean(values)) if len(values) else float("nan")


def images_or_default(net: Network, images: Any) -> list[Any]:
    """The images given as a list, or two that suit the network."""
    if images is not None:
        return list(images) if isinstance(images, (list, tuple)) else [images]
    if net.labels == list(world.CLASSES):
        return [world.scene(seed, name, size=max(net.size)).image for seed, name in ((4, "church"), (7, "bird"))]
    return [photograph(name) for name in ("coffee", "cat")]


FIGURES: dict[str, Callable[..., Any]] = {"5": figure5, "7": figure7, "8": figure8}
