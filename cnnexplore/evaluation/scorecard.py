"""The score card: methods measured against the truth of the procedural world, as tables."""

from __future__ import annotations

import csv
import html
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import world
from ..arguments import checked, flag, optional, output, whole
from ..arguments import seed as any_seed
from ..attribution.method import with_registrations
from ..errors import ExploreError, NetworkError, SettingError, brief, brief_list, brief_value
from ..network import Network, crop_and_resize
from ..network.arguments import network
from ..results import writing
from ..units import Dissection, random_rotation
from . import measures
from .groups import NO_GROUP
from .hand_made_units import CodedScenes
from .inversions import measure_inversions
from .methods import (
    Method,
    attribution_method,
    attributions_by_name,
    call_method,
    methods_by_name,
    names_to_python,
)
from .randomization import compare, edges
from .removal import removal_scores

Row = tuple[tuple[float, float], ...]  # (mean, standard error) by column
Truth = tuple[np.ndarray, int, np.ndarray]  # image, target, mask


@dataclass
class ScoreTable:
    """The scores of one kind of method.

    Attributes
    ----------
    title : str
        The kind: "attributions", "topics", "dissection", "receptive fields", "inversions",
        "random weights" or "removed pixels".
    columns : tuple of str
        The scores.
    rows : dict
        By method, (mean, standard error) for each column.
    note : str
        A line under the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: dict[str, Row] = field(default_factory=dict)
    note: str = ""

    def cells(self) -> list[list[str]]:
        """The rows as text: the method, and "mean ± standard error" for each column."""
        return [
            [name, *(f"{mean:.3f} ± {error:.3f}" if error else f"{mean:.3f}" for mean, error in row)]
            for name, row in self.rows.items()
        ]

    def _text(self) -> str:
        lines = [[self.title, *self.columns], *self.cells()]
        widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
        text = [
            "  ".join(
                cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        return "\n".join([text[0], "-" * len(text[0]), *text[1:], *([self.note] if self.note else [])])

    def _html(self) -> str:
        head = "".join(f"<th>{html.escape(c)}</th>" for c in (self.title, *self.columns))
        body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in line) + "</tr>" for line in self.cells())
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{html.escape(self.note)}</p>"


class ScoreCard(list[ScoreTable]):
    """Tables of scores: a list that prints as text and is shown as HTML; ``card["attributions"]`` are the means.

    Parameters
    ----------
    tables : iterable of ScoreTable
        The tables.
    python : str
        The Python that makes the card again.
    """

    def __init__(self, tables: Iterable[ScoreTable] = (), python: str = ""):
        super().__init__(tables)
        self.python = python

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        table = next((t for t in self if t.title == key), None)
        if table is None:
            raise KeyError(f"{brief_value(key)} was not scored; scored were {brief_list(t.title for t in self)}.")
        return {
            name: dict(zip(table.columns, (mean for mean, _ in row), strict=True)) for name, row in table.rows.items()
        }

    def __repr__(self) -> str:
        return "\n\n".join(table._text() for table in self)

    def _repr_html_(self) -> str:
        return "".join(table._html() for table in self)

    def save(self, path: str | os.PathLike) -> None:
        """Write all scores, one a line.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .csv; the columns are kind, method, score, mean and standard error.

        Raises
        ------
        SettingError
            If the name ends in another suffix.
        """
        place = output({".csv"})("path", path)
        with writing(place), open(place, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["kind", "method", "score", "mean", "standard error"])
            for table in self:
                for name, row in table.rows.items():
                    for column, (mean, error) in zip(table.columns, row, strict=True):
                        writer.writerow([table.title, name, column, mean, error])

    def to_python(self) -> str:
        """The line of Python that makes this card again; methods are named by their argument."""
        return self.python


def _sizes(name: str, value: Any) -> Mapping[str, Any]:
    """Sizes by the name of a layer."""
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return value
    raise SettingError(f"{name} is {brief_value(value)}; expected sizes by layer, such as {{'conv2': 15.0}}.")


def _truth(name: str, value: Any) -> Any:
    """What can be gone through, an image at a time."""
    try:
        if not isinstance(value, (str, bytes, Mapping)):
            return _items(name, iter(value))
    except Exception:  # nothing that can be gone through; or the user's own type
        pass
    raise SettingError(f"{name} is {brief_value(value)}; expected (image, target, mask) of each image.")


def _items(name: str, iterator: Iterator[Any]) -> Iterator[Any]:
    """The items of what a user gave; an error of its own is said to be that."""
    try:
        yield from iterator
    except ExploreError:
        raise
    except Exception as error:
        raise SettingError(f"an item of {name} cannot be read ({brief(error)}); mend what gives it.") from error


@checked(
    net=network,
    attributions=optional(attributions_by_name),
    topics=optional(methods_by_name),
    dissections=optional(methods_by_name),
    fields=optional(_sizes),
    inversions=optional(methods_by_name),
    words=optional(methods_by_name),
    randomized=optional(attributions_by_name),
    removed=optional(attributions_by_name),
    truth=optional(_truth),
    n=whole(1, 1_000_000, "how many scenes"),
    seed=any_seed,
    progress=flag,
)
def score(
    net: Network,
    attributions: Mapping[str, Method] | Sequence[str] | None = None,
    *,
    topics: Mapping[str, Method] | None = None,
    dissections: Mapping[str, Method] | None = None,
    fields: Mapping[str, float | tuple[float, float]] | None = None,
    words: Mapping[str, Method] | None = None,
    inversions: Mapping[str, Method] | None = None,
    randomized: Mapping[str, Method] | Sequence[str] | None = None,
    removed: Mapping[str, Method] | Sequence[str] | None = None,
    truth: Iterable[Truth] | None = None,
    n: int = 200,
    seed: int = world.HELD_OUT_SEED,
    progress: bool = True,
) -> ScoreCard:
    """Score methods against the truth of the procedural world, on held-out scenes.

    Parameters
    ----------
    net : Network
        A network of the world's classes, such as ``cx.load("worldnet")``.
    attributions : mapping or sequence of str, optional
        Names among `attribution_methods()`; or by name, ``f(net, image, target)`` with an image (H, W, 3) uint8 and the
        true class, which returns a map (H, W), high where the target is seen, or an `Attribution`. Without any method
        at all, the gradient is scored.
    topics : mapping, optional
        By name, ``f(net, images, k)`` with images (N, H, W, 3) of one class; returns a group for each, (N,), -1 for an
        image in none, such as `cnnexplore.evaluation.facet_groups`. Scored on `n` scenes of every class that has k > 1
        styles.
    dissections : mapping, optional
        By name, ``f(net, images)``; returns masks (N, H, W) by concept.
    fields : mapping, optional
        By layer, the estimated size of its receptive field in pixels, or (rows, columns).
    words : mapping, optional
        By name, ``f(net, layer, dataset)``, such as ``partial(cx.dissect, quantile=0.5)``; returns a `Dissection`, or
        a concept for each unit. Scored on units that were made by hand for one concept each, not on `net`.
    inversions : mapping, optional
        By name, ``f(net, image)``, which returns the `PreImage` of an inversion, such as
        ``partial(cx.invert, layer="pool5", method="learned")``.
    randomized : mapping or sequence of str, optional
        Names, or functions by name, as for `attributions`, or functions that return a picture (H, W, 3). Scored is how
        similar the map stays as the network's weights become random, see `sanity_check`; a method that explains the
        network falls to 0. `cnnexplore.evaluation.sanity_methods` gives those of the package.
    removed : mapping or sequence of str, optional
        Names, or functions by name, as for `attributions`. Scored is how the probability of the class changes as pixels
        are removed in the order of the map: the areas under the curves of `cnnexplore.evaluation.deletion` (the lower,
        the better) and `insertion` (the higher, the better), and the score of `road` (the higher, the better).
    truth : iterable of (image, target, mask), optional
        What attributions are scored on in place of the world: annotated photographs, such as `annotated` gives. A mask
        is (H, W) bool, of the image's size.
    n : int
        How many scenes.
    seed : int
        The seed of the scenes.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    ScoreCard
        A table for each kind of method, with means and standard errors.

    Raises
    ------
    NetworkError
        If the network does not have the world's classes.
    SettingError
        For settings outside their range, or if a method fails or returns something else.
    LayerNotFound
        If there is no such layer.

    Examples
    --------
    >>> card = cx.score(cx.load("worldnet"), ["gradcam"], n=2, progress=False)
    >>> sorted(card["attributions"]["gradcam"])
    ['average precision', 'mass in mask', 'pointing game']
    """
    if truth is not None and not attributions:
        raise SettingError("truth was given without attributions; expected methods to score on it, by name.")
    given = {
        "topics": topics,
        "dissections": dissections,
        "fields": fields,
        "inversions": inversions,
        "words": words,
        "randomized": randomized,
        "removed": removed,
        "truth": truth,
    }
    arguments = [net.to_python(), *([names_to_python(_given(attributions), "attributions")] if attributions else [])]
    arguments += [f"{name}={names_to_python(value, name)}" for name, value in given.items() if value is not None]
    if not (attributions or topics or dissections or fields or inversions or randomized or removed or words):
        attributions = {"gradient": attribution_method("gradient")}
    python = f"cx.score({', '.join([*arguments, f'n={n}', f'seed={seed}'])})"
    card = ScoreCard(
        python=with_registrations(python, {**_given(attributions), **_given(randomized), **_given(removed)})
    )
    if attributions:
        images, what, total = (_scenes(net, n, seed), "scenes", n) if truth is None else (truth, "photographs", None)
        bar = tqdm(images, desc="attributions", unit="image", total=total, disable=not progress)
        card.append(_attributions(net, _given(attributions), bar, what))
    if topics:
        card.append(_topics(net, topics, n, seed, progress))
    if dissections:
        card.append(_dissections(net, dissections, n, seed, progress))
    if fields:
        errors: dict[str, Row] = {
            name: ((measures.field_error(size, net.layers[name]), 0.0),) for name, size in fields.items()
        }
        card.append(ScoreTable("receptive fields", ("error in strides",), errors))
    if words:
        card.append(_words(words, n, seed, progress))
    if inversions:
        card.append(_inversions(net, inversions, n, seed, progress))
    if randomized:
        card.append(_randomized(net, _given(randomized), n, seed, progress))
    if removed:
        card.append(_removed(net, _given(removed), n, seed, progress))
    return card


def _given(methods: Mapping[str, Method] | Sequence[str] | None) -> Mapping[str, Method]:
    """Methods by name, which the check of the argument made of names."""
    return methods if isinstance(methods, Mapping) else {}


def crop_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The part of an image's mask that `Network.pixels_of` shows the network, at the size of its input.

    Parameters
    ----------
    mask : np.ndarray
        (H, W) bool, of the image's size.
    size : tuple of int
        (rows, columns) of the network's input.

    Returns
    -------
    np.ndarray
        (rows, columns) bool.

    Raises
    ------
    SettingError
        If the mask has no two dimensions.
    """
    mask = measures.mask_of(mask)
    if mask.ndim != 2:
        raise SettingError(f"a mask of shape {mask.shape} was given; expected (H, W), as the image.")
    return crop_and_resize(torch.from_numpy(mask)[None].float() * 255, size)[0].numpy() > 127


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error."""
    array = np.asarray(values, np.float64)
    return float(array.mean()), float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else 0.0


def _scenes(net: Network, n: int, seed: int) -> Iterator[Truth]:
    unknown = [name for name in world.CLASSES if name not in net.labels]
    if unknown:
        raise NetworkError(
            f"{net.name} has no class {brief_value(unknown[0])}; expected a network of the world's classes, such as "
            "cx.load('worldnet')."
        )
    scenes = world.dataset(n, seed, net.size[0])
    for k in range(n):
        scene = scenes.scene(k)
        yield scene.image, net.labels.index(scene.name), scene.mask


def _attributions(net: Network, methods: Mapping[str, Method], truth: Iterable[Truth], what: str) -> ScoreTable:
    chance = np.random.RandomState(0)
    centre = _centre(net.size)
    baselines: dict[str, Method] = {
        "a random map": lambda net, image, target: chance.rand(*net.size),
        "the picture's middle": lambda net, image, target: centre,
    }
    found: dict[str, list[tuple[float, ...]]] = {}
    areas = []
    for one in truth:
        if not isinstance(one, (list, tuple)) or len(one) != 3:
            raise SettingError(f"truth has {brief_value(one)}; expected (image, target, mask).")
        image, target, whole_mask = one
        mask = crop_mask(whole_mask, net.size)
        areas.append(mask.mean())
        for name, method in {**methods, **baselines}.items():
            result = call_method("attribution", name, method, net, image, target)
            result = getattr(result, "map", result)
            scores = (measures.pointing, measures.mass_in_mask, measures.average_precision)
            found.setdefault(name, []).append(tuple(float(f(result, mask)) for f in scores))
    if not areas:
        raise SettingError("truth is empty; expected at least one (image, target, mask).")
    rows: dict[str, Row] = {
        name: tuple(_mean(column) for column in zip(*values, strict=True)) for name, values in found.items()
    }
    note = f"{len(areas)} {what}; the object covers {np.mean(areas):.1%} of a picture on average."
    return ScoreTable("attributions", ("pointing game", "mass in mask", "average precision"), rows, note)


def _centre(size: tuple[int, int]) -> np.ndarray:
    """A Gaussian at the centre: the baseline of a world whose objects are rarely at the edge."""
    rows, columns = (np.linspace(-2, 2, side) for side in size)
    return np.exp(-(rows[:, None] ** 2) - columns[None, :] ** 2)


def _topics(net: Network, methods: Mapping[str, Method], n: int, seed: int, progress: bool) -> ScoreTable:
    rows: dict[str, Row] = {}
    classes = [name for name in world.CLASSES if len(world.STYLES[name]) > 1]
    scenes = {name: world.dataset(n, seed, net.size[0], names=[name]) for name in classes}
    with tqdm(total=len(methods) * len(classes), desc="topics", unit="class", disable=not progress) as bar:
        for method_name, method in methods.items():
            values = []
            for name in classes:
                images = np.stack([scenes[name].scene(k).image for k in range(n)])
                groups = call_method("topics", method_name, method, net, images, len(world.STYLES[name]))
                groups, truth = measures.groupings(groups, scenes[name].styles)
                in_group = groups != NO_GROUP
                if not in_group.any():
                    raise SettingError(f"the topics {method_name!r} put no image in a group; expected numbers from 0.")
                groups, truth = groups[in_group], truth[in_group]
                share = float(in_group.mean())
                values.append((measures.rand_index(groups, truth), measures.purity(groups, truth), share))
                rows[f"{method_name}, {name}"] = tuple((value, 0.0) for value in values[-1])
                bar.update()
            rows[f"{method_name}, all"] = tuple(_mean(column) for column in zip(*values, strict=True))
    note = f"{n} scenes of each class; k is the true number of styles."
    return ScoreTable("topics", ("adjusted Rand index", "purity", "images in a group"), rows, note)


def _dissections(net: Network, methods: Mapping[str, Method], n: int, seed: int, progress: bool) -> ScoreTable:
    scenes = world.dataset(n, seed, net.size[0])
    pairs = [scenes.concepts(k) for k in range(n)]
    images = np.stack([image for image, _ in pairs])
    nothing = np.zeros(images.shape[1:3], bool)
    known = sorted({concept for _, masks in pairs for concept in masks})
    rows: dict[str, Row] = {}
    for name, method in tqdm(methods.items(), desc="dissections", unit="method", disable=not progress):
        values = []
        found = call_method("dissection", name, method, net, images)
        if not isinstance(found, Mapping):
            raise SettingError(f"the dissection {brief_value(name)} returned {brief_value(found)}; expected a dict.")
        for concept, predicted in found.items():
            if concept not in known:
                raise SettingError(
                    f"the dissection {brief_value(name)} returned {brief_value(concept)}, which is no concept of "
                    f"these scenes; expected names such as {known[0]!r}."
                )
            truth = np.stack([masks.get(concept, nothing) for _, masks in pairs])
            values.append(measures.iou(predicted, truth))
            rows[f"{name}, {concept}"] = ((values[-1], 0.0),)
        if values:
            rows[f"{name}, all"] = (_mean(values),)
    return ScoreTable("dissection", ("intersection over union",), rows, f"{n} scenes.")


def _words(methods: Mapping[str, Method], n: int, seed: int, progress: bool) -> ScoreTable:
    scenes = CodedScenes(n, seed)
    net, names = scenes.network()
    turned = scenes.network(random_rotation(len(names), seed=0))[0]
    rows: dict[str, Row] = {}
    bar = tqdm(total=2 * len(methods), desc="words", unit="network", disable=not progress)
    for name, method in methods.items():
        for suffix, one in (("", net), (", rotated units", turned)):
            found = call_method("words", name, method, one, "relu2", scenes)
            given = [word.concept for word in found.words] if isinstance(found, Dissection) else found
            if not isinstance(given, (list, tuple)) or len(given) != len(names):
                raise SettingError(
                    f"the words {brief_value(name)} are {brief_value(given)}; expected a concept for each of "
                    f"{len(names)} units."
                )
            right = [float(word == truth) for word, truth in zip(given, names, strict=True)]
            rows[f"{name}{suffix}"] = (_mean(right),)
            bar.update()
    bar.close()
    return ScoreTable("words", ("named right",), rows, f"{len(names)} units that were made by hand; {n} scenes.")


def _inversions(net: Network, methods: Mapping[str, Method], n: int, seed: int, progress: bool) -> ScoreTable:
    images = tqdm(_scenes(net, n, seed), desc="inversions", unit="scene", total=n, disable=not progress)
    wrapped = {name: partial(call_method, "inversion", name, method) for name, method in methods.items()}
    found = measure_inversions(net, wrapped, (image for image, _, _ in images))
    rows: dict[str, Row] = {name: tuple(_mean(column) for column in values.T) for name, values in found.items()}
    note = f"{n} scenes; relative errors, 1 for an image of the mean colour and for an activation of zero."
    return ScoreTable("inversions", ("image error", "activation error", "seconds"), rows, note)


def _randomized(net: Network, methods: Mapping[str, Method], n: int, seed: int, progress: bool) -> ScoreTable:
    images, targets, _ = zip(*_scenes(net, n, seed), strict=True)
    check = compare(net, images, targets, {**methods, "the image's edges": edges}, progress=progress)
    last = len(check.layers) - 1
    points = {"scores only": 1, "upper half": (last + 1) // 2, "all weights": last}
    rows: dict[str, Row] = {
        name: (*(_mean(check.rank[m, p]) for p in points.values()), _mean(check.ssim[m, last]))
        for m, name in enumerate(check.methods)
    }
    note = (
        f"{n} scenes; the mean rank correlation of absolute maps with those of the trained network, where the weights "
        f"of {check.layers[1]}, of {check.layers[points['upper half']]} and all above, and of all layers are random; "
        "last, the structural similarity."
    )
    note += "".join(f" {name} was left out: {why}" for name, why in check.left_out.items())
    return ScoreTable("random weights", (*points, "SSIM, all weights"), rows, note)


def _removed(net: Network, methods: Mapping[str, Method], n: int, seed: int, progress: bool) -> ScoreTable:
    chance = np.random.RandomState(0)
    baselines: dict[str, Method] = {
        "a random map": lambda net, image, target: chance.rand(*net.size),
        "the image's edges": edges,
    }
    found: dict[str, list[tuple[float, ...]]] = {}
    for image, target, _ in tqdm(_scenes(net, n, seed), "removed pixels", n, unit="scene", disable=not progress):
        for name, method in {**methods, **baselines}.items():
            result = call_method("attribution", name, method, net, image, target)
            result = getattr(result, "map", result)
            found.setdefault(name, []).append(removal_scores(net, image, target, result))
    rows: dict[str, Row] = {
        name: tuple(_mean(column) for column in zip(*values, strict=True)) for name, values in found.items()
    }
    note = f"{n} scenes; the class's probability as pixels are removed: deletion low, insertion and ROAD high."
    return ScoreTable("removed pixels", ("deletion", "insertion", "ROAD"), rows, note)
