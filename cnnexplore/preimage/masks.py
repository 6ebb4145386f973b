"""Masks of an activation by name, for `invert(..., mask=...)`; each fits itself to the shape of the activation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..arguments import array
from ..errors import ExploreError, SettingError, brief, brief_value
from ..network import Layer, as_maps, from_maps


@dataclass(frozen=True)
class central:
    """The positions in the middle of the map (preimage2016, figure 9).

    Parameters
    ----------
    size : int
        The window has `size` x `size` positions.

    Examples
    --------
    >>> cx.masks.central(2)((8, 4, 4))[0].astype(int)
    array([[0, 0, 0, 0],
           [0, 1, 1, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]])
    """

    size: int

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        """The mask for an activation of shape (C, h, w): (1, h, w) of 0 and 1."""
        rows, columns = _map(shape, self)
        if not _whole(self.size) or not 0 < self.size <= min(rows, columns):
            raise SettingError(
                f"{brief_value(self)} does not fit a map of {rows} x {columns}; expected 1 to {min(rows, columns)}."
            )
        top, left = (rows - self.size) // 2, (columns - self.size) // 2
        return window(top, left, top + self.size, left + self.size)(shape)


@dataclass(frozen=True)
class window:
    """The positions of a window of the map.

    Parameters
    ----------
    top, left : int
        The first row and column.
    bottom, right : int
        The row and column after the last.

    Examples
    --------
    >>> int(cx.masks.window(0, 1, 2, 4)((8, 5, 5)).sum())
    6
    """

    top: int
    left: int
    bottom: int
    right: int

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        """The mask for an activation of shape (C, h, w): (1, h, w) of 0 and 1."""
        rows, columns = _map(shape, self)
        whole = _whole(self.top, self.left, self.bottom, self.right)
        if not whole or not (0 <= self.top < self.bottom <= rows and 0 <= self.left < self.right <= columns):
            raise SettingError(
                f"{brief_value(self)} does not fit a map of {rows} x {columns}; expected a window inside it."
            )
        mask = np.zeros((1, rows, columns), np.float32)
        mask[:, self.top : self.bottom, self.left : self.right] = 1
        return mask


class channels:
    """Some channels.

    Parameters
    ----------
    *numbers : int
        The channels, in any order.

    Examples
    --------
    >>> cx.masks.channels(0, 2)((4, 5, 5)).ravel().astype(int)
    array([1, 0, 1, 0])
    """

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers

    def __repr__(self) -> str:
        return f"channels({', '.join(map(str, self.numbers))})"

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        """The mask for an activation of shape (C, ...): (C, 1, ...) of 0 and 1."""
        wrong = [k for k in self.numbers if not _whole(k) or not 0 <= k < shape[0]]
        if wrong or not self.numbers:
            found = f"{brief_value(wrong[0])} is no channel" if wrong else "no channel was given"
            raise SettingError(f"{brief_value(self)}: {found}; the activation has channels 0 to {shape[0] - 1}.")
        mask = np.zeros((shape[0],) + (1,) * (len(shape) - 1), np.float32)
        mask[list(self.numbers)] = 1
        return mask


@dataclass(frozen=True)
class groups:
    """One of several equal groups of channels, such as the streams of AlexNet (preimage2016, figure 10).

    Parameters
    ----------
    which : int
        The number of the group, 1 to `of`.
    of : int
        How many groups there are.

    Examples
    --------
    >>> cx.masks.groups(2)((4, 5, 5)).ravel().astype(int)
    array([0, 0, 1, 1])
    """

    which: int
    of: int = 2

    def __call__(self, shape: tuple[int, ...]) -> np.ndarray:
        """The mask for an activation of shape (C, ...): (C, 1, ...) of 0 and 1."""
        if not _whole(self.which, self.of) or self.of < 1 or shape[0] % self.of or not 1 <= self.which <= self.of:
            raise SettingError(
                f"{brief_value(self)} does not fit {shape[0]} channels; expected equal groups, and which from 1 to "
                f"{brief_value(self.of)}."
            )
        each = shape[0] // self.of
        return channels(*range((self.which - 1) * each, self.which * each))(shape)


def fitted(mask: Callable[[tuple[int, ...]], np.ndarray], layer: Layer, activation: torch.Tensor) -> np.ndarray:
    """A mask by name as numbers in the layout of a layer's activations.

    Parameters
    ----------
    mask : callable
        Maps the shape (C, h, w), or (K,) without a map, to numbers that broadcast to it.
    layer : Layer
        The layer.
    activation : torch.Tensor
        (N, ...) its activations.

    Returns
    -------
    np.ndarray
        Of the shape of one image's activations; 0 for tokens without a position.
    """
    shape = as_maps(activation[:1], layer).shape if layer.has_map else (1, layer.channels)
    numbers = torch.from_numpy(computed("mask", mask, tuple(shape[1:])))
    try:
        fits = numbers.expand(shape)
    except RuntimeError as error:
        expected = " x ".join(map(str, shape[1:]))
        raise SettingError(
            f"mask gives {brief_value(numbers)}; expected numbers that broadcast to {expected}."
        ) from error
    if not layer.has_map:
        return fits[0].reshape(activation.shape[1:]).numpy()
    return from_maps(fits, layer, activation.shape[1:])[0].numpy()


def computed(name: str, mask: Any, shape: tuple[int, ...]) -> np.ndarray:
    """The numbers that a mask by name, or a function of the user's, gives for a shape. Raises SettingError."""
    try:
        value = mask(shape)
    except ExploreError:
        raise
    except Exception as error:  # the user's own function
        raise SettingError(f"{name} raised {type(error).__name__}: {brief(error)}.") from error
    return array(f"what {name} gives", value, f"numbers that broadcast to {' x '.join(map(str, shape))}")


def _whole(*values: object) -> bool:
    return all(isinstance(one, (int, np.integer)) and not isinstance(one, (bool, np.timedelta64)) for one in values)


def _map(shape: tuple[int, ...], mask: object) -> tuple[int, int]:
    if len(shape) != 3:
        raise SettingError(
            f"{brief_value(mask)} needs a layer with a map; this one has {shape[0]} numbers and no positions."
        )
    return shape[1], shape[2]
