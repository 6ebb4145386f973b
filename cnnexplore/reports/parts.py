"""The parts of a unit's report: each is computed by itself, the cheap ones first, or says why it cannot be made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .. import drawing
from ..data import Images
from ..decoding import decode
from ..errors import ExploreError, SettingError
from ..network import Layer, Network
from ..preimage import Maximization
from ..units import Filters, TopPatches, filters, receptive_field, top_stream
from .effect import UnitEffect

_TILES = 64  # input maps of a deeper filter that are drawn
_FIELD_IMAGES = 3
_OTHERS = 8  # units that the effect of silencing one is compared with
_CLASSES = 6  # whose scores change most
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
    if not values[0] > values[-1] and not values[0] > 0:
        raise SettingError(f"no image of {len(found.images)} gives this unit a response above {values[0]:.3g}.")
    note = f"responses {values[0]:.3g} to {values[-1]:.3g}, of {len(found.images)} images"
    yield Part("top patches", title, tuple(found.patches()), tuple(f"{v:.3g}" for v in values), note=note, value=found)


def _projections(asked: Question, title: str) -> Iterator[Part]:
    found = asked.found
    note = "the pattern in each patch that the response comes from, by the deconvnet's rule"
    yield Part("projections", title, tuple(found.projections()), note=note, value=found)


def _field(asked: Question, title: str) -> Iterator[Part]:
    layer = asked.layer
    if not layer.has_map:
        raise SettingError(f"{layer.name} has no map: its units see the whole image.")
    found = receptive_field(asked.net, layer.name, asked.unit, asked.found, k=_FIELD_IMAGES, progress=False)
    theory = " x ".join(f"{side:g}" for side in found.theoretical)
    note = f"{found.size:.0f} px wide in effect, {theory} px in theory"
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
    effect = UnitEffect(net, layer, pixels)
    before = effect.scores()
    change = (effect.scores([asked.unit], 0) - before).mean(0)
    chance = np.random.default_rng(asked.seed)
    others = [u for u in chance.permutation(layer.channels).tolist() if u != asked.unit][:_OTHERS]
    known = [(effect.scores([other], 0) - before).mean(0) for other in others]
    names = net.labels if len(net.labels) == len(change) else [f"class {k}" for k in range(len(change))]
    most = np.argsort(-np.abs(change), kind="stable")[:_CLASSES]
    means = np.mean(known, 0) if known else None
    bars = tuple(Bar(names[k], float(change[k]), None if means is None else float(means[k])) for k in most)
    note = f"mean change of a class score over its {len(before)} top images"
    note += f"; orange: the same of {len(others)} other units of {layer.name}, on average" if others else ""
    yield Part("effect", title, bars=bars, note=note, value=change)


Make = Callable[[Question, str], Iterator[Part]]
PARTS: dict[str, tuple[str, Make]] = {
    "filter": ("its filter", _filter),
    "decoded filter": ("decoded filter", _decoded),
    "top patches": ("the patches that it responds to most", _top),
    "projections": ("what in them excites it", _projections),
    "receptive field": ("its receptive field", _field),
    "effect": ("silenced: what the classes lose and gain", _effect),
    "maximisation": ("what it wants: maximisation", _maximized),
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
