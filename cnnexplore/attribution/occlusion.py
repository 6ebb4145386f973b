"""Occlusion: how much the score falls when a window of the image is covered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..arguments import array, plain_number, plain_pair, whole
from ..errors import SettingError, brief_value
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
    batch = whole(1, 10_000, "how many windows are computed at once")("batch", batch)
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
    for done, activations in patched.activations(places, _colour(net, fill)):
        if done == 0:  # also where a check failed and all is computed once more
            total.zero_()
            count.zero_()
        fall = score - target.response(activations, 0)
        falls[done : done + len(fall)] = fall
        for (row, column), value in zip(places[done : done + len(fall)], fall.tolist(), strict=True):
            total[row : row + window[0], column : column + window[1]] += value
            count[row : row + window[0], column : column + window[1]] += 1
        found = (total / count.clamp(min=1)).to(falls)
        yield Maps(falls.reshape(shape).clone(), found[None]), (done + len(fall)) / len(places)


def _pair(name: str, value: Any, default: Sequence[int], most: Sequence[int]) -> tuple[int, int]:
    given = default if value is None else value
    one = plain_number(given)
    pair = [one, one] if one is not None else plain_pair(given)
    found = [v for v, m in zip(pair, most, strict=False) if isinstance(v, int) and 1 <= v <= m]
    if len(found) != 2:
        raise SettingError(
            f"{name} is {brief_value(value)}; expected pixels, a number or (rows, columns), 1 to {most[0]} and 1 to "
            f"{most[1]}."
        )
    return found[0], found[1]


def _colour(net: Network, fill: Any) -> torch.Tensor:
    """(1, C, 1, 1) in the units of x."""
    if isinstance(fill, str) and fill == "mean":
        return torch.zeros(1, net.pixels.channels, 1, 1, device=net.device, dtype=torch.float32)
    channels = net.pixels.image_channels
    expected = f"'mean', or a colour: one value or {channels} in 0..255"
    colour = torch.from_numpy(array("fill", fill, expected).ravel())
    if len(colour) not in (1, channels) or not bool(((colour >= 0) & (colour <= 255)).all()):
        raise SettingError(f"fill is {brief_value(fill)}; expected {expected}.")
    colour = colour.expand(channels)
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
