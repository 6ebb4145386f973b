"""Receptive fields after sliding windows, resampling and padding, along one dimension of a map of fields."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from .origins import CENTRE, HIGH, LOW, OTHER, STRIDE

Fields = torch.Tensor  # (..., rows, columns, 10), the fields of a map


def pair(value: Any, default: int = 1) -> tuple[int, int]:
    """The (rows, columns) part of an argument of a window.

    Parameters
    ----------
    value : int or sequence of int
        One number for both axes, or one per dimension, of which the last two count; or empty.
    default : int
        What an empty one stands for.

    Returns
    -------
    tuple of int
        (rows, columns).
    """
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    if not values:
        return (default, default)
    return (values[0], values[0]) if len(values) == 1 else (values[-2], values[-1])


def take(fields: Fields, axis: int, index: torch.Tensor) -> Fields:
    """The fields at whole positions along an axis; beyond the ends they go on with the map's stride.

    Parameters
    ----------
    fields : torch.Tensor
        (..., rows, columns, 10).
    axis : int
        0 for rows, 1 for columns.
    index : torch.Tensor
        (n,) whole numbers.
    """
    dim = axis - 3
    count = fields.shape[dim]
    inside = index.clamp(0, count - 1)
    found = fields.index_select(dim, inside)
    beyond = index - inside
    if bool((beyond == 0).all()):
        return found
    shape = [1] * (found.dim() - 1)
    shape[dim + 1] = len(index)
    amount = beyond.to(fields.dtype).view(shape)
    found = found.clone()
    for a in (0, 1):
        step = found[..., STRIDE[a]] * _direction(fields, dim, CENTRE[a], a == axis)
        for column in (CENTRE[a], LOW[a], HIGH[a]):
            moves = _direction(fields, dim, column, a == axis) != 0
            found[..., column] = found[..., column] + amount * step * moves
    return found


def _direction(fields: Fields, dim: int, column: int, own: bool) -> float:
    """Whether a column grows (1), falls (-1) or stays (0) along a dimension; of a single value, 1 on its own axis."""
    values = fields[..., column]
    dim = dim + 1
    if values.shape[dim] < 2:
        return float(own)
    change = (values.narrow(dim, -1, 1) - values.narrow(dim, 0, 1)).nan_to_num(0, 0, 0)
    return float(torch.sign(change.flatten()[change.abs().argmax()])) if bool((change != 0).any()) else 0.0


def slide(fields: Fields, axis: int, kernel: int, step: int, padding: int, dilation: int, count: int) -> Fields:
    """The fields after a sliding window: they hold those in the window; the centre is that of its middle.

    Parameters
    ----------
    fields : torch.Tensor
        (..., rows, columns, 10).
    axis : int
        0 for rows, 1 for columns.
    kernel, step, padding, dilation : int
        The window.
    count : int
        How many outputs there are along the axis.
    """
    first = torch.arange(count) * step - padding
    middle = [(kernel - 1) // 2, kernel // 2]
    out = take(fields, axis, first + middle[0] * dilation).clone()
    if middle[1] != middle[0]:
        other = take(fields, axis, first + middle[1] * dilation)
        for column in CENTRE:
            out[..., column] = (out[..., column] + other[..., column]) / 2
    ends = (0, kernel - 1) if _monotonous(fields, axis) and padding < fields.shape[axis - 3] else range(kernel)
    for tap in ends:
        _include(out, take(fields, axis, first + tap * dilation))
    out[..., STRIDE[axis]] = out[..., STRIDE[axis]] * step
    return out


def _monotonous(fields: Fields, axis: int) -> bool:
    """Whether the first and last of several neighbours hold what all of them see."""
    for column in (*LOW, *HIGH):
        change = fields[..., column].diff(dim=axis - 2)
        if not (bool((change >= 0).all()) or bool((change <= 0).all())):
            return False
    return True


def _include(out: Fields, more: Fields) -> None:
    for a in (0, 1):
        out[..., LOW[a]] = torch.minimum(out[..., LOW[a]], more[..., LOW[a]])
        out[..., HIGH[a]] = torch.maximum(out[..., HIGH[a]], more[..., HIGH[a]])


def at(fields: Fields, axis: int, place: torch.Tensor) -> Fields:
    """The fields at fractional positions along an axis, with centres interpolated between the two neighbours."""
    low = place.floor().long()
    out, after = take(fields, axis, low).clone(), take(fields, axis, low + 1)
    shape = [1] * (out.dim() - 1)
    shape[axis - 2] = len(place)
    part = (place - low).view(shape)
    for column in CENTRE:
        out[..., column] = torch.where(
            part > 0, out[..., column] * (1 - part) + after[..., column] * part, out[..., column]
        )
    return out


def spans(fields: Fields, axis: int, place: torch.Tensor, low: torch.Tensor, high: torch.Tensor, step: float) -> Fields:
    """The fields of outputs that combine several neighbours each.

    Parameters
    ----------
    fields : torch.Tensor
        (..., rows, columns, 10).
    axis : int
        0 for rows, 1 for columns.
    place : torch.Tensor
        (n,) the position of each output's centre on the map.
    low, high : torch.Tensor
        (n,) the first and last position that each output combines; clipped to the map.
    step : float
        By how much the stride grows.
    """
    out = at(fields, axis, place)
    last = fields.shape[axis - 3] - 1
    low, high = low.long().clamp(0, last), high.long().clamp(0, last)
    for column in (*LOW, *HIGH):
        out[..., column] = take(fields, axis, low)[..., column]
    for offset in range(int((high - low).max()) + 1 if len(low) else 0):
        _include(out, take(fields, axis, torch.minimum(low + offset, high)))
    out[..., STRIDE[axis]] = out[..., STRIDE[axis]] * step
    return out


def transposed(fields: Fields, axis: int, kernel: int, step: int, padding: int, dilation: int, count: int) -> Fields:
    """The fields after a transposed convolution.

    Output i combines the inputs j with i = j step - padding + tap dilation, for all taps of the kernel.

    Parameters
    ----------
    fields : torch.Tensor
        (..., rows, columns, 10).
    axis : int
        0 for rows, 1 for columns.
    kernel, step, padding, dilation : int
        The window.
    count : int
        How many outputs there are along the axis.
    """
    i = torch.arange(count)
    wide = dilation * (kernel - 1) + 1
    low, high = torch.full((count,), 10**9), torch.full((count,), -(10**9))
    for tap in range(kernel):
        number = i + padding - tap * dilation
        hit = (number % step == 0) & (number >= 0) & (number // step < fields.shape[axis - 3])
        low = torch.where(hit, torch.minimum(low, number // step), low)
        high = torch.where(hit, torch.maximum(high, number // step), high)
    place = (i + padding - (wide - 1) / 2).double() / step
    none = high < low  # a gap between windows: the nearest input stands for it
    low, high = torch.where(none, place.round().long(), low), torch.where(none, place.round().long(), high)
    return spans(fields, axis, place, low, high, 1 / step)


def resampled(fields: Fields, axis: int, count: int, mode: str, align_corners: bool) -> Fields:
    """The fields after upsampling or downsampling along an axis.

    Parameters
    ----------
    fields : torch.Tensor
        (..., rows, columns, 10).
    axis : int
        0 for rows, 1 for columns.
    count : int
        How many outputs there are along the axis.
    mode : str
        "nearest", "linear" or "cubic".
    align_corners : bool
        Whether the outermost outputs lie on the outermost inputs.
    """
    inside = fields.shape[axis - 3]
    i = torch.arange(count, dtype=torch.float64)
    if align_corners and mode != "nearest":
        place = i * ((inside - 1) / (count - 1) if count > 1 else 0)
        step = (inside - 1) / (count - 1) if count > 1 and inside > 1 else inside / count
    else:
        place, step = (i + 0.5) * inside / count - 0.5, inside / count
    if mode == "nearest":
        low = high = (i * inside / count).floor()
    else:
        reach = 1 if mode == "cubic" else 0
        low, high = place.floor() - reach, place.ceil() + reach
    return spans(fields, axis, place, low, high, step)


def adaptive(fields: Fields, axis: int, count: int) -> Fields:
    """The fields after adaptive pooling, whose output i combines floor(i n / m) to ceil((i + 1) n / m) - 1."""
    inside = fields.shape[axis - 3]
    low = torch.tensor([i * inside // count for i in range(count)])
    high = torch.tensor([math.ceil((i + 1) * inside / count) - 1 for i in range(count)])
    return spans(fields, axis, (low + high).double() / 2, low, high, inside / count)


def on_grid(fields: Fields, size: tuple[int, int]) -> Fields:
    """A map of fields with the strides of its own grid.

    Parameters
    ----------
    fields : torch.Tensor
        (..., rows, columns, 10). Where all units have the same centre, such as a decoder's, computed from a vector that
        sees everything, the centres are spread over the image.
    size : tuple of int
        (rows, columns) of the image.
    """
    rows, columns = fields.shape[-3:-1]
    centre = fields[..., list(CENTRE)].nan_to_num(-1e9)
    fields = fields.clone()
    if rows * columns > 1 and bool((centre == centre[..., :1, :1, :]).all()):
        for a, count in enumerate((rows, columns)):
            places = (torch.arange(count, dtype=fields.dtype) + 0.5) * size[a] / count - 0.5
            fields[..., CENTRE[a]] = places[:, None] if a == 0 else places
            fields[..., STRIDE[a]] = size[a] / count
        for column in OTHER:
            fields[..., column] = float("nan")
        return fields
    for a, count in enumerate((rows, columns)):
        steps = fields[..., CENTRE[a]].diff(dim=a - 2)
        if count > 1 and bool((steps == steps.flatten()[0]).all()) and float(steps.flatten()[0]) != 0:
            fields[..., STRIDE[a]] = steps.abs().flatten()[0]
    return fields


def both(fields: Fields, along: Callable[[Fields, int], Fields]) -> Fields:
    """The fields after the same kind of step along rows and then columns."""
    return along(along(fields, 0), 1)
