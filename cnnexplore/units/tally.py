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
        sizes = self._count[0][row] * self._count[1][column]
        found = []
        parts = np.searchsorted(np.cumsum(sizes), np.arange(0, int(sizes.sum()) + 1, _AT_ONCE)[1:]).tolist()
        for a, b in zip([0, *parts], [*parts, len(sizes)], strict=True):
            if b > a:
                found.append(self._active(maps, threshold, which[a:b], row[a:b], column[a:b], sizes[a:b]))
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        return np.concatenate([one for one, _ in found]), np.concatenate([one for _, one in found])

    def _active(
        self, maps: np.ndarray, threshold: np.ndarray, which: np.ndarray, row: np.ndarray, column: np.ndarray,
        sizes: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        h, w = self.shape
        square = np.repeat(np.arange(len(sizes)), sizes)
        within = np.arange(len(square)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        width = self._count[1][column][square]
        y = self._first[0][row][square] + within // width
        x = self._first[1][column][square] + within % width
        flat = maps.reshape(-1)
        corner = (which * h + row) * w + column
        below, right = np.where(row < h - 1, w, 0), np.where(column < w - 1, 1, 0)
        a, b, c, d = (flat[at][square] for at in (corner, corner + right, corner + below, corner + below + right))
        across, down = self._share[1][x], self._share[0][y]
        upper, lower = a + across * (b - a), c + across * (d - c)
        limit = threshold[which]
        limit = (limit + _ROUNDING * np.abs(limit))[square]
        keep = upper + down * (lower - upper) > limit
        return which[square[keep]], y[keep] * self.size[1] + x[keep]


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

    def add(self, maps: SparseMaps, thresholds: np.ndarray, grid: Grid, labels: LabelMaps) -> None:
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
        columns, carries = self._columns(labels)
        width = len(self.concepts)
        seen = np.bincount(labels.maps.ravel(), minlength=len(columns) + 1)[1:]
        pixels = grid.size[0] * grid.size[1]
        self.truth += np.bincount(columns, seen + pixels * labels.whole.sum(0), width).astype(np.int64)
        pair, at = self._active_pixels(maps, thresholds, grid)
        if not len(at):
            return
        image, unit = pair // self.units, pair % self.units
        count = np.bincount(pair, minlength=len(labels) * self.units).reshape(len(labels), self.units)
        self.active += count.sum(0)
        self.activation += count.T @ carries
        to_column = np.concatenate([[width], columns])  # of a number; that of 0 is left out
        found = np.zeros(self.units * (width + 1), np.int64)
        base, layers = labels.first[image], np.diff(labels.first)
        for k in range(int(layers.max(initial=0))):
            keep = slice(None) if (layers > k).all() else np.flatnonzero(layers[image] > k)
            number = labels.maps[base[keep] + k, at[keep]]
            found += np.bincount(unit[keep] * (width + 1) + to_column[number], minlength=len(found))
        self.intersection += found.reshape(self.units, width + 1)[:, :width]
        covered = np.zeros((self.units, width), np.int64)
        np.add.at(covered.T, columns, (count.T @ labels.whole.astype(np.int64)).T)
        self.intersection += covered

    def _columns(self, labels: LabelMaps) -> tuple[np.ndarray, np.ndarray]:
        """The column of each name, and (N, categories) whether an image carries a concept of a category."""
        for name in labels.names:
            self.concepts.setdefault(name, len(self.concepts))
            self.categories.setdefault(category_of(name), len(self.categories))
        more = len(self.concepts) - len(self.truth)
        self.truth = np.pad(self.truth, (0, more))
        self.intersection = np.pad(self.intersection, ((0, 0), (0, more)))
        self.activation = np.pad(self.activation, ((0, 0), (0, len(self.categories) - self.activation.shape[1])))
        columns = np.array([self.concepts[name] for name in labels.names], np.int64)
        kinds = np.array([self.categories[category_of(name)] for name in labels.names], np.int64)
        carries = np.zeros((len(labels), len(self.categories)), np.int64)
        image, which = labels.whole.nonzero()
        carries[image, kinds[which]] = 1
        first = labels.maps.argmax(1) if labels.maps.size else np.zeros(0, np.int64)
        some = labels.maps[np.arange(len(first)), first].astype(np.int64)  # all numbers of a map are of one category
        of = np.repeat(np.arange(len(labels)), np.diff(labels.first))
        carries[of, kinds[some - 1]] = 1
        return columns, carries

    def _active_pixels(self, maps: SparseMaps, thresholds: np.ndarray, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """The pixels that exceed the threshold: the number of the image and unit, and the pixel's number."""
        index, values = maps
        cells = grid.shape[0] * grid.shape[1]
        pair = index // cells
        over = np.zeros(int(pair.max(initial=-1)) + 1, bool)
        over[pair[values > thresholds[pair % self.units]]] = True
        pairs = np.flatnonzero(over)
        place = np.cumsum(over) - 1
        keep = over[pair]
        dense = np.full((len(pairs), cells), -np.inf)
        dense[place[pair[keep]], index[keep] % cells] = values[keep]
        which, at = grid.active(dense.reshape(-1, *grid.shape), thresholds[pairs % self.units].astype(np.float64))
        return pairs[which], at
