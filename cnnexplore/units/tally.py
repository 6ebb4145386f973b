"""The tally of network dissection: how many pixels units and concepts share, over a data set."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..data.concepts import LabelMaps, category_of
from ..network import Layer, places_between_centres

_AT_ONCE = 2_000_000  # pixels that are interpolated at once
_ROUNDING = 1e-12  # relative: what the interpolation of equal activations may exceed them by

SparseMaps = tuple[np.ndarray, np.ndarray]
"""Indices (K,) into (N, units, h, w) and the activations (K,) there; those that were left out are not active, nor next
to one that is."""


class Grid:
    """The pixels of an image, as places between the centres of a layer's receptive fields.

    Parameters
    ----------
    layer : Layer
        The layer.
    shape : tuple of int
        (h, w) of its maps.
    size : tuple of int
        (rows, columns) of the network's input.
    reduce : int
        Take a pixel for each square of so many pixels.

    Attributes
    ----------
    size : tuple of int
        (rows, columns) of the pixels that are taken.
    orders : tuple of np.ndarray
        The rows and the columns of the map in the order of their centres.
    """

    def __init__(self, layer: Layer, shape: tuple[int, int], size: tuple[int, int], reduce: int = 1):
        self.shape = shape
        self.size = reduced(size, reduce)
        orders, self._low, self._share, self._first, self._count = [], [], [], [], []
        for axis in (0, 1):
            pixels = (np.arange(self.size[axis]) + 0.5) * reduce - 0.5
            order, place = places_between_centres(layer, axis, shape[axis], pixels)
            low = np.floor(place).astype(np.int64).clip(0, max(shape[axis] - 2, 0))
            orders.append(order)
            self._low.append(low)
            self._share.append(place - low)
            cells = np.arange(shape[axis])
            self._first.append(np.searchsorted(low, cells))
            self._count.append(np.searchsorted(low, cells, "right") - np.searchsorted(low, cells))
        self.orders = orders[0], orders[1]

    def active(self, maps: np.ndarray, threshold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pixels at which interpolated maps exceed their thresholds.

        Parameters
        ----------
        maps : np.ndarray
            (P, h, w) float64, rows and columns in the order of their centres.
        threshold : np.ndarray
            (P,) float64.

        Returns
        -------
        which : np.ndarray
            (K,) int, the map of each pixel.
        pixels : np.ndarray
            (K,) int, the pixel's number in the grid.
        """
        over = maps > threshold[:, None, None]
        near = over.copy()  # squares between four centres, by the first of them, in which a pixel can be active
        near[:, :-1] |= over[:, 1:]
        near[:, :, :-1] |= near[:, :, 1:]
        which, row, column = near.nonzero()
        rows, columns = self._count[0][row], self._count[1][column]
        shape = rows * (self.size[1] + 1) + columns  # squares of one shape are interpolated together
        found = []
        for one in np.flatnonzero(np.bincount(shape)).tolist():
            high, wide = divmod(one, self.size[1] + 1)
            if not high * wide:
                continue
            same = np.flatnonzero(shape == one)
            for part in np.split(same, range(_AT_ONCE // (high * wide) + 1, len(same), _AT_ONCE // (high * wide) + 1)):
                found.append(self._active(maps, threshold, which[part], row[part], column[part], (high, wide)))
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])

    def _active(
        self, maps: np.ndarray, threshold: np.ndarray, which: np.ndarray, row: np.ndarray, column: np.ndarray,
        square: tuple[int, int],
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        """The active pixels of squares of one shape, (rows, columns) of pixels."""
        (h, w), (high, wide) = self.shape, square
        flat = maps.reshape(-1)
        corner = (which * h + row) * w + column
        below, right = np.where(row < h - 1, w, 0), np.where(column < w - 1, 1, 0)
        a, b, c, d = (flat[at][:, None] for at in (corner, corner + right, corner + below, corner + below + right))
        y, x = self._first[0][row], self._first[1][column]
        across, down = self._share[1][x[:, None] + np.arange(wide)], self._share[0][y[:, None] + np.arange(high)]
        upper, lower = a + across * (b - a), c + across * (d - c)
        limit = threshold[which]
        limit = limit + _ROUNDING * np.abs(limit)
        value = down[:, :, None] * (lower - upper)[:, None]
        value += upper[:, None]
        active = np.flatnonzero(value > limit[:, None, None])
        number, within = np.divmod(active, high * wide)
        pixel = (np.arange(high)[:, None] * self.size[1] + np.arange(wide)).ravel()
        return which[number], (y * self.size[1] + x)[number] + pixel[within]


def reduced(size: tuple[int, int], reduce: int) -> tuple[int, int]:
    """(rows, columns) of the pixels that are taken of an image: one for each square of `reduce` pixels."""
    return max(1, size[0] // reduce), max(1, size[1] // reduce)


@dataclass
class Tally:
    """Counts of pixels over images.

    Attributes
    ----------
    units : int
        How many units.
    concepts : dict of str to int
        Concept to its column, in the order in which they came.
    categories : dict of str to int
        Category to its column.
    intersection : np.ndarray
        (units, concepts) int64, pixels at which a unit is active and the concept is seen.
    truth : np.ndarray
        (concepts,) int64, pixels at which the concept is seen.
    activation : np.ndarray
        (units, categories) int64, pixels at which a unit is active, in images that carry a concept of the category.
    active : np.ndarray
        (units,) int64, pixels at which a unit is active, in all images.
    """

    units: int
    concepts: dict[str, int] = field(default_factory=dict)
    categories: dict[str, int] = field(default_factory=dict)
    intersection: np.ndarray = field(init=False)
    truth: np.ndarray = field(init=False)
    activation: np.ndarray = field(init=False)
    active: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.intersection, self.truth = np.zeros((self.units, 0), np.int64), np.zeros(0, np.int64)
        self.activation, self.active = np.zeros((self.units, 0), np.int64), np.zeros(self.units, np.int64)

    def add(self, found: Counts) -> None:
        """Add the counts of some images."""
        columns, carries = self._columns(found)
        self.truth += np.bincount(columns, found.truth, len(self.concepts)).astype(np.int64)
        self.active += found.active.sum(0)
        self.activation += found.active.T @ carries
        np.add.at(self.intersection.T, columns, found.intersection.T)

    def _columns(self, found: Counts) -> tuple[np.ndarray, np.ndarray]:
        """The column of each name, and (N, categories) whether an image carries a concept of a category."""
        for name in found.names:
            self.concepts.setdefault(name, len(self.concepts))
            self.categories.setdefault(category_of(name), len(self.categories))
        more = len(self.concepts) - len(self.truth)
        self.truth = np.pad(self.truth, (0, more))
        self.intersection = np.pad(self.intersection, ((0, 0), (0, more)))
        self.activation = np.pad(self.activation, ((0, 0), (0, len(self.categories) - self.activation.shape[1])))
        columns = np.array([self.concepts[name] for name in found.names], np.int64)
        carries = np.zeros((len(found.carried), len(self.categories)), np.int64)
        image, which = found.carried.nonzero()
        carries[image, np.array([self.categories[category_of(name)] for name in found.names], np.int64)[which]] = 1
        return columns, carries


@dataclass(frozen=True)
class Counts:
    """Counts of pixels in some images, by concept as their `LabelMaps` number them.

    Attributes
    ----------
    names : list of str
        The concepts.
    truth : np.ndarray
        (names,) int, pixels at which a concept is seen.
    carried : np.ndarray
        (N, names) bool, the concepts that an image carries.
    active : np.ndarray
        (N, units) int, pixels at which a unit is active.
    intersection : np.ndarray
        (units, names) int, pixels at which a unit is active and a concept is seen.
    """

    names: list[str]
    truth: np.ndarray
    carried: np.ndarray
    active: np.ndarray
    intersection: np.ndarray


def counted(maps: SparseMaps, thresholds: np.ndarray, grid: Grid, labels: LabelMaps) -> Counts:
    """Count the pixels of some images.

    Parameters
    ----------
    maps : (np.ndarray, np.ndarray)
        Their activations.
    thresholds : np.ndarray
        (units,).
    grid : Grid
        The pixels of an image.
    labels : LabelMaps
        The concepts in the images.
    """
    units, count, width = len(thresholds), len(labels), len(labels.names) + 1
    pixels = grid.size[0] * grid.size[1]
    pairs, which, at = _active_pixels(maps, thresholds, grid)
    image, unit = pairs // units, pairs % units
    active = np.zeros((count, units), np.int64)
    active[image, unit] = np.bincount(which, minlength=len(pairs))
    found = np.zeros(units * width, np.int64)
    flat, layers = labels.maps.reshape(-1), np.diff(labels.first)
    if len(at):
        place = (labels.first[image] * pixels)[which] + at
        key, depth = (unit * width)[which], layers[image]
        for k in range(int(layers.max(initial=0))):
            if (depth > k).all():
                found += np.bincount(key + flat[place + k * pixels], minlength=len(found))
            else:
                keep = np.flatnonzero((depth > k)[which])
                found += np.bincount(key[keep] + flat[place[keep] + k * pixels], minlength=len(found))
    intersection = found.reshape(units, width)[:, 1:] + active.T @ labels.whole.astype(np.int64)
    return Counts(labels.names, labels.counts.sum(0), labels.counts > 0, active, intersection)


def _active_pixels(maps: SparseMaps, thresholds: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The maps that exceed their threshold, by image and unit; of each active pixel its map and its number."""
    index, values = maps
    cells, units = grid.shape[0] * grid.shape[1], len(thresholds)
    pair = index // cells
    over = np.zeros(int(pair.max(initial=-1)) + 1, bool)
    over[pair[values > thresholds[pair % units]]] = True
    pairs = np.flatnonzero(over)
    place = np.cumsum(over) - 1
    keep = over[pair]
    dense = np.full((len(pairs), cells), -np.inf)
    dense[place[pair[keep]], index[keep] % cells] = values[keep]
    return pairs, *grid.active(dense.reshape(-1, *grid.shape), thresholds[pairs % units].astype(np.float64))
