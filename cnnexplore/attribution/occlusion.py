"""Occlusion: how much the score falls when a window of the image is covered."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import torch

from ..arguments import array, flag, plain_number, plain_pair, small_seed, whole
from ..errors import SettingError, brief_value
from ..network import Network, PatchedActivations, window_grid
from .method import AttributionMethod, Maps, Option, Stream
from .target import Target
from .window_falls import WindowFalls, mean_over_windows


def occlusion(target: Target, window: Any, stride: Any, fill: Any, batch: int, approximate: bool, seed: int) -> Stream:
    """How much the score of one image falls when a window is covered, averaged over the windows that cover a pixel.

    Yields the maps so far and the share done after each batch of windows; raw is the fall by window. As soon as the
    error can be told, the maps have what lies between the computed windows interpolated. At the end all are computed,
    unless `approximate` ends the stream before.

    References
    ----------
    Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, section 4.2; Nakandala, Kumar and
    Papakonstantinou, Incremental and approximate inference for faster occlusion-based deep CNN explanations, 2019.
    """
    batch = whole(1, 10_000, "how many windows are computed at once")("batch", batch)
    approximate, seed = flag("approximate", approximate), small_seed("seed", seed)
    target.evaluate()
    net = target.net
    size = (int(target.x.shape[-2]), int(target.x.shape[-1]))
    window = _pair("window", window, [min(max(4, s // 8), s) for s in size], size)
    stride = _pair("stride", stride, [max(1, w // 2) for w in window], window)
    colour = _colour(net, fill)
    patched = PatchedActivations(net, target.x, target.layer.name, window, batch)
    last = window_grid(size, window, stride)[-1]
    shape = (last[0] // stride[0] + 1, last[1] // stride[1] + 1)
    steps = (window[0] // stride[0], window[1] // stride[1])
    while not (yield from _filled(WindowFalls(shape, steps, seed), target, patched, colour, stride, approximate)):
        pass  # once more: a check failed, so that what was computed before may be wrong


def _filled(
    falls: WindowFalls, target: Target, patched: PatchedActivations, colour: torch.Tensor, stride: tuple[int, int],
    approximate: bool,
) -> Generator[tuple[Maps, float], None, bool]:  # fmt: skip
    """Computes the falls; returns whether they hold."""
    size = (int(target.x.shape[-2]), int(target.x.shape[-1]))
    for phase in (falls.first, falls.second, falls.last):
        windows, spliced = phase(), patched.spliced
        places = [(row * stride[0], column * stride[1]) for row, column in windows]
        for done, activations in patched.activations(places, colour):
            if spliced and not patched.spliced:
                return False
            spliced = patched.spliced
            fall = target.evaluate() - target.response(activations, 0)
            falls.add(windows[done : done + len(fall)], fall.tolist())
            values, known = falls.shown
            found = mean_over_windows(values, known, size, patched.window, stride)
            maps = Maps(
                torch.from_numpy(values).to(fall)[None, None], torch.from_numpy(found).to(fall)[None],
                accuracy=falls.accuracy, bound=falls.bound,
            )  # fmt: skip
            if approximate and falls.is_bounded:
                yield maps, 1.0
                return True
            yield maps, float(falls.computed.mean())
    return True


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
        Option("approximate", False, "whether to stop as soon as the error of what is not computed is known"),
        Option("seed", 0, "of the order of the windows whose error is measured"),
    ),
)
