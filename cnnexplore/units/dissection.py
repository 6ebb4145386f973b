"""The words of units: network dissection's scores of each unit of a layer for each concept of a data set."""

from __future__ import annotations

import csv
import difflib
import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .. import drawing
from ..arguments import checked, choice, fraction, optional, output, whole
from ..data.concepts import ConceptData, category_of, labelled
from ..errors import SettingError, brief_value
from ..network import Layer, Network, as_maps, resolve_unit, unit_name, upsample
from ..results import FORMATS, Result, writing
from .detectors import BY, Count, Word, count_detectors, intersection_over_union, total
from .dissection_plot import plot_dissection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OUTLINE = (255, 140, 0)
_DARK = 0.3


@dataclass(frozen=True, eq=False)
class Dissection(Result):
    """How well each unit of a layer detects each concept of a data set.

    Attributes
    ----------
    concepts : list of str
        The concepts, "category/name", sorted.
    categories : list of str
        The categories, sorted.
    thresholds : np.ndarray
        (U,) float32, exact: the activation that at most a share `quantile` of a unit's activations exceed.
    share : np.ndarray
        (U,) float64, the share of activations that do exceed it. It is smaller where many are equal, such as the zeros
        of a rectified unit.
    maximum, minimum : np.ndarray
        (U,) float32, the largest and smallest activation.
    intersection : np.ndarray
        (U, concepts) int64, pixels at which a unit is active and the concept is seen.
    activation : np.ndarray
        (U, categories) int64, pixels at which a unit is active, in images that carry a concept of the category.
    truth : np.ndarray
        (concepts,) int64, pixels at which the concept is seen.
    top_values : np.ndarray
        (U, k) float32, the unit's largest activation in each of its strongest images, largest first.
    top_images : np.ndarray
        (U, k) int64, the numbers of these images.
    layer : Layer
        The layer.
    net : Network
        The network.
    dataset : ConceptData
        The data set.
    seen : int
        How many images were computed.
    grid : tuple of int
        (rows, columns) of the pixels that were counted in an image.
    quantile, threshold : float
        The settings: the share of activations that are active; the score above which a unit detects a concept.
    null : Dissection, optional
        The same of rotated units, or with shuffled masks.
    basis : np.ndarray, optional
        (U, U) the rotation of the units, of a null.
    python : str
        The call that makes this result again.
    """

    concepts: list[str] = field(repr=False)
    categories: list[str]
    thresholds: np.ndarray = field(repr=False)
    share: np.ndarray = field(repr=False)
    maximum: np.ndarray = field(repr=False)
    minimum: np.ndarray = field(repr=False)
    intersection: np.ndarray = field(repr=False)
    activation: np.ndarray = field(repr=False)
    truth: np.ndarray = field(repr=False)
    top_values: np.ndarray = field(repr=False)
    top_images: np.ndarray = field(repr=False)
    layer: Layer
    net: Network = field(repr=False)
    dataset: ConceptData = field(repr=False)
    seen: int = 0
    grid: tuple[int, int] = (1, 1)
    quantile: float = 0.005
    threshold: float = 0.04
    null: Dissection | None = field(default=None, repr=False)
    basis: np.ndarray | None = field(default=None, repr=False)
    python: str = field(default="", repr=False)

    def __len__(self) -> int:
        return len(self.thresholds)

    @cached_property
    def iou(self) -> np.ndarray:
        """(U, concepts) float64, the intersection over union of each unit and concept."""
        kinds = [self.categories.index(category_of(concept)) for concept in self.concepts]
        return intersection_over_union(self.intersection, self.activation[:, kinds], self.truth)

    @property
    def dead(self) -> np.ndarray:
        """(U,) bool, units whose activation is the same everywhere, such as always zero; they have no word."""
        return self.maximum == self.minimum

    def best(self, category: str) -> tuple[np.ndarray, np.ndarray]:
        """Each unit's best concept of a category.

        Parameters
        ----------
        category : str
            One of `categories`.

        Returns
        -------
        concepts : np.ndarray
            (U,) int, indices into `concepts`.
        iou : np.ndarray
            (U,) float64.
        """
        category = choice(self.categories)("category", category)
        those = np.array([k for k, one in enumerate(self.concepts) if category_of(one) == category])
        which = self.iou[:, those].argmax(1)
        return those[which], self.iou[np.arange(len(self)), those[which]]

    @cached_property
    def words(self) -> list[Word]:
        """Each unit's best concept of all, whether or not it passes the threshold."""
        which = self.iou.argmax(1)
        return [self._word(int(k), float(row[k])) for k, row in zip(which, self.iou, strict=True)]

    def _checked(self, concept: Any) -> str:
        """The check of the name of a concept; a name without its category does where it is clear."""
        if isinstance(concept, str):
            if concept in self.concepts:
                return str(concept)
            found = [one for one in self.concepts if concept == one.split("/", 1)[1]]
            if len(found) == 1:
                return found[0]
            close = found or difflib.get_close_matches(concept[:80], self.concepts, 1, 0.4)
            if close:
                raise SettingError(f"there is no concept {brief_value(concept)}; did you mean {close[0]!r}?")
        raise SettingError(
            f"concept is {brief_value(concept)}; expected one of the {len(self.concepts)} in `concepts`, such as "
            f"{brief_value(self.concepts[0])}."
        )

    def _word(self, k: int, score: float) -> Word:
        category, name = self.concepts[k].split("/", 1)
        return Word(self.concepts[k], category, name, score)

    def word(self, unit: int | str) -> Word:
        """A unit's best concept.

        Parameters
        ----------
        unit : int or str
            The unit, or a class's label where the layer is the class scores.

        Returns
        -------
        Word
            Concept, category, name and score.
        """
        return self.words[resolve_unit(self.net, self.layer, unit)]

    @property
    def detectors(self) -> list[int]:
        """The units whose best concept passes the threshold, the best first."""
        scores = np.array([word.iou for word in self.words])
        return [int(k) for k in np.argsort(-scores, kind="stable") if scores[k] > self.threshold]

    def units_of(self, concept: str) -> list[int]:
        """The units that detect a concept as their best, the best first.

        Parameters
        ----------
        concept : str
            "category/name", one of `concepts`.
        """
        concept = self._checked(concept)
        return [unit for unit in self.detectors if self.words[unit].concept == concept]

    @cached_property
    def table(self) -> list[dict[str, Any]]:
        """A row for each unit in the published columns: unit (from 1), category, label, score, and for each category
        its best concept with the counts of pixels."""
        best = {category: self.best(category) for category in self.categories}
        rows = []
        for unit, word in enumerate(self.words):
            row: dict[str, Any] = {"unit": unit + 1, "category": word.category, "label": word.name, "score": word.iou}
            for k, category in enumerate(self.categories):
                concept = int(best[category][0][unit])
                counts = self.truth[concept], self.activation[unit, k], self.intersection[unit, concept]
                row[f"{category}-label"] = self.concepts[concept].split("/", 1)[1]
                for name, value in zip(("truth", "activation", "intersect"), counts, strict=True):
                    row[f"{category}-{name}"] = int(value)
                row[f"{category}-iou"] = float(best[category][1][unit])
            rows.append(row)
        return rows

    @checked(by=choice(BY))
    def counts(self, by: str = "category") -> dict[str, Count]:
        """Detectors by category: different concepts, and units.

        Parameters
        ----------
        by : {"category", "word"}
            "category": a unit counts in each category whose best concept it detects, as in the published bar charts.
            "word": a unit counts in the category of its best concept alone.
        """
        return count_detectors(self.table, self.threshold, by)

    def __str__(self) -> str:
        lines = [f"{self.layer.name} of {self.net.name}: {len(self)} units, {self.seen} images"]
        for category, one in [*self.counts().items(), ("sum", total(self.counts()))]:
            lines.append(f"  {category:<10} {one.unique:>4} concepts, {one.units:>4} units")
        lines.append(f"  {len(self.detectors)} units have a word")
        if self.null is not None:
            null = total(self.null.counts()).unique
            lines.append(f"  null: {null} concepts, {len(self.null.detectors)} units have a word")
        if self.dead.any():
            lines.append(f"  {int(self.dead.sum())} units are dead: their activation is the same everywhere")
        return "\n".join(lines)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write the table as comma-separated values, in the published columns.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .csv.
        """
        place = output({".csv"})("path", path)
        with writing(place), open(place, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.table[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.table)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table, or the picture.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .csv for the table, else one of an image format.

        Raises
        ------
        SettingError
            If the suffix is neither, or the file cannot be written.
        """
        place: Path = output(FORMATS | {".csv"})("path", path)
        return self.to_csv(place) if place.suffix.lower() == ".csv" else super().save(place)

    @checked(k=optional(whole(1, what="how many images")))
    def images(self, unit: int | str, k: int | None = None, concept: str | None = None) -> np.ndarray:
        """The unit's strongest images: bright where it is active, with the outline of a concept.

        Parameters
        ----------
        unit : int or str
            The unit.
        k : int, optional
            How many images (default: all that are known).
        concept : str, optional
            The concept that is outlined (default: the unit's word).

        Returns
        -------
        np.ndarray
            (k, H, W, 3) uint8.
        """
        row = resolve_unit(self.net, self.layer, unit)
        concept = self.words[row].concept if concept is None else self._checked(concept)
        numbers = self.top_images[row][:k].tolist()
        x, labels = labelled([self.dataset.concepts(n) for n in numbers], self.net, self.net.size)
        with torch.no_grad():
            maps = as_maps(self.net.probe(self.layer.name)(self.net.feed(x))[self.layer.name], self.layer).float()
        if self.basis is None:
            maps = maps[:, row : row + 1]
        else:
            weights = torch.as_tensor(self.basis[row], dtype=maps.dtype, device=maps.device)
            maps = torch.einsum("c,nchw->nhw", weights, maps)[:, None]
        over = (upsample(maps, self.layer, self.net.size)[:, 0] > float(self.thresholds[row])).cpu().numpy()
        pictures = self.net.pixels.decode(x).cpu().numpy()
        out = []
        for n, (picture, active) in enumerate(zip(pictures, over, strict=True)):
            mask = labels.mask(n, concept).reshape(self.net.size)
            bright = np.where(drawing.repeated(active, picture)[..., None], 1.0, _DARK)
            shown = np.round(picture * bright).astype(np.uint8)
            shown[drawing.repeated(_rim(mask), picture)] = _OUTLINE
            out.append(shown)
        return np.stack(out)

    @checked(most=whole(1, 64, "how many units at most"))
    def plot(self, unit: object = None, most: int = 8) -> Figure:
        """A matplotlib figure: unique detectors by category, and the strongest images of the best detectors.

        Parameters
        ----------
        unit : int, str or list, optional
            Show the images of these units alone.
        most : int
            How many of the best detectors, each of another concept.
        """
        return plot_dissection(self, unit, most)

    def title_of(self, unit: int) -> str:
        """A unit's name, its word and its score in one line."""
        word = self.words[unit]
        if self.dead[unit]:
            return f"{unit_name(self.net, self.layer, unit)}: dead"
        passes = "" if word.iou > self.threshold else " (below the threshold)"
        return f"{unit_name(self.net, self.layer, unit)}: {word.name} ({word.category}), IoU {word.iou:.3f}{passes}"

    @checked(threshold=fraction("an intersection over union"))
    def with_threshold(self, threshold: float) -> Dissection:
        """The same scores, judged by another threshold.

        Parameters
        ----------
        threshold : float
            The score above which a unit detects a concept.
        """
        null = None if self.null is None else self.null.with_threshold(threshold)
        python = f"{self.python}.with_threshold({threshold:g})" if self.python else ""
        return replace(self, threshold=threshold, null=null, python=python)


def _rim(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask that touch its outside; none of a mask that covers the whole image."""
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    return mask & ~inner
