"""The score card: methods measured against the truth of the procedural world, printed as tables."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from .. import world
from ..errors import NetworkError, SettingError, brief
from ..network import Network, crop_and_resize, unit_gradient
from . import measures

Attribution = Callable[[Network, np.ndarray, int], np.ndarray]


@dataclass
class Table:
    """One kind of method: rows of (mean, standard error) by column."""

    title: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)
    note: str = ""

    def cells(self) -> list[list[str]]:
        return [
            [name, *(f"{mean:.3f} ± {error:.3f}" if error else f"{mean:.3f}" for mean, error in row)]
            for name, row in self.rows.items()
        ]


class ScoreCard(list):
    """Tables of scores; prints as text, shows itself in a notebook; `card[kind]` gives {method: {score: mean}}."""

    def __getitem__(self, key):
        if not isinstance(key, str):
            return super().__getitem__(key)
        table = next((t for t in self if t.title == key), None)
        if table is None:
            raise KeyError(f"{key!r} was not scored; scored were {', '.join(t.title for t in self)}.")
        return {
            name: dict(zip(table.columns, (mean for mean, _ in row), strict=True)) for name, row in table.rows.items()
        }

    def __repr__(self) -> str:
        return "\n\n".join(_as_text(table) for table in self)

    def _repr_html_(self) -> str:
        return "".join(_as_html(table) for table in self)


def _as_text(table: Table) -> str:
    lines = [[table.title, *table.columns], *table.cells()]
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    text = [
        "  ".join(
            cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    ]
    return "\n".join([text[0], "-" * len(text[0]), *text[1:], *([table.note] if table.note else [])])


def _as_html(table: Table) -> str:
    head = "".join(f"<th>{html.escape(c)}</th>" for c in (table.title, *table.columns))
    body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in line) + "</tr>" for line in table.cells())
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{html.escape(table.note)}</p>"


def score(
    net: Network,
    attributions: Mapping[str, Attribution] | None = None,
    topics: Mapping[str, Callable] | None = None,
    dissections: Mapping[str, Callable] | None = None,
    fields: Mapping[str, float] | None = None,
    n: int = 200,
    seed: int = world.HELD_OUT_SEED,
    truth: Iterable[tuple] | None = None,
) -> ScoreCard:
    """Methods against the world's truth, on n held-out scenes.

    attributions: name -> f(net, image (H, W, 3) uint8, target) giving a map (H, W), high where the target is seen;
        without any method at all, plain gradient saliency is scored. The object's true class is the target.
    topics: name -> f(net, images (N, H, W, 3), k) giving a group (N,) for each image of one class; scored for every
        class that has k > 1 styles, n scenes of each.
    dissections: name -> f(net, images) giving {concept: masks (N, H, W)}.
    fields: layer -> estimated size of its receptive field in pixels, or (rows, columns).
    truth: what attributions are scored on instead of the world: (image, target, mask (H, W) bool of the image) of
        annotated photographs, such as `annotated` gives; the mask is cut to what the network is shown.
    Raises NetworkError if the network does not know the world's classes, SettingError for wrong settings or outputs.
    """
    if not isinstance(n, int) or n < 1:
        raise SettingError(f"n is {n!r}; expected how many scenes to score on, 1 or more.")
    if truth is not None and not attributions:
        raise SettingError("truth was given without attributions; expected methods to score on it, by name.")
    if not (attributions or topics or dissections or fields):
        attributions = {"gradient": gradient_saliency}
    card = ScoreCard()
    if attributions:
        scored_on = _scenes(net, n, seed) if truth is None else truth
        card.append(_attributions(net, attributions, scored_on, "scenes" if truth is None else "photographs"))
    if topics:
        card.append(_topics(net, topics, n, seed))
    if dissections:
        card.append(_dissections(net, dissections, n, seed))
    if fields:
        errors = {name: ((measures.field_error(size, net.layers[name]), 0.0),) for name, size in fields.items()}
        card.append(Table("receptive fields", ("error in strides",), errors))
    return card


def gradient_saliency(net: Network, image, target: int) -> np.ndarray:
    """The largest absolute derivative of a class score over a pixel's channels: (H, W).

    Source: Simonyan et al., Deep inside convolutional networks, 2014, section 3.
    """
    x = net.pixels_of(image)
    return unit_gradient(net, net.scores.name, x, [target])[0].abs().amax(0).cpu().numpy()


def _mean(values: list[float]) -> tuple[float, float]:
    values = np.asarray(values, np.float64)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def _called(kind: str, name: str, method: Callable, *args):
    """What a method returns; its own failure says which method it was."""
    try:
        return method(*args)
    except Exception as error:
        raise SettingError(f"the {kind} {name!r} failed on a picture ({brief(error)}); mend it.") from error


def _scenes(net: Network, n: int, seed: int) -> Iterator[tuple]:
    unknown = [name for name in world.CLASSES if name not in net.labels]
    if unknown:
        raise NetworkError(
            f"{net.name} has no class {unknown[0]!r}; expected a network of the world's classes, such as "
            "cx.load('worldnet')."
        )
    scenes = world.dataset(n, seed, net.size[0])
    for k in range(n):
        scene = scenes.scene(k)
        yield scene.image, net.labels.index(scene.name), scene.mask


def _attributions(net: Network, methods: Mapping[str, Attribution], truth: Iterable[tuple], what: str) -> Table:
    chance = np.random.RandomState(0)
    shade = _middle(net.size)
    baselines: dict[str, Attribution] = {
        "a random map": lambda net, image, target: chance.rand(*net.size),
        "the picture's middle": lambda net, image, target: shade,
    }
    found: dict[str, list[tuple[float, ...]]] = {}
    areas = []
    for image, target, mask in truth:
        mask = _as_shown(mask, net.size)
        areas.append(mask.mean())
        for name, method in {**methods, **baselines}.items():
            result = _called("attribution", name, method, net, image, target)
            result = getattr(result, "map", result)
            scores = (measures.pointing, measures.mass_in_mask, measures.average_precision)
            found.setdefault(name, []).append(tuple(float(f(result, mask)) for f in scores))
    if not areas:
        raise SettingError("truth is empty; expected at least one (image, target, mask).")
    rows = {name: tuple(_mean(column) for column in zip(*values, strict=True)) for name, values in found.items()}
    note = f"{len(areas)} {what}; the object covers {np.mean(areas):.1%} of a picture on average."
    return Table("attributions", ("pointing game", "mass in mask", "average precision"), rows, note)


def _as_shown(mask, size: tuple[int, int]) -> np.ndarray:
    """The part of an image's mask that `Network.pixels_of` shows the network, at its size."""
    mask = np.asarray(mask, bool)
    if mask.ndim != 2:
        raise SettingError(f"a mask of shape {mask.shape} was given; expected (H, W), as the image.")
    return crop_and_resize(torch.from_numpy(mask)[None].float() * 255, size)[0].numpy() > 127


