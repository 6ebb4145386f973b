"""The parts of a unit's report: each is computed by itself, the cheap ones first, or says why it cannot be made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .. import drawing, world
from ..data import Images
from ..decoding import decode
from ..errors import ExploreError, SettingError
from ..network import Layer, Network
from ..preimage import GeneratorMaximization, Maximization
from ..units import (
    Dissection,
    Filters,
    Interventions,
    TopPatches,
    dissect_stream,
    evolution_stream,
    facet_stream,
    filters,
    receptive_field,
    top_stream,
)

_TILES = 64  # input maps of a deeper filter that are drawn
_FIELD_IMAGES = 3
_OTHERS = 8  # units that the effect of silencing one is compared with
_CLASSES = 6  # whose scores change most
_SCENES, _SCENES_SEED = 300, 1  # of the world, where no masks are given
_CONCEPTS = 5  # that a unit overlaps with most
_MOMENTS = 9  # of a training, at most
_SMALL = 48  # pixels of an image beside a facet
_EVERY = 10  # steps between two pictures of a maximisation on its way


@dataclass(frozen=True)
class Bar:
    """A number of a part that is drawn as a bar.

    Attributes
    ----------
    label : str
        What it is of, such as a class.
    value : float
        The number.
    reference : float, optional
        What it is compared with, such as the same number by chance.
    """

    label: str
    value: float
    reference: float | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """One part of a unit's report.

    Attributes
    ----------
    name : str
        One of `PARTS`.
    title : str
        What it shows.
    pictures : tuple of np.ndarray
        (H, W, 3) uint8 each.
    captions : tuple of str
        One for each picture, or none.
    bars : tuple of Bar
        Its numbers, where it shows numbers.
    note : str
        One sentence with what was measured.
    why : str
        Why it cannot be made, one sentence; else empty.
    done : float
        The share that is computed, 0 to 1.
    value : object
        The result that it is made of, such as a `TopPatches`.

    Examples
    --------
    >>> report = cx.ask(cx.load("lenet"), "conv2", 7, parts=["filter"], progress=False)
    >>> report["filter"].note
    '20 maps of 5 x 5'
    """

    name: str
    title: str
    pictures: tuple[np.ndarray, ...] = field(default=(), repr=False)
    captions: tuple[str, ...] = field(default=(), repr=False)
    bars: tuple[Bar, ...] = field(default=(), repr=False)
    note: str = ""
    why: str = ""
    done: float = 1.0
    value: Any = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Question:
    """The unit that a report is of, and what it is made with.

    Parameters
    ----------
    net : Network
        The network.
    layer : Layer
        The unit's layer.
    unit : int
        The unit.
    images : Images
        The data set whose images excite the unit.
    k : int
        How many patches.
    steps : int, optional
        Steps of a maximisation.
    seed : int
        Of what is left to chance.
    rule : str
        The backward rule of the projections.
    concepts : ConceptData or Dissection, optional
        Images with masks of concepts, or what was found of all units of the layer with them.
    checkpoints : str, os.PathLike, list or dict, optional
        Networks or files of a training, as `evolution` takes them; by default those that ship with the network.
    top : TopPatches, optional
        The patches of all units of the layer, where they are known.
    """

    net: Network
    layer: Layer
    unit: int
    images: Images
    k: int = 9
    steps: int | None = None
    seed: int = 0
    rule: str = "deconvnet"
    concepts: Any = None
    checkpoints: Any = None
    top: TopPatches | None = None

    @cached_property
    def found(self) -> TopPatches:
        """The unit's top patches."""
        if self.top is not None:
            return self.top.only(self.unit)
        *_, found = top_stream(self.net, self.layer.name, [self.unit], self.images, k=self.k)
        return found


def filter_picture(found: Filters, unit: int) -> np.ndarray:
    """A unit's filter, (H, W, 3) uint8: in colour, or its weights on the first maps of the layer before, as tiles."""
    if found.of_pixels:
        return found.pictures()[found.units.index(unit)]
    tiles = found.tiles(unit)[:_TILES]
    return drawing.tiles(tiles, round(len(tiles) ** 0.5 + 0.49), background=150)


def _filter(asked: Question, title: str) -> Iterator[Part]:
    found = filters(asked.net, asked.layer.name, asked.unit)
    count, rows, columns = found.weights.shape[1:]
    kind = "colours" if found.of_pixels else "maps"
    note = f"{count} {kind} of {rows} x {columns}" + (f", {_TILES} shown" if count > _TILES else "")
    yield Part("filter", title, (filter_picture(found, asked.unit),), note=note, value=found)


def _decoded(asked: Question, title: str) -> Iterator[Part]:
    found = decode(asked.net, asked.layer.name, asked.unit, progress=False)
    rows, columns = found.filters.shape[2:]
    note = f"{rows} x {columns} pixels, from the weights alone"
    yield Part("decoded filter", title, (found.pictures()[0],), note=note, value=found)


