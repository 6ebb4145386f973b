"""Occlusion: how much the score falls when a window of the image is covered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..errors import SettingError
from ..network import Network, PatchedActivations, window_grid
from .method import AttributionMethod, Maps, Option, Stream
from .target import Target


def occlusion(target: Target, window: Any, stride: Any, fill: Any, batch: int) -> Stream:
    """How much the score of one image falls when a window is covered, averaged over the windows that cover a pixel.

    Yields the maps so far and the share done after each batch of windows; raw is the fall by window.

    References
    ----------
    Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, section 4.2.
    """
    score = target.evaluate()
    net = target.net
    size = (int(target.x.shape[-2]), int(target.x.shape[-1]))
    window = _pair("window", window, [min(max(4, s // 8), s) for s in size], size)
    stride = _pair("stride", stride, [max(1, w // 2) for w in window], window)
    patched = PatchedActivations(net, target.x, target.layer.name, window, batch)
    places = window_grid(size, window, stride)
    falls = torch.zeros(len(places), dtype=score.dtype, device=score.device)
    total = torch.zeros(size, dtype=torch.float64)
    count = torch.zeros(size, dtype=torch.float64)
    shape = (1, 1, places[-1][0] // stride[0] + 1, places[-1][1] // stride[1] + 1)
    done = 0
    for activations in patched.activations(places, _colour(net, fill)):
        fall = score - target.response(activations, 0)
        falls[done : done + len(fall)] = fall
        for (row, column), value in zip(places[done : done + len(fall)], fall.tolist(), strict=True):
            total[row : row + window[0], column : column + window[1]] += value
            count[row : row + window[0], column : column + window[1]] += 1
        done += len(fall)
        found = (total / count.clamp(min=1)).to(falls)
        yield Maps(falls.reshape(shape).clone(), found[None]), done / len(places)


def _pair(name: str, value: Any, default: Sequence[int], most: Sequence[int]) -> tuple[int, int]:
    value = default if value is None else value
    whole = (int, np.integer)
    pair = (value, value) if isinstance(value, whole) else tuple(value) if isinstance(value, (list, tuple)) else ()
    if len(pair) != 2 or not all(isinstance(v, whole) and 1 <= v <= m for v, m in zip(pair, most, strict=True)):
        raise SettingError(
            f"{name} is {value!r}; expected pixels, a number or (rows, columns), 1 to {most[0]} and 1 to {most[1]}."
        )
    return int(pair[0]), int(pair[1])


def _colour(net: Network, fill: Any) -> torch.Tensor:
    """(1, C, 1, 1) in the units of x."""
    if isinstance(fill, str) and fill == "mean":
        return torch.zeros(1, net.pixels.channels, 1, 1, device=net.device)
    try:
        colour = torch.as_tensor(fill, dtype=torch.float32).flatten()
        if not bool(((colour >= 0) & (colour <= 255)).all()):
            raise ValueError("outside 0..255")
        colour = colour.expand(net.pixels.image_channels)
    except (TypeError, ValueError, RuntimeError):
        raise SettingError(
            f"fill is {fill!r}; expected 'mean', or a colour: one value or {net.pixels.image_channels} in 0..255."
        ) from None
    return net.pixels.encode(colour.view(1, -1, 1, 1)).to(net.device)


OCCLUSION = AttributionMethod(
    "occlusion",
    occlusion,
    "How much the score falls when a window is covered, averaged over the windows that cover a pixel",
    signed=True,
    streamed=True,
    options=(
        Option(
            "window",
            None,
            "the window's side in pixels, or (rows, columns); None: an eighth of the image",
            slider=(2, 64),
            whole=True,
            initial=lambda side: max(4, side // 8),
        ),
        Option(
            "stride",
            None,
            "the step between windows in pixels, or (rows, columns); None: half the window",
            slider=(1, 32),
            whole=True,
            initial=lambda side: max(2, side // 16),
            at_most="window",
        ),
        Option("fill", "mean", "'mean' (the network's mean colour), or a colour: one value or three in 0..255"),
        Option("batch", 32, "how many windows are computed at once"),
    ),
)
