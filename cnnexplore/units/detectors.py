"""The rules by which network dissection scores and counts: intersection over union, detectors, unique detectors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import checked, choice, fraction
from ..errors import SettingError, brief_value

BY = ("category", "word")


class Word(NamedTuple):
    """The concept that a unit detects best.

    Attributes
    ----------
    concept : str
        "category/name".
    category : str
        The category.
    name : str
        The name within the category.
    iou : float
        The intersection over union; 0 for a unit that is active nowhere in what is labelled.
    """

    concept: str
    category: str
    name: str
    iou: float


class Count(NamedTuple):
    """How many detectors there are.

    Attributes
    ----------
    unique : int
        Different concepts that a unit detects.
    units : int
        Units that detect a concept.
    """

    unique: int
    units: int


def intersection_over_union(intersection: ArrayLike, activation: ArrayLike, truth: ArrayLike) -> np.ndarray:
    """The score of units for concepts, from counts of pixels over a data set.

    Parameters
    ----------
    intersection : array_like
        Pixels at which the unit is active and the concept is seen.
    activation : array_like
        Pixels at which the unit is active, in the images that carry a concept of the category.
    truth : array_like
        Pixels at which the concept is seen.

    Returns
    -------
    np.ndarray
        I / (A + G - I), float64; 0 where both are empty.

    References
    ----------
    Bau et al., Network dissection, 2017, equation 2.

    Examples
    --------
    >>> from cnnexplore.units import intersection_over_union
    >>> intersection_over_union([30, 0], [60, 0], [70, 0])
    array([0.3, 0. ])
    """
    i, a, g = (np.asarray(one, np.float64) for one in (intersection, activation, truth))
    union = a + g - i
    return np.divide(i, union, out=np.zeros(np.broadcast(i, union).shape), where=union > 0)


def _rows(name: str, value: Any) -> list[Mapping[str, Any]]:
    """Rows of a table: mappings with the columns that the count needs."""
    wrong = SettingError(
        f"{name} is {brief_value(value)}; expected rows such as Dissection.table or csv.DictReader gives, with "
        "'category', 'label', 'score', and '<category>-label' and '<category>-iou' of each category."
    )
    try:
        found = [] if isinstance(value, (str, bytes, np.ndarray)) else list(islice(value, 1_000_000))
        for row in found:
            float(row["score"]), str(row["category"]), str(row["label"])
            for key in row:
                if key.endswith("-label"):
                    float(row[f"{key[: -len('-label')]}-iou"])
    except Exception as error:  # no rows; or the user's own type
        raise wrong from error
    if not found:
        raise wrong
    return found


@checked(rows=_rows, threshold=fraction("an intersection over union"), by=choice(BY))
def count_detectors(
    rows: Iterable[Mapping[str, Any]], threshold: float = 0.04, by: str = "category"
) -> dict[str, Count]:
    """Count the detectors in a table of dissected units.

    Parameters
    ----------
    rows : iterable of mapping
        A row for each unit, as in `Dissection.table` or in a published file that `csv.DictReader` reads: "category",
        "label" and "score" of the unit's best concept, and "<category>-label" and "<category>-iou" of its best concept
        of each category.
    threshold : float
        A unit detects a concept if its score is larger.
    by : {"category", "word"}
        "category": a unit counts in each category whose best concept it detects, as in the published bar charts.
        "word": a unit counts in the category of its best concept alone.

    Returns
    -------
    dict of str to Count
        By category, in the order of the columns: different concepts, and units. A concept with no detector counts 0.

    Raises
    ------
    SettingError
        If the rows lack one of these columns.

    References
    ----------
    Bau et al., Network dissection, 2017, section 3.1.

    Examples
    --------
    >>> from cnnexplore.units import count_detectors
    >>> row = {"category": "part", "label": "wheel", "score": 0.2, "object-label": "car", "object-iou": 0.1,
    ...        "part-label": "wheel", "part-iou": 0.2}
    >>> count_detectors([row, row])
    {'object': Count(unique=1, units=2), 'part': Count(unique=1, units=2)}
    >>> count_detectors([row, row], by="word")
    {'object': Count(unique=0, units=0), 'part': Count(unique=1, units=2)}
    """
    found: dict[str, list[str]] = {}
    for row in rows:
        for category in (key[: -len("-label")] for key in row if key.endswith("-label")):
            labels = found.setdefault(category, [])
            if by == "category" and float(row[f"{category}-iou"]) > threshold:
                labels.append(row[f"{category}-label"])
        if by == "word" and float(row["score"]) > threshold:
            found.setdefault(row["category"], []).append(row["label"])
    return {category: Count(len(set(labels)), len(labels)) for category, labels in found.items()}


def total(counts: Mapping[str, Count]) -> Count:
    """The sum over categories: a unit that counts in two of them counts twice."""
    return Count(sum(one.unique for one in counts.values()), sum(one.units for one in counts.values()))
