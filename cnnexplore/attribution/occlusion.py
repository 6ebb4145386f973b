"""Occlusion: how much the score falls when a window of the image is covered."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from ..errors import SettingError
from ..network import PatchedActivations, window_grid
from .gradients import Maps
from .subject import Subject


def occlusion(subject: Subject, window=None, stride=None, fill="mean", batch: int = 32) -> Maps:
    """How much the score falls when a window is covered, averaged over the windows that cover a pixel.

    window, stride: in pixels, a number or (rows, columns) (default: an eighth of the image, and half of that).
    fill: "mean" (the network's mean colour), or a colour, one value or three in 0..255. raw is the fall by window,
    (1, rows, columns). Raises SettingError.
    Source: Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, section 4.2.
    """
    raws, maps = [], []
    for n in range(len(subject.x)):
        *_, (raw, found, _) = occlusions(subject, window, stride, fill, batch, image=n)
        raws.append(raw)
        maps.append(found)
    return torch.stack(raws), torch.stack(maps)


def occlusions(
    subject: Subject, window=None, stride=None, fill="mean", batch: int = 32, image: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor, float]]:
    """Occlusion of one image as a stream: (raw, map, share done) after each batch of windows."""
    subject.look()
    net, size = subject.net, tuple(subject.x.shape[-2:])
    window = _pair("window", window, [min(max(4, s // 8), s) for s in size], size)
    stride = _pair("stride", stride, [max(1, w // 2) for w in window], window)
    patched = PatchedActivations(net, subject.x[image : image + 1], subject.layer.name, window, batch)
    places = window_grid(size, window, stride)
    falls = torch.full((len(places),), 0.0, dtype=subject.scores.dtype, device=subject.x.device)
    total = torch.zeros(size, dtype=torch.float64)
    count = torch.zeros(size, dtype=torch.float64)
    shape = (1, places[-1][0] // stride[0] + 1, places[-1][1] // stride[1] + 1)
    done = 0
    for codes in patched.activations(places, _colour(net, fill)):
        fall = subject.scores[image] - subject.of(codes, image)
        falls[done : done + len(fall)] = fall
        for (row, column), value in zip(places[done : done + len(fall)], fall.tolist(), strict=True):
            total[row : row + window[0], column : column + window[1]] += value
            count[row : row + window[0], column : column + window[1]] += 1
        done += len(fall)
        found = (total / count.clamp(min=1)).to(falls)
        yield falls.reshape(shape).clone(), found, done / len(places)


def _pair(name: str, value, default, most) -> tuple[int, int]:
    value = default if value is None else value
    pair = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, (list, tuple)) else ()
    if len(pair) != 2 or not all(isinstance(v, int) and 1 <= v <= m for v, m in zip(pair, most, strict=True)):
        raise SettingError(
            f"{name} is {value!r}; expected pixels, a number or (rows, columns), 1 to {most[0]} and 1 to {most[1]}."
        )
    return pair


def _colour(net, fill) -> torch.Tensor:
    """(1, C, 1, 1) in the units of x."""
    if isinstance(fill, str) and fill == "mean":
        return torch.zeros(1, net.pixels.channels, 1, 1, device=net.device)
    try:
        rgb = torch.as_tensor(fill, dtype=torch.float32).flatten()
        if not bool(((rgb >= 0) & (rgb <= 255)).all()):
            raise ValueError("outside 0..255")
        rgb = rgb.expand(3)
    except (TypeError, ValueError, RuntimeError):
        raise SettingError(f"fill is {fill!r}; expected 'mean', or a colour: one value or three in 0..255.") from None
    return net.pixels.encode(rgb.view(1, 3, 1, 1)).to(net.device)
