"""What became of units between two states of a network: how much each changed, and its word before and after."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import checked, flag, optional, output, whole
from ..data.concepts import concept_data
from ..data.images import BATCH, Images
from ..errors import NetworkError
from ..network import Network, as_maps, unit_name
from ..network.arguments import layer_name, network
from ..results import FORMATS, Result, images_to_python, writing
from .dissect import dissect
from .selectivity import ClassMeans
from .top import TopPatches, top_patches

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NONE = "none"  # the word of a unit that detects nothing
_MOST = 25  # words in the drawn matrix


@dataclass(frozen=True, eq=False)
class UnitChanges(Result):
    """How each of a layer's U units differs between two states of a network, such as before and after fine-tuning.

    Attributes
    ----------
    change : np.ndarray
        (U,), 1 minus the correlation of a unit's activations before and after, over all positions of all images: 0 for
        a unit that does the same up to a factor, 1 for an unrelated one, 2 for the opposite. 1 where only one of both
        is constant, 0 where both are.
    words_before, words_after : list of str
        Each unit's word; "none" for none.
    scores_before, scores_after : np.ndarray
        (U,), of a concept the intersection over union, of a class the class selectivity index.
    kind : str
        What a word is: "concept", or "class" where no data set of concepts was given.
    words : list of str
        All words that occur, sorted, "none" last.
    matrix : np.ndarray
        (words, words) int, how many units had the row's word before and have the column's after.
    movers : list of int
        The units that changed most, the most changed first.
    top_before, top_after : TopPatches
        The patches to which these units responded most before, and respond most after.
    layer : str
        The layer.
    python : str
        The call that makes this result again.
    """

    change: np.ndarray
    words_before: list[str] = field(repr=False)
    words_after: list[str] = field(repr=False)
    scores_before: np.ndarray = field(repr=False)
    scores_after: np.ndarray = field(repr=False)
    kind: str
    words: list[str] = field(repr=False)
    matrix: np.ndarray = field(repr=False)
    movers: list[int]
    top_before: TopPatches = field(repr=False)
    top_after: TopPatches = field(repr=False)
    layer: str
    python: str = field(default="", repr=False)

    @property
    def changed(self) -> np.ndarray:
        """(U,) bool, whether a unit has another word than before."""
        return np.array([before != after for before, after in zip(self.words_before, self.words_after, strict=True)])

    def plot(self, most: int = 6) -> Figure:
        """A matplotlib figure: the matrix of words, and the patches of the most changed units before and after.

        Parameters
        ----------
        most : int
            How many of these units at most.
        """
        from matplotlib.figure import Figure

        most = whole(1, 64, "how many units at most")("most", most)
        rows, k = min(most, len(self.movers)), self.top_before.values.shape[1]
        width = 0.8 * (2 * k + 1) + 1.0
        figure = Figure(figsize=(4.4 + width, max(4.4, 1.0 * rows + 0.7)), layout="constrained", dpi=110)
        parts: Any = figure.subfigures(1, 2, width_ratios=(4.4, width))
        self._draw_matrix(parts[0].subplots())
        axes = parts[1].subplots(rows, 2 * k + 1, squeeze=False, width_ratios=[*[1] * k, 0.25, *[1] * k])
        for row, unit in enumerate(self.movers[:rows]):
            sides = [self.top_before.patches(unit), self.top_after.patches(unit)]
            for n, axis in enumerate(axes[row]):
                axis.set_xticks([])
                axis.set_yticks([])
                if n == k:
                    axis.set_axis_off()
                    axis.text(0.5, 0.5, "→", ha="center", va="center", fontsize=10)
                    continue
                axis.imshow(sides[n > k][n - (k + 1 if n > k else 0)], interpolation="nearest")
                for side in axis.spines.values():
                    side.set_visible(False)
            name = f"{unit_name(self.top_before.net, self.top_before.layer, unit)}, change {self.change[unit]:.2f}"
            before = f"{name}\nbefore: {self.words_before[unit]} {self.scores_before[unit]:.2f}"
            after = f"\nafter: {self.words_after[unit]} {self.scores_after[unit]:.2f}"
            for column, text in ((0, before), (k + 1, after)):
                axes[row, column].set_title(drawing.printable(text), fontsize=7, loc="left", parse_math=False, pad=2)
        share = f"{int(self.changed.sum())} of {len(self.change)} units of {self.layer} have another {self.kind}"
        figure.suptitle(drawing.printable(share), fontsize=9, parse_math=False)
        return figure

    def _draw_matrix(self, axis: Any) -> None:
        order = np.argsort(-(self.matrix.sum(0) + self.matrix.sum(1)), kind="stable")[:_MOST]
        order = np.sort(order)
        shown = self.matrix[np.ix_(order, order)]
        names = [drawing.printable(self.words[k]) for k in order]
        axis.imshow(np.sqrt(shown), cmap="Blues", vmin=0)
        size = 7 if len(order) <= 15 else 5
        axis.set_xticks(range(len(order)), names, rotation=90, fontsize=size, parse_math=False)
        axis.set_yticks(range(len(order)), names, fontsize=size, parse_math=False)
        for (row, column), count in np.ndenumerate(shown):
            if count:
                dark = count > shown.max() / 3
                axis.text(column, row, str(count), ha="center", va="center", fontsize=size, color="w" if dark else "k")
        axis.set_xlabel(f"{self.kind} after", fontsize=8)
        axis.set_ylabel(f"{self.kind} before", fontsize=8)
        title = (
            "units by word" if len(order) == len(self.words) else f"units by word, {len(order)} of {len(self.words)}"
        )
        axis.set_title(title, fontsize=8)

    def save(self, path: str | os.PathLike) -> None:
        """Write a line for each unit as a .csv file, or the figure.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .csv, .png, .pdf, .svg or another suffix of an image format.
        """
        place = output(FORMATS | {".csv"})("path", path)
        if place.suffix.lower() != ".csv":
            return super().save(place)
        columns = (self.change.tolist(), self.words_before, self.scores_before.tolist(), self.words_after,
                   self.scores_after.tolist())  # fmt: skip
        with writing(place), open(place, "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(
                ["unit", "change", f"{self.kind} before", "score before", f"{self.kind} after", "score after"]
            )
            rows.writerows([unit, *line] for unit, line in enumerate(zip(*columns, strict=True)))


@checked(
    before=network,
    after=network,
    layer=layer_name,
    concepts=optional(concept_data),
    most=whole(1, 1000, "how many units to show"),
    k=whole(1, 100, "how many patches of a unit"),
    batch=whole(1, 10_000, "how many images to compute at a time"),
    progress=flag,
)
def unit_changes(
    before: Network,
    after: Network,
    layer: str,
    images: object = None,
    *,
    concepts: Any = None,
    most: int = 8,
    k: int = 4,
    batch: int = BATCH,
    progress: bool = True,
) -> UnitChanges:
    """Compare a layer's units in two states of a network: which of them changed, and from what to what.

    Parameters
    ----------
    before, after : Network
        The network before and after, such as `Finetuning.before` and `Finetuning.net`.
    layer : str
        The layer.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images: a list, a folder or a data set. Default: the bundled images.
    concepts : ConceptData, optional
        A data set with masks of concepts, as `dissect` takes it: a unit's word is the concept that it detects best.
        Without it, a word is the class that a unit answers to most, of the images' labels.
    most : int
        How many of the most changed units are shown.
    k : int
        How many patches of each are shown.
    batch : int
        How many images to compute at a time.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    UnitChanges
        The change, the word before and after of every unit, the matrix of words, and the most changed units' patches.

    Raises
    ------
    LayerNotFound
        If a network has no such layer.
    NetworkError
        If the layer has other units, or another map, in the other network.
    SettingError
        If there is no image, or a setting is out of range.

    Examples
    --------
    >>> scenes = cx.world.dataset(16, 1)
    >>> found = cx.unit_changes(cx.load("worldnet@100"), cx.load("worldnet"), "conv2", scenes, progress=False)
    >>> found.change.shape, found.kind
    ((96,), 'class')
    """
    one, other = before.layers[layer], after.layers[layer]
    if (one.channels, one.size) != (other.channels, other.size):
        raise NetworkError(
            f"{layer} is {one.describe()} before and {other.describe()} after; expected two states of one network."
        )
    source = Images.of(before, images)
    correlation = _Correlation(one.channels)
    means = ClassMeans(one.channels), ClassMeans(one.channels)
    probes = before.probe(one.name), after.probe(other.name)
    alike = before.pixels == after.pixels and before.size == after.size and before.device == after.device
    with tqdm(total=len(source), desc=f"changes, {layer}", unit="image", disable=not progress) as bar:
        others = None if alike else source.labelled_batches(after, batch)
        for _, x, labels in source.labelled_batches(before, batch):
            y = x if others is None else next(others)[1]
            with torch.no_grad():
                maps = as_maps(probes[0](before.feed(x))[one.name], one)
                later = as_maps(probes[1](after.feed(y))[other.name], other)
            correlation.add(maps, later)
            for sums, found in zip(means, (maps, later), strict=True):
                sums.add(found, labels)
            bar.update(len(x))
    change = correlation.change()
    if concepts is not None:
        kind = "concept"
        sides = [_concepts(net, where.name, concepts, progress) for net, where in ((before, one), (after, other))]
    else:
        kind = "class"
        sides = [_classes(sums, source.classes) for sums in means]
    (words_before, scores_before), (words_after, scores_after) = sides
    words = sorted({*words_before, *words_after} - {NONE}) + [NONE] * (NONE in {*words_before, *words_after})
    matrix = np.zeros((len(words), len(words)), int)
    for pair in zip(words_before, words_after, strict=True):
        matrix[words.index(pair[0]), words.index(pair[1])] += 1
    movers = np.argsort(-change, kind="stable")[:most].tolist()
    tops = [top_patches(net, layer, movers, source, k=k, batch=batch, progress=False) for net in (before, after)]
    given = f"{before.to_python()}, {after.to_python()}, {one.name!r}{images_to_python(images)}"
    python = f"cx.unit_changes({given}{', concepts=concepts' if concepts is not None else ''})"
    return UnitChanges(
        change, words_before, words_after, scores_before, scores_after, kind, words, matrix, movers, tops[0], tops[1],
        one.name, python,
    )  # fmt: skip


class _Correlation:
    """The correlation of each unit's activations in two networks, over all positions of all images.

    Sums are of differences from the first activation, so that a large offset does not hide a small change.
    """

    def __init__(self, units: int):
        self._sums = np.zeros((5, units))
        self._count = 0
        self._origins: tuple[torch.Tensor, torch.Tensor] | None = None

    def add(self, one: torch.Tensor, other: torch.Tensor) -> None:
        a, b = (maps.double().transpose(0, 1).flatten(1).cpu() for maps in (one, other))
        if self._origins is None:
            self._origins = a[:, :1].clone(), b[:, :1].clone()
        a, b = a - self._origins[0], b - self._origins[1]
        parts = [a.sum(1), b.sum(1), a.square().sum(1), b.square().sum(1), (a * b).sum(1)]
        self._sums += torch.stack(parts).numpy()
        self._count += a.shape[1]

    def change(self) -> np.ndarray:
        a, b, aa, bb, ab = self._sums / max(self._count, 1)
        spreads = [np.maximum(square - mean**2, 0) for square, mean in ((aa, a), (bb, b))]
        varies = [spread > 1e-12 * np.maximum(square, 1e-300) for spread, square in zip(spreads, (aa, bb), strict=True)]
        length = np.sqrt(spreads[0] * spreads[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            correlation = np.clip((ab - a * b) / length, -1, 1)
        both, neither = varies[0] & varies[1], ~(varies[0] | varies[1])
        return np.where(both, 1 - correlation, np.where(neither, 0.0, 1.0))


def _concepts(net: Network, layer: str, concepts: Any, progress: bool) -> tuple[list[str], np.ndarray]:
    """Each unit's concept, or none where it does not pass the threshold, and its intersection over union."""
    found = dissect(net, layer, concepts, k=1, progress=progress)
    passes = set(found.detectors)
    words = [word.name if unit in passes else NONE for unit, word in enumerate(found.words)]
    return words, np.array([word.iou for word in found.words])


def _classes(means: ClassMeans, classes: list[str]) -> tuple[list[str], np.ndarray]:
    """The class that each unit answers to most, and its selectivity."""
    index, best = means.selectivity()
    names = [NONE if k < 0 else classes[k] if k < len(classes) else f"class {k}" for k in best.tolist()]
    return names, np.nan_to_num(index)