def _top(asked: Question, title: str) -> Iterator[Part]:
    found = asked.found
    values = found.values[0]
    note = f"responses {values[0]:.3g} to {values[-1]:.3g}, of {len(found.images)} images"
    if not values[0] > 0:
        note = f"silent: none of {len(found.images)} images gives it a response above {values[0]:.3g}"
    yield Part("top patches", title, tuple(found.patches()), tuple(f"{v:.3g}" for v in values), note=note, value=found)


def _projections(asked: Question, title: str) -> Iterator[Part]:
    found = asked.found
    note = f"the pattern in each patch that the response comes from, by {asked.rule.replace('_', ' ')}"
    yield Part("projections", title, tuple(found.projections(rule=asked.rule)), note=note, value=found)


def _field(asked: Question, title: str) -> Iterator[Part]:
    layer = asked.layer
    if not layer.has_map:
        raise SettingError(f"{layer.name} has no map: its units see the whole image.")
    if not asked.found.values[0, 0] > 0:
        raise SettingError("no image gives the unit a response above 0, so there is none that could change.")
    found = receptive_field(asked.net, layer.name, asked.unit, asked.found, k=_FIELD_IMAGES, progress=False)
    theory = " x ".join(f"{side:g}" for side in found.theoretical)
    note = f"{found.size:.0f} px in effect, {theory} in theory"
    yield Part("receptive field", title, (drawing.heat(found.map),), note=note, value=found)


def _maximized(asked: Question, title: str) -> Iterator[Part]:
    run = Maximization(asked.net, asked.layer.name, asked.unit, steps=asked.steps, seed=asked.seed)
    for frame in run.frames():
        if frame.step % _EVERY == 0 and frame.step < frame.total:
            note = f"step {frame.step} of {frame.total}"
            yield Part("maximisation", title, (frame.picture,), note=note, done=frame.step / frame.total)
    found: Any = run.result()
    note = f"response {found.response:.2f} times the largest one to the bundled images"
    yield Part("maximisation", title, (found.picture,), note=note, value=found)


def _effect(asked: Question, title: str) -> Iterator[Part]:
    net, layer, top = asked.net, asked.layer, asked.found
    if layer.name == net.scores.name:
        raise SettingError(f"{layer.name} is the layer of the class scores: silencing a class lowers that class alone.")
    pixels = net.pixels_of([top.images[int(k)] for k in top.indices[0]])
    effect = Interventions(net, layer.name)
    before = effect.scores(pixels)
    change = (effect.scores(pixels, [asked.unit], 0) - before).mean(0)
    chance = np.random.default_rng(asked.seed)
    others = [u for u in chance.permutation(layer.channels).tolist() if u != asked.unit][:_OTHERS]
    known = [(effect.scores(pixels, [other], 0) - before).mean(0) for other in others]
    names = class_names(net, len(change))
    most = np.argsort(-np.abs(change), kind="stable")[:_CLASSES]
    means = np.mean(known, 0) if known else None
    bars = tuple(Bar(names[k], float(change[k]), None if means is None else float(means[k])) for k in most)
    note = f"mean change of a class score over its {len(before)} top images"
    note += f"; orange: the same of {len(others)} other units of {layer.name}, on average" if others else ""
    yield Part("effect", title, bars=bars, note=note, value=change)


def class_names(net: Network, count: int) -> list[str]:
    """A name for each of the class scores."""
    return net.labels if len(net.labels) == count else [f"class {k}" for k in range(count)]


def _word(asked: Question, title: str) -> Iterator[Part]:
    net, layer, data = asked.net, asked.layer, asked.concepts
    if data is None:
        if net.labels != list(world.CLASSES):
            raise SettingError(
                "no masks of concepts were given: give concepts=, such as cx.concept_images(folder) of photographs, or "
                "cx.world.dataset(300) for a network of the drawn world."
            )
        data = world.dataset(_SCENES, _SCENES_SEED, net.size[0])
    found: Any = data
    if not isinstance(data, Dissection):
        for found in dissect_stream(net, layer.name, data, null="rotation"):
            if isinstance(found, tuple):
                yield Part("word", title, note=f"image {found[0]} of {found[1]}", done=found[0] / (found[1] + 1))
    elif found.layer.name != layer.name or found.net is not net:
        raise SettingError(f"concepts is a dissection of {found.layer.name} of {found.net.name}, not of {layer.name}.")
    word, scores = found.words[asked.unit], found.iou[asked.unit]
    best = np.argsort(-scores, kind="stable")[:_CONCEPTS]
    null = None if found.null is None else dict(zip(found.null.concepts, found.null.iou.max(0).tolist(), strict=True))
    bars = tuple(
        Bar(found.concepts[k], float(scores[k]), None if null is None else null.get(found.concepts[k], 0.0))
        for k in best
    )
    note = f"it detects {word.name} ({word.category}), intersection over union {word.iou:.2f}"
    if word.iou <= found.threshold:
        note = f"no word: no concept reaches an intersection over union of {found.threshold:g}"
    if null is not None:
        note += f"; orange: the best of {len(found.null)} random directions of {layer.name}"
    yield Part("word", title, bars=bars, note=note, value=found)