def _middle(size: tuple[int, int]) -> np.ndarray:
    """A hill in the middle: what a method must beat in a world where objects are rarely at the edge."""
    rows, columns = (np.linspace(-2, 2, side) for side in size)
    return np.exp(-(rows[:, None] ** 2) - columns[None, :] ** 2)


def _topics(net: Network, methods: Mapping[str, Callable], n: int, seed: int) -> Table:
    rows = {}
    classes = [name for name in world.CLASSES if len(world.STYLES[name]) > 1]
    scenes = {name: world.dataset(n, seed, net.size[0], names=[name]) for name in classes}
    for method_name, method in methods.items():
        values = []
        for name in classes:
            images = np.stack([scenes[name].scene(k).image for k in range(n)])
            groups = _called("topics", method_name, method, net, images, len(world.STYLES[name]))
            truth = scenes[name].styles
            values.append((measures.rand_index(groups, truth), measures.purity(groups, truth)))
            rows[f"{method_name}, {name}"] = tuple((value, 0.0) for value in values[-1])
        rows[f"{method_name}, all"] = tuple(_mean(column) for column in zip(*values, strict=True))
    note = f"{n} scenes of each class; k is the true number of styles."
    return Table("topics", ("adjusted Rand index", "purity"), rows, note)


def _dissections(net: Network, methods: Mapping[str, Callable], n: int, seed: int) -> Table:
    scenes = world.dataset(n, seed, net.size[0])
    pairs = [scenes.concepts(k) for k in range(n)]
    images = np.stack([image for image, _ in pairs])
    nothing = np.zeros(images.shape[1:3], bool)
    known = sorted({concept for _, masks in pairs for concept in masks})
    rows = {}
    for name, method in methods.items():
        values = []
        for concept, predicted in _called("dissection", name, method, net, images).items():
            if concept not in known:
                raise SettingError(
                    f"the dissection {name!r} speaks of {concept!r}, which is no concept of these scenes; expected "
                    f"names such as {known[0]!r}."
                )
            truth = np.stack([masks.get(concept, nothing) for _, masks in pairs])
            values.append(measures.iou(predicted, truth))
            rows[f"{name}, {concept}"] = ((values[-1], 0.0),)
        if values:
            rows[f"{name}, all"] = (_mean(values),)
    return Table("dissection", ("intersection over union",), rows, f"{n} scenes.")
