"""Units through training: at each checkpoint what excites a unit most, its filter, its class and its concept."""

from __future__ import annotations

import csv
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import Check, checked, choice, flag, optional, output, whole
from ..data.concepts import concept_data
from ..data.images import BATCH, Images
from ..decoding import decode
from ..errors import LayerError, LayerNotFound, NetworkError
from ..network import RULES, Layer, Network, as_maps, resolve_units, unit_name
from ..network.arguments import layer_name
from ..results import FORMATS, Result, images_to_python, paths_to_python, unit_to_python, writing
from ..zoo.history import Checkpoint, checkpoints_of
from .dissect import dissect
from .selectivity import ClassMeans
from .top import TopPatches

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MEMORY = 256 * 2**20  # bytes of images that are kept for the next checkpoint
_DECODED = 40  # units whose filters are decoded; more would take minutes


@dataclass(frozen=True, eq=False)
class Evolution(Result):
    """Units at T checkpoints of a training; row t of an array is of checkpoint t, column j of unit j of `units`.

    Attributes
    ----------
    checkpoints : list of str
        The checkpoints' names, such as "step 100".
    units : list of int
        The units.
    names : list of str
        What they are called: class labels, or "unit 7".
    layer : str
        Their layer.
    values : np.ndarray
        (T, U), the largest response to an image; with `same_image`, to that image.
    indices : np.ndarray
        (T, U) int, the image's number in the data set.
    positions : np.ndarray
        (T, U, 2) int, (row, column) of the response on the layer's map.
    selectivity : np.ndarray
        (T, U), the class selectivity index, 0 (answers to all classes alike) to 1 (to one only); not a number where
        the images have no labels, or the unit never responds.
    preferred : np.ndarray
        (T, U) int, the class that it answers to most; -1 for none.
    classes : list of str
        The names of the classes.
    patches : list of list of np.ndarray
        [t][j], (h, w, 3) uint8, the part of the image that the unit sees.
    projections : list of list of np.ndarray
        [t][j], (h, w, 3) uint8, the pattern in it that excited the unit, sent back to the pixels.
    filters : list of list of np.ndarray or None
        [t][j], (h, w, 3) uint8, the decoded filters; None where the layer cannot be decoded.
    words : list of list of str
        [t][j], the concept that the unit detects best; empty without a data set of concepts.
    scores : np.ndarray
        (T, U), the intersection over union of that concept; not a number without one.
    same_image : bool
        Whether all checkpoints of a unit show the same image.
    rule : str
        The backward rule of the projections.
    total : int
        How many checkpoints there are; a stream gives the first ones.
    python : str
        The call that makes this result again.
    """

    checkpoints: list[str]
    units: list[int]
    names: list[str] = field(repr=False)
    layer: str
    values: np.ndarray = field(repr=False)
    indices: np.ndarray = field(repr=False)
    positions: np.ndarray = field(repr=False)
    selectivity: np.ndarray = field(repr=False)
    preferred: np.ndarray = field(repr=False)
    classes: list[str] = field(repr=False)
    patches: list[list[np.ndarray]] = field(repr=False)
    projections: list[list[np.ndarray]] = field(repr=False)
    filters: list[list[np.ndarray]] | None = field(repr=False)
    words: list[list[str]] = field(repr=False)
    scores: np.ndarray = field(repr=False)
    same_image: bool = False
    rule: str = "deconvnet"
    total: int = 0
    python: str = field(default="", repr=False)

    def __len__(self) -> int:
        return len(self.checkpoints)

    def class_of(self, checkpoint: int, unit: int) -> str:
        """The class that a unit answers to most; empty for none.

        Parameters
        ----------
        checkpoint : int
            The row.
        unit : int
            The column.
        """
        row = whole(0, len(self) - 1, "the number of a checkpoint")("checkpoint", checkpoint)
        column = whole(0, len(self.units) - 1, "the number of a column")("unit", unit)
        number = int(self.preferred[row, column])
        return "" if number < 0 else self.classes[number] if number < len(self.classes) else f"class {number}"

    def describe(self, checkpoint: int, unit: int) -> str:
        """A line about a unit at a checkpoint: response, image, selectivity and concept.

        Parameters
        ----------
        checkpoint : int
            The row.
        unit : int
            The column.
        """
        name = self.class_of(checkpoint, unit)
        words = [f"response {self.values[checkpoint, unit]:.3g}", f"image {self.indices[checkpoint, unit]}"]
        if name:
            words.append(f"{name} {self.selectivity[checkpoint, unit]:.2f}")
        if self.words[checkpoint][unit]:
            words.append(f"{self.words[checkpoint][unit]} {self.scores[checkpoint, unit]:.2f}")
        return ", ".join(words)

    def plot(self, most: int = 4) -> Figure:
        """A matplotlib figure: for each of the first units its patch, projection and filter at every checkpoint.

        Parameters
        ----------
        most : int
            How many units at most.
        """
        from matplotlib.figure import Figure

        most = whole(1, 64, "how many units at most")("most", most)
        count = min(most, len(self.units))
        kinds = ["patch", self.rule.replace("_", " "), *(["decoded filter"] if self.filters is not None else [])]
        rows, columns = count * (len(kinds) + 1), len(self)
        ratios = [*([1.0] * len(kinds)), 0.8] * count
        figure = Figure(figsize=(0.95 * columns + 0.9, 1.05 * sum(ratios) + 0.5), layout="constrained", dpi=110)
        grid = figure.add_gridspec(rows, columns, height_ratios=ratios)
        for unit in range(count):
            for k, kind in enumerate(kinds):
                pictures = (self.patches, self.projections, self.filters)[k]
                assert pictures is not None
                for t in range(columns):
                    axis = figure.add_subplot(grid[unit * (len(kinds) + 1) + k, t])
                    axis.imshow(pictures[t][unit], interpolation="nearest")
                    axis.set_xticks([])
                    axis.set_yticks([])
                    if t == 0:
                        name = f"{self.names[unit]}\n{kind}" if k == 0 else kind
                        axis.set_ylabel(drawing.printable(name), fontsize=7, parse_math=False)
                    if k == 0:
                        text = f"{self.checkpoints[t]}\nimage {self.indices[t, unit]}"
                        axis.set_title(drawing.printable(text), fontsize=6.5, pad=2, parse_math=False)
            self._draw_numbers(figure.add_subplot(grid[unit * (len(kinds) + 1) + len(kinds), :]), unit)
        which = "the same image" if self.same_image else "the strongest image"
        title = f"{self.layer} through training: {which} of each checkpoint"
        if any(map(any, self.words)):
            title += "\nunder each checkpoint: the concept that the unit detects best"
        elif (self.preferred >= 0).any():
            title += (
                "\nunder each checkpoint: the class that the unit answers to most; how selectively, the orange line"
            )
        figure.suptitle(drawing.printable(title), fontsize=9, parse_math=False)
        return figure

    def _draw_numbers(self, axis: Any, unit: int) -> None:
        """The response and the selectivity of a unit at each checkpoint."""
        places = np.arange(len(self))
        axis.plot(places, self.values[:, unit], "o-", color="tab:blue", ms=3, lw=1)
        axis.set_ylabel("response", color="tab:blue", fontsize=7)
        axis.set_xlim(-0.5, len(self) - 0.5)
        axis.set_xticks(places, [""] * len(self))
        axis.tick_params(labelsize=6)
        words = [drawing.printable(self.words[t][unit] or self.class_of(t, unit)) for t in range(len(self))]
        for t, word in enumerate(words):
            axis.text(t, -0.08, word, fontsize=6, ha="center", va="top", transform=axis.get_xaxis_transform(),
                      parse_math=False)  # fmt: skip
        if np.isfinite(self.selectivity[:, unit]).any():
            other = axis.twinx()
            other.plot(places, self.selectivity[:, unit], "s--", color="tab:orange", ms=3, lw=1)
            other.set_ylim(0, 1.05)
            other.set_ylabel("selectivity", color="tab:orange", fontsize=7)
            other.tick_params(labelsize=6)

    def save(self, path: str | os.PathLike) -> None:
        """Write the numbers as a .csv file, one line for each checkpoint and unit, or the figure.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .csv, .png, .pdf, .svg or another suffix of an image format.
        """
        place = output(FORMATS | {".csv"})("path", path)
        if place.suffix.lower() != ".csv":
            return super().save(place)
        head = ["checkpoint", "unit", "response", "image", "row", "column", "selectivity", "class", "concept", "iou"]
        with writing(place), open(place, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(head)
            for t, label in enumerate(self.checkpoints):
                for j, unit in enumerate(self.units):
                    where = [int(self.indices[t, j]), *self.positions[t, j].tolist()]
                    numbers = [label, unit, float(self.values[t, j]), *where, float(self.selectivity[t, j])]
                    rows.writerow([*numbers, self.class_of(t, j), self.words[t][j], float(self.scores[t, j])])


_CHECKS: dict[str, Check] = {
    "layer": layer_name,
    "same_image": flag,
    "rule": choice(RULES),
    "filters": flag,
    "concepts": optional(concept_data),
    "batch": whole(1, 10_000, "how many images to compute at a time"),
}


@checked(**_CHECKS, progress=flag)
def evolution(
    net: Any,
    layer: str,
    unit: object,
    images: object = None,
    *,
    same_image: bool = False,
    rule: str = "deconvnet",
    filters: bool = True,
    concepts: Any = None,
    batch: int = BATCH,
    progress: bool = True,
) -> Evolution:
    """Follow units through the checkpoints of a training.

    At each checkpoint all images are computed; each unit is shown with the image that it responds to most, so that
    the image may change from one checkpoint to the next. One network at a time is in memory, unless networks are given.

    Parameters
    ----------
    net : str, os.PathLike, Network, list or dict
        The checkpoints: the name of a network whose checkpoints ship with the package ("worldnet"), or that network; a
        folder of weights files; a list of networks, names or files, in order; or a dict of such by label.
    layer : str
        The units' layer. The checkpoints of worldnet that ship hold its convolutions, up to pool5.
    unit : int, str, list or integer array
        One unit or several.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images: a list, a folder or a data set, with labels for the selectivity. Default: the bundled images.
    same_image : bool
        Show each unit at all checkpoints with the image that it responds to most at the last one.
    rule : str
        The backward rule of the projections, such as "deconvnet", "guided_backprop" or "gradient".
    filters : bool
        Whether to decode the units' filters, where the layer can be decoded.
    concepts : ConceptData, optional
        A data set with masks of concepts, as `dissect` takes it: the concept that each unit detects best, at each
        checkpoint. It is read once for each checkpoint.
    batch : int
        How many images to compute at a time.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Evolution
        Responses, images, patches, projections, filters, selectivity and concepts for each checkpoint.

    Raises
    ------
    NetworkError
        If there are no checkpoints, or they have other units than the first.
    LayerNotFound
        If a checkpoint has no such layer.
    SettingError
        If the layer has no such unit, or a setting is unknown.
    WeightsError
        If a file is missing or damaged.

    References
    ----------
    Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, figure 4. The selectivity index is
    that of Morcos et al., On the importance of single directions for generalization, 2018.

    Examples
    --------
    >>> scenes = cx.world.dataset(12, 1)
    >>> found = cx.evolution(["worldnet@0", "worldnet"], "conv2", [3, 5], scenes, progress=False)
    >>> found.checkpoints, found.values.shape
    (['worldnet@0', 'worldnet'], (2, 2))
    """
    options: dict[str, Any] = {
        "same_image": same_image, "rule": rule, "filters": filters, "concepts": concepts, "batch": batch,
    }  # fmt: skip
    with tqdm(desc=f"evolution, {layer}", unit="checkpoint", disable=not progress) as bar:

        def shown() -> Iterator[Evolution]:
            for found in evolution_stream(net, layer, unit, images, **options):
                bar.total, bar.n = found.total, len(found)
                bar.refresh()
                yield found

        (last,) = deque(shown(), maxlen=1)
    usual = {"same_image": False, "rule": "deconvnet", "filters": True}
    words = [f"{name}={options[name]!r}" for name, value in usual.items() if options[name] != value]
    words += ["concepts=concepts"] if concepts is not None else []
    given = f"{unit_to_python(unit, last.units)}{images_to_python(images)}"
    return replace(last, python=f"cx.evolution({', '.join([_source(net), repr(layer), given, *words])})")


def _source(net: Any) -> str:
    """The Python of the checkpoints; the name `checkpoints` for networks of the user's own."""
    if isinstance(net, Network):
        return repr(net.name)
    return paths_to_python(net, "checkpoints")


@checked(**_CHECKS)
def evolution_stream(
    net: Any,
    layer: str,
    unit: object,
    images: object = None,
    *,
    same_image: bool = False,
    rule: str = "deconvnet",
    filters: bool = True,
    concepts: Any = None,
    batch: int = BATCH,
) -> Iterator[Evolution]:
    """`evolution` as a stream: the checkpoints so far, after each of them.

    Parameters
    ----------
    net : str, os.PathLike, Network, list or dict
        The checkpoints.
    layer : str
        The units' layer.
    unit : int, str, list or integer array
        One unit or several.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images. Default: the bundled images.
    same_image : bool
        Show each unit at all checkpoints with the image that it responds to most at the last one.
    rule : str
        The backward rule of the projections.
    filters : bool
        Whether to decode the units' filters, where the layer can be decoded.
    concepts : ConceptData, optional
        A data set with masks of concepts, as `dissect` takes it.
    batch : int
        How many images to compute at a time.

    Yields
    ------
    Evolution
        The checkpoints so far.

    Raises
    ------
    NetworkError
        If there are no checkpoints, or they have other units than the first.
    LayerNotFound
        If a checkpoint has no such layer.
    SettingError
        If the layer has no such unit, or a setting is unknown.
    WeightsError
        If a file is missing or damaged.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.units import evolution_stream
    >>> stream = evolution_stream("worldnet", "conv1", 3, [cx.scene(seed).image for seed in range(3)])
    >>> len(next(stream)), len(next(stream))
    (1, 2)
    """
    moments = checkpoints_of(net)
    last, where = _loaded(moments[-1], layer, None)
    source = Images.of(last, images)
    units = resolve_units(last, where, unit)
    names = [unit_name(last, where, one) for one in units]
    fixed, read = None, _Once(source)
    if same_image:
        fixed = _strongest(last, where, units, read, batch)[0].indices[:, 0]
    found = Evolution(
        [], units, names, layer, np.zeros((0, len(units))), np.zeros((0, len(units)), int),
        np.zeros((0, len(units), 2), int),
        np.zeros((0, len(units))), np.zeros((0, len(units)), int), source.classes, [], [], [], [],
        np.zeros((0, len(units))), same_image, rule, len(moments),
    )  # fmt: skip
    decoded: list[list[np.ndarray]] | None = [] if filters and len(units) <= _DECODED else None
    for moment in moments:
        now, place = (last, where) if moment is moments[-1] else _loaded(moment, layer, where.channels)
        top, means = _strongest(now, place, units, read, batch, fixed)
        selectivity, preferred = means.selectivity()
        if decoded is not None:
            decoded = _decoded(now, place, units, decoded)
        words, scores = _words(now, place, units, concepts)
        found = replace(
            found,
            checkpoints=[*found.checkpoints, moment.label],
            values=np.concatenate([found.values, top.values.T]),
            indices=np.concatenate([found.indices, top.indices.T]).astype(int),
            positions=np.concatenate([found.positions, top.positions[None, :, 0]]),
            selectivity=np.concatenate([found.selectivity, selectivity[None]]),
            preferred=np.concatenate([found.preferred, preferred[None]]),
            patches=[*found.patches, [top.patches(one)[0] for one in units]],
            projections=[*found.projections, [top.projections(one, rule)[0] for one in units]],
            filters=decoded,
            words=[*found.words, words],
            scores=np.concatenate([found.scores, scores[None]]),
        )
        yield found


def _loaded(moment: Checkpoint, layer: str, channels: int | None) -> tuple[Network, Layer]:
    net = moment.load()
    try:
        where = net.layers[layer]
    except LayerNotFound as error:
        held = f"{moment.label} has {', '.join(net.layers)}"
        raise LayerNotFound(
            f"{layer!r} is not a layer of every checkpoint: {held}; name one of these, or give complete checkpoints."
        ) from error
    if channels is not None and where.channels != channels:
        raise NetworkError(
            f"{layer} of {moment.label} has {where.channels} units, that of the last checkpoint {channels}; expected "
            "checkpoints of one network."
        )
    return net, where


class _Once:
    """Images in batches; small sets are read once for all networks that take the same pixels.

    Parameters
    ----------
    images : Images
        The images.
    """

    def __init__(self, images: Images):
        self.images = images
        self._key: Any = None
        self._kept: list[tuple[int, torch.Tensor, np.ndarray]] = []

    def batches(self, net: Network, batch: int) -> Iterator[tuple[int, torch.Tensor, np.ndarray]]:
        """Yield (number of the first image, x, labels) of each batch."""
        key = (net.size, net.pixels, net.device)
        if key == self._key:
            yield from self._kept
            return
        numbers, kept = len(self.images) * net.pixels.channels * net.size[0] * net.size[1], []
        for one in self.images.labelled_batches(net, batch):
            if 4 * numbers <= _MEMORY:
                kept.append(one)
            yield one
        if kept:
            self._key, self._kept = key, kept


def _strongest(
    net: Network, layer: Layer, units: list[int], images: _Once, batch: int, fixed: np.ndarray | None = None
) -> tuple[TopPatches, ClassMeans]:
    """Each unit's largest response, of all images or of a fixed one, and its mean responses to the classes."""
    probe, means, count = net.probe(layer.name), ClassMeans(len(units)), len(units)
    chosen = torch.tensor(units, device=net.device)
    values, indices, places = np.full(count, -np.inf), np.zeros(count, int), np.zeros(count, int)
    columns = 1
    for first, x, labels in images.batches(net, batch):
        with torch.no_grad():
            maps = as_maps(probe(net.feed(x))[layer.name], layer)[:, chosen]
        columns = maps.shape[3]
        means.add(maps, labels)
        peaks, flat = (one.cpu().numpy() for one in maps.flatten(2).float().max(2))
        if fixed is not None:  # only the fixed image of each unit counts
            peaks = np.where(np.arange(first, first + len(x))[:, None] == fixed, peaks, -np.inf)
        row = peaks.argmax(0)
        best = peaks[row, np.arange(count)]
        better = best > values
        values = np.where(better, best, values)
        indices = np.where(better, first + row, indices)
        places = np.where(better, flat[row, np.arange(count)], places)
    positions = np.stack([places // columns, places % columns], -1)[:, None]
    top = TopPatches(values[:, None], indices[:, None], positions, units, layer, net, images.images, len(images.images))
    return top, means


def _decoded(
    net: Network, layer: Layer, units: list[int], before: list[list[np.ndarray]]
) -> list[list[np.ndarray]] | None:
    """The decoded filters of this checkpoint after those before; None where a layer cannot be decoded."""
    try:
        return [*before, list(decode(net, layer.name, units, progress=False).pictures())]
    except LayerError:
        return None


def _words(net: Network, layer: Layer, units: list[int], concepts: Any) -> tuple[list[str], np.ndarray]:
    """The concept that each unit detects best, and its score; nothing without a data set."""
    if concepts is None:
        return [""] * len(units), np.full(len(units), np.nan)
    found = dissect(net, layer.name, concepts, k=1, progress=False)
    words = [found.words[unit] for unit in units]
    return [word.name for word in words], np.array([word.iou for word in words])