def _facets(asked: Question, title: str) -> Iterator[Part]:
    net, layer = asked.net, asked.layer
    found: Any
    for found in facet_stream(net, layer.name, asked.unit, asked.images, steps=asked.steps, seed=asked.seed):
        if isinstance(found, tuple):
            what, made, count = found
            yield Part("facets", title, note=f"{what} {made} of {count}", done=0.3 * made / max(count, 1))
            continue
        done = 1.0 if found.step == found.total else 0.3 + 0.7 * found.step / max(found.total, 1)
        cards = tuple(_card(picture, found.images(k, 3)) for k, picture in enumerate(found.pictures))
        captions = tuple(f"{n} images, response {r:.3g}" for n, r in zip(found.sizes, found.responses, strict=True))
        note = (
            f"{len(found)} kinds among the {len(found.values)} images that excite it most, each with its nearest images"
        )
        yield Part("facets", title, cards, captions, note=note, done=min(done, 1.0), value=found)


def _generated(asked: Question, title: str) -> Iterator[Part]:
    run = GeneratorMaximization(asked.net, asked.layer.name, asked.unit, steps=asked.steps, seed=asked.seed)
    for frame in run.frames():
        if frame.step % _EVERY == 0 and frame.step < frame.total:
            note = f"step {frame.step} of {frame.total}"
            yield Part("generator", title, (frame.picture,), note=note, done=frame.step / frame.total)
    found: Any = run.result()
    note = f"response {found.response:.2f} times the largest one to the bundled images; the generator can paint more"
    yield Part("generator", title, (found.picture,), note=f"{note} than the unit asks for", value=found)


def _evolution(asked: Question, title: str) -> Iterator[Part]:
    source = asked.net if asked.checkpoints is None else asked.checkpoints
    for found in evolution_stream(source, asked.layer.name, [asked.unit], asked.images):
        count = len(found)
        rows = range(count) if count <= _MOMENTS else np.linspace(0, count - 1, _MOMENTS).round().astype(int).tolist()
        cards = [_moment(found.patches[t][0], found.projections[t][0]) for t in rows]
        captions = tuple(f"{found.checkpoints[t]}: {found.values[t, 0]:.3g}" for t in rows)
        note = "at each checkpoint the patch that it responds to most, and what in it excites it; below, the response"
        yield Part("evolution", title, tuple(cards), captions, note=note, done=count / found.total, value=found)


def _moment(patch: np.ndarray, projection: np.ndarray) -> np.ndarray:
    """A patch above its projection."""
    return drawing.tiles(np.stack([patch, projection]), 1, gap=2)


def _card(picture: np.ndarray, images: np.ndarray) -> np.ndarray:
    """A facet's picture, three times as large, above the images nearest to it."""
    small = [drawing.thumbnail(one, _SMALL) for one in (picture, *images)]
    h, w = small[0].shape[:2]
    card = np.full((4 * h + 2, 3 * w + 4, 3), 255, np.uint8)
    card[: 3 * h, 2 : 2 + 3 * w] = _enlarged(picture, (3 * h, 3 * w))
    for k, one in enumerate(small[1:4]):
        card[3 * h + 2 :, k * (w + 2) : k * (w + 2) + w] = one[:h, :w]
    return card


def _enlarged(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    exact = size[0] % picture.shape[0] == 0 and size[1] % picture.shape[1] == 0
    how = Image.Resampling.NEAREST if exact else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize(size[::-1], how))


Make = Callable[[Question, str], Iterator[Part]]
PARTS: dict[str, tuple[str, Make]] = {
    "filter": ("its filter", _filter),
    "decoded filter": ("decoded filter", _decoded),
    "top patches": ("the patches that it responds to most", _top),
    "projections": ("what in them excites it", _projections),
    "receptive field": ("its receptive field", _field),
    "effect": ("silenced: what the classes lose and gain", _effect),
    "word": ("its word: the concept that it detects", _word),
    "maximisation": ("what it wants: maximisation", _maximized),
    "generator": ("what it wants, by a generator", _generated),
    "evolution": ("how it came to be in training", _evolution),
    "facets": ("facets: the kinds of images that it responds to", _facets),
}


def part_stream(asked: Question, names: Sequence[str]) -> Iterator[Part]:
    """The parts one after the other; one that takes long comes several times, growing.

    Parameters
    ----------
    asked : Question
        The unit.
    names : sequence of str
        Some of `PARTS`.

    Yields
    ------
    Part
        With ``done`` 1 when it is complete, or with `why` if it cannot be made.
    """
    for name in names:
        title, make = PARTS[name]
        try:
            yield from make(asked, title)
        except ExploreError as error:
            yield Part(name, title, why=str(error))
