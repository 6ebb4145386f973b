"""Figures 5, 7, 8 and 10 of intraclass2015: places, ensembles, codes, and completed images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import world
from ...data import photograph
from ...errors import SettingError
from ...network import Network, resolve_unit, unit_name
from ...preimage import maximize
from ...representations import Features, features
from ...styles import Completed, Pathway, Topics, as_pathway, complete, pathway_weight, topics
from ...styles.classifier_head import classifier_head
from ..parts import input_cell, result_cell
from ..sheet import Cell, Sheet

TINT = np.array([224, 0, 122])
_SCENES = 120  # of a class of the world, in which its styles are looked for


def classes_of(net: Network, classes: Sequence | None, count: int = 2) -> list[int]:
    """The classes asked for, by label or number, or the first ones that a network has. Raises SettingError."""
    if classes is None:
        return list(range(min(count, net.scores.channels)))
    return [resolve_unit(net, net.scores, one) for one in classes]


def figure5(
    net: Network, classes: Sequence | None = None, k: int = 2, C: float | None = None, steps: int = 200, seed: int = 0,
    progress: bool = True,
) -> Sheet:  # fmt: skip
    """Classes at places: what a class looks like where only k x k places of pool5 pass (section 4.1).

    Three by three windows, from the top left to the bottom right, class beside class; framed in white is where the
    open places lie. data: "windows", (row, column) of each.
    """
    units, (rows, columns) = classes_of(net, classes), classifier_head(net).grid
    if not isinstance(k, int) or not 1 <= k <= min(rows, columns):
        raise SettingError(f"k is {k!r}; expected 1 to {min(rows, columns)} places of pool5.")
    at = [sorted({0, (side - k) // 2, side - k}) for side in (rows, columns)]
    windows = [(row, column) for row in at[0] for column in at[1]]
    ways = [Pathway.location(row, column, k) for row, column in windows]
    C = pathway_weight(net) if C is None else C
    made = {
        u: maximize(net, net.scores.name, u, C=C, steps=steps, seed=seed, pathway=ways, progress=progress)
        for u in units
    }
    lines = []
    for n, row in enumerate(at[0]):
        line = []
        for u in units:
            for m, column in enumerate(at[1]):
                result = made[u][n * len(at[1]) + m]
                title = f"{unit_name(net, net.scores, u)}, rows {row + 1}-{row + k}, columns {column + 1}-{column + k}"
                line.append(result_cell(result, title.replace(", rows", "\nrows"), box=_box(net, row, column, k)))
        lines.append(line)
    return Sheet(f"Classes at places of pool5, {net.name}", lines, {"windows": windows, "classes": units}, 1.7)


def _box(net: Network, row: int, column: int, k: int) -> tuple[float, float, float, float] | None:
    """Where the centres of k x k places lie, in pixels."""
    pool = classifier_head(net).pool
    if pool is None:
        return None
    low = [o + s * (p - 0.5) for o, s, p in zip(pool.rf_offset, pool.rf_stride, (row, column), strict=True)]
    high = [v + s * k for v, s in zip(low, pool.rf_stride, strict=True)]
    return (*low, *(min(v, side - 1) for v, side in zip(high, net.size, strict=True)))


def figure7(
    net: Network, classes: Sequence | None = None, masks: int = 2, starts: int = 2, relu: bool = False,
    C: float | None = None, steps: int = 200, progress: bool = True,
) -> Sheet:  # fmt: skip
    """Ensembles: classes as networks of dropout see them, each from several starts (section 4.3).

    A row per class; the networks beside each other, the starts of each in turn. data: "between" and "within", the mean
    distances of pictures of two networks from one start and of one network from two starts, in fc7 where there is one.
    """
    units, C = classes_of(net, classes), pathway_weight(net) if C is None else C
    order = [(mask, start) for mask in range(masks) for start in range(starts)]
    ways = [Pathway.ensemble(mask, relu=relu) for mask, _ in order]
    lines, between, within = [], [], []
    for u in units:
        made = maximize(
            net, net.scores.name, u, C=C, steps=steps, seed=[start for _, start in order], pathway=ways,
            progress=progress,
        )  # fmt: skip
        lines.append(
            [
                result_cell(one, f"{unit_name(net, net.scores, u)}\nnetwork {mask + 1}, start {start + 1}")
                for one, (mask, start) in zip(made, order, strict=True)
            ]
        )
        far = distances(net, [one.picture for one in made])
        pairs = [(i, j) for i in range(len(order)) for j in range(i)]
        between += [far[i, j] for i, j in pairs if order[i][1] == order[j][1]]
        within += [far[i, j] for i, j in pairs if order[i][0] == order[j][0]]
    data = {"between": _mean(between), "within": _mean(within)}
    return Sheet(f"Networks of dropout, {net.name}", lines, data, 1.7)


def figure8(
    net: Network,
    images=None,
    C: float | None = None,
    steps: int = 200,
    seed: int = 0,
    relu: bool = False,
    progress: bool = True,
) -> Sheet:
    """Hierarchical codes: a class through more and more of what an image opens, {m7}, {m6, m7}, {m5, m6, m7}.

    A row per image: the image, its class through the whole network, then through its codes (section 4.4). relu: the
    relus stay in force, so that a code only closes units.
    data: "distances", (images, 4), from each picture to the image in fc7, where there is one.
    """
    lines, far, C = [], [], pathway_weight(net) if C is None else C
    for image in _some(net, images):
        unit = int(net.activations(image, net.scores.name).flatten().argmax())
        label = unit_name(net, net.scores, unit)
        depths = [1, 2, 3] if len(classifier_head(net).relus) > 1 else [1]
        ways = [None, *(Pathway.of(image, depth, relu=relu) for depth in depths)]
        names = ["the whole network", "{m7}", "{m6, m7}", "{m5, m6, m7}"]
        made = maximize(net, net.scores.name, unit, C=C, steps=steps, seed=seed, pathway=ways, progress=progress)
        far.append(distances(net, [image, *(one.picture for one in made)])[0, 1:])
        cells = [result_cell(one, name) for one, name in zip(made, names, strict=False)]
        lines.append([input_cell(net, image, f"{label}\nwhose code is used"), *cells])
    return Sheet(f"The code of an image, {net.name}", lines, {"distances": np.array(far)}, 1.7)


def figure10(
    net: Network, image=None, mask=None, target=None, styles=None, other=None, seed: int = 0, steps: int = 200,
    C: float | None = None, progress: bool = True,
) -> Sheet:  # fmt: skip
    """Completion: an object put into a scene, and an object modified, each in several styles (section 5.2).

    For each the image above its mask, and above each fill an image that has the style, where one is known.
    image, mask, target: a scene, where to fill it, and with which class (default: what its context suggests). other:
    an image with an object whose key part is found and done anew. styles: topics, masks or pathways of the class, or a
    folder of its images; None finds those of the world's classes, and takes networks of dropout for other networks.
    data: "before" and "after", the class's probabilities; "apart", how far fills of two styles are in fc7.
    """
    bundled = _some(net, None)
    image, other = bundled[0] if image is None else image, bundled[1] if other is None else other
    h, w = net.size
    if mask is None:
        rows, columns = net.picture(net.pixels_of(image)).shape[:2]
        mask = np.zeros((h, w), bool)
        mask[rows // 3 : rows * 11 // 12, columns // 4 : columns * 3 // 4] = True
    lines, data = [], {"before": [], "after": [], "apart": []}
    for what, one, hole, unit in (("scene", image, mask, target), ("object", other, None, None)):
        probe = complete(net, one, hole, target=unit, steps=0, refine=0, M=1.0, progress=False)
        ways, names, shown = styles_of(net, probe.about, styles)
        made = complete(
            net, one, hole, ways, target=probe.about if probe.about in net.labels else unit, C=C, steps=steps,
            seed=seed, progress=progress,
        )  # fmt: skip
        fills = [filled(result, name) for result, name in zip(made, names, strict=True)]
        first, second = Cell(probe.masked.photograph, what), Cell(tinted(made[0]), "to be filled")
        if shown is None:
            lines.append([first, second, *fills])
        else:
            have = [Cell(picture, f"an image of {name}") for picture, name in zip(shown, names, strict=True)]
            lines += [[first, *have], [second, *fills]]
        data["before"].append([result.before for result in made])
        data["after"].append([result.after for result in made])
        far = distances(net, [result.picture for result in made])
        data["apart"].append(_mean(far[np.triu_indices(len(far), 1)].tolist()))
    return Sheet(f"Completed images, {net.name}", lines, data, 1.7)


def filled(result: Completed, name: str) -> Cell:
    """A completion with the probabilities of its class."""
    return Cell(result.picture, f"{result.about}, {name}\n{result.before:.0%} → {result.after:.0%}", result=result)


def tinted(result: Completed) -> np.ndarray:
    """The photograph with the mask over it."""
    picture = result.masked.photograph.copy()
    picture[result.mask] = (0.45 * picture[result.mask] + 0.55 * TINT).astype(np.uint8)
    return picture


def styles_of(net: Network, label: str, styles, k: int = 3) -> tuple[list[Pathway], list[str], np.ndarray | None]:
    """Pathways for styles of a class, what they are called, and an image of each, where they are known."""
    if styles is None and net.labels == list(world.CLASSES):
        styles = world.dataset(_SCENES, 0, max(net.size), [label])
    elif styles is None:
        return [Pathway.ensemble(n) for n in range(k)], [f"dropout {n + 1}" for n in range(k)], None
    if isinstance(styles, (list, tuple)):
        return [as_pathway(one) for one in styles], [f"style {n + 1}" for n in range(len(styles))], None
    if not isinstance(styles, Topics):  # images in which to look
        found = styles if isinstance(styles, Features) else features(net, styles, cache=False, progress=False)
        several = (found.labels >= 0).any() and len(set(found.labels.tolist())) > 1
        styles = topics(found.of(label) if several else found, k)
    names, first = [f"style {n + 1}" for n in range(len(styles))], [styles.images(n, 1)[0] for n in range(len(styles))]
    return [as_pathway(one) for one in styles], names, styles.features.pictures(first)


def distances(net: Network, images: list) -> np.ndarray:
    """How far images are from each other in the code that the class scores see, over the codes' length: (N, N)."""
    codes = np.concatenate([features(net, images, cache=False, progress=False, dtype="float32")])
    length = np.linalg.norm(codes, axis=1)
    apart = np.linalg.norm(codes[:, None] - codes[None], axis=2)
    return apart / np.sqrt(np.outer(length, length)).clip(1e-12)


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _some(net: Network, images) -> list:
    """The images given, or some that are always at hand for a network."""
    if images is not None:
        return list(images) if isinstance(images, (list, tuple)) else [images]
    if net.labels == list(world.CLASSES):
        return [world.scene(seed, name, size=max(net.size)).image for seed, name in ((4, "church"), (7, "bird"))]
    return [photograph(name) for name in ("coffee", "cat")]


FIGURES = {"5": figure5, "7": figure7, "8": figure8, "10": figure10}
