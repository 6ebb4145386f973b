"""The centre-biased ascent of multifaceted units: gradient steps, each followed by TV denoising (Nguyen et al., 2016).

The phases are those of the authors' public programs. A phase may enlarge the image; then each step works on a random
crop of the size that the unit looks at, near the middle. Lengths are relative to the authors' 227 x 227 pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..arguments import flag, number, optional, plain_pair, whole
from ..errors import SettingError, brief_value
from ..network import Layer, Network, as_maps, has_class_units, input_gradient

Pair = tuple[int, int]

_SIDE = 227  # pixels of the authors' images
_ITERATIONS, _CHANGE = 100, 1e-3  # of the denoising: at most so many, until an image changes less
_START = 175.0, 8.0  # mean and standard deviation of the noise that the ascent of a whole class starts from


@dataclass(frozen=True)
class Phase:
    """A part of the ascent; step i of n has the step size and the weight at the fraction i / n of their ramps.

    Attributes
    ----------
    steps : int
        How many steps, 2 or more unless `ramp` is.
    rate : tuple of float
        Mean absolute change of a pixel in a step, 0..255: at the start and at the end.
    weight : tuple of float
        The weight of the denoising as the authors' programs state it; a smaller one smooths more. The programs'
        ramp is start - (start - end * i) / n, which is no line from start to end.
    zoom : float
        By what the image is enlarged before the phase.
    margin : int
        Pixels at the edge of a crop of 227 that do not change.
    width : float
        The standard deviation of a crop's place about the middle, as a share of the room that it has.
    softmax : bool
        Whether a class's probability is maximised in place of its score.
    ramp : int, optional
        How many steps the ramps are written for, where the phase takes another number of them along the same ramps.

    Raises
    ------
    SettingError
        If a number is out of its range.
    """

    steps: int
    rate: tuple[float, float]
    weight: tuple[float, float]
    zoom: float = 1.0
    margin: int = 0
    width: float = 0.3
    softmax: bool = False
    ramp: int | None = None

    def __post_init__(self) -> None:
        optional(whole(2, 1_000_000, "how many steps the ramps are written for"))("ramp", self.ramp)
        whole(1 if self.ramp else 2, 1_000_000, "how many steps")("steps", self.steps)
        for name in ("rate", "weight"):
            ends = [one for one in plain_pair(getattr(self, name)) if one is not None and 0 < one < 1e6]
            if len(ends) != 2:
                raise SettingError(
                    f"{name} is {brief_value(getattr(self, name))}; expected two positive numbers, at the start and at "
                    "the end of the phase."
                )
        number(1, 8, "by what the image is enlarged")("zoom", self.zoom)
        whole(0, _SIDE // 2, "pixels of a crop of 227 that do not change")("margin", self.margin)
        number(0, 10, "a share of the room of a crop")("width", self.width)
        flag("softmax", self.softmax)

    def rate_at(self, i: int) -> float:
        """The step size of step i.

        Parameters
        ----------
        i : int
            The number of the step in the phase.
        """
        return self.rate[0] + (self.rate[1] - self.rate[0]) * i / self.steps

    def weight_at(self, i: int) -> float:
        """The weight of the denoising of step i, for images of 227 pixels.

        Parameters
        ----------
        i : int
            The number of the step in the phase.
        """
        steps = self.ramp or self.steps
        return self.weight[0] - (self.weight[0] - self.weight[1] * i * steps / self.steps) / steps


SCHEDULES: dict[str, tuple[Phase, ...]] = {
    "mean": (
        Phase(190, (1, 2), (0.4, 0.4)),
        Phase(150, (1, 1), (0.01, 2), zoom=1.2),
        Phase(20, (2, 2), (0.1, 2), margin=50, width=0.2),
        Phase(10, (2, 2), (0.4, 2)),
    ),
    "centre": (
        Phase(190, (11, 11), (0.001, 0.05), softmax=True),
        Phase(150, (6, 6), (0.01, 0.08), zoom=1.2, softmax=True),
        Phase(150, (1, 1), (0.01, 2), zoom=1.2),
        Phase(30, (3, 3), (0.1, 2), margin=50, width=0.1),
        Phase(10, (6, 3), (0.01, 2)),
    ),
}
"""The published phases: from a mean of images, and from noise."""


@dataclass(frozen=True)
class Ascent:
    """The estimates after a step.

    Attributes
    ----------
    step, total : int
        How many steps were taken, and how many there are.
    x : torch.Tensor
        (N, C, H, W), the middle of the images, of the size that the unit looks at, in the network's units.
    responses : torch.Tensor
        (N,), the responses to the crops before the step.
    """

    step: int
    total: int
    x: torch.Tensor
    responses: torch.Tensor


def shortened(phases: Sequence[Phase], steps: int | None) -> tuple[Phase, ...]:
    """Phases with another number of steps in all, each at least one; None leaves them.

    Raises SettingError if there are fewer steps than phases.
    """
    if steps is None:
        return tuple(phases)
    if steps < len(phases):
        raise SettingError(f"steps is {steps}; expected at least {len(phases)}, one for each phase of the schedule.")
    ends = np.round(np.cumsum([0, *(phase.steps for phase in phases)]) / sum(p.steps for p in phases) * steps)
    for k in range(1, len(ends)):
        ends[k] = max(ends[k], ends[k - 1] + 1)
    for k in range(len(ends) - 1, 0, -1):
        ends[k] = min(ends[k], steps - (len(ends) - 1 - k))
    return tuple(
        replace(one, steps=int(n), ramp=one.ramp or one.steps) for one, n in zip(phases, np.diff(ends), strict=True)
    )


def phases_of(name: str, value: Any) -> tuple[Phase, ...]:
    """The phases of a schedule: one of `SCHEDULES` by name, or a sequence of `Phase`. Raises SettingError."""
    if isinstance(value, str) and value in SCHEDULES:
        return SCHEDULES[value]
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, Phase) for one in value):
        return tuple(value)
    known = ", ".join(map(repr, SCHEDULES))
    raise SettingError(f"{name} is {brief_value(value)}; expected one of {known}, or a list of phases.")


def noise(net: Network, size: Pair, count: int, random: np.random.Generator) -> torch.Tensor:
    """The images that the authors' ascent of a class starts from, (count, C, H, W) in the network's units."""
    levels = random.normal(*_START, (count, net.pixels.channels, *size))
    return torch.from_numpy(levels.astype(np.float32)).to(net.device) - _mean(net)


def ascend(
    net: Network,
    layer: Layer,
    unit: int,
    start: torch.Tensor,
    phases: Sequence[Phase],
    *,
    position: Pair = (0, 0),
    seed: int = 0,
) -> Iterator[Ascent]:
    """Maximise a unit from some images by gradient steps that are each followed by denoising.

    Parameters
    ----------
    net : Network
        The network.
    layer : Layer
        The unit's layer.
    unit : int
        The unit.
    start : torch.Tensor
        (N, C, H, W) images in the network's units, of the size that the unit looks at.
    phases : sequence of Phase
        The schedule.
    position : tuple of int
        (row, column) of the unit on the layer's map for such an image.
    seed : int
        Of the crops' places.

    Yields
    ------
    Ascent
        After each step.
    """
    probe, mean, random = net.probe(layer.name), _mean(net), np.random.default_rng(seed)
    size = (start.shape[2], start.shape[3])
    scale = (size[0] * size[1]) ** 0.5 / _SIDE
    image, step, total = start.clone(), 0, sum(phase.steps for phase in phases)
    for phase in phases:
        image = _zoomed(image, phase.zoom)
        update = _inside(size, round(phase.margin * scale), image.device)
        of_probability = phase.softmax and has_class_units(net, layer)
        for i in range(phase.steps):
            places = [_place(image.shape[2:], size, phase.width, random) for _ in image]
            views = [one[:, a : a + size[0], b : b + size[1]] for one, (a, b) in zip(image, places, strict=True)]
            crops, objective = torch.stack(views), _Objective(layer, unit, position, of_probability)
            slope = input_gradient(net, layer.name, crops, objective, probe=probe).float() * update
            length = slope.abs().mean((1, 2, 3), keepdim=True)
            moved = crops + torch.where(length > 0, phase.rate_at(i) / length.clamp_min(1e-30), 0.0) * slope
            levels = (moved + mean).clamp(0, 255)
            # A total variation weighs against a squared difference as one over a length: small images keep detail.
            levels = _denoised(levels, phase.weight_at(i) / scale)
            for view, part in zip(views, levels - mean, strict=True):
                view.copy_(part)
            step += 1
            yield Ascent(step, total, _middle(image, size).clone(), objective.responses)


class _Objective:
    """What is maximised of a layer's activations; keeps the unit's responses.

    Of a probability it is the logarithm: its gradient has the same direction, also where the probability rounds to 0.
    """

    def __init__(self, layer: Layer, unit: int, position: Pair, of_probability: bool):
        self.layer, self.unit, self.position, self.of_probability = layer, unit, position, of_probability
        self.responses = torch.zeros(0, dtype=torch.float32)

    def __call__(self, activations: torch.Tensor) -> torch.Tensor:
        scores = as_maps(activations, self.layer)[:, :, self.position[0], self.position[1]].float()
        self.responses = scores[:, self.unit].detach()
        return (scores.log_softmax(1) if self.of_probability else scores)[:, self.unit]


def _mean(net: Network) -> torch.Tensor:
    return torch.tensor(net.pixels.mean, dtype=torch.float32, device=net.device).view(1, -1, 1, 1)


def _zoomed(image: torch.Tensor, zoom: float) -> torch.Tensor:
    """Images enlarged by a cubic spline through their pixels."""
    if zoom == 1:
        return image
    from scipy.ndimage import zoom as spline

    larger = spline(image.double().cpu().numpy(), (1, 1, zoom, zoom))
    return torch.from_numpy(larger).to(image)


def _inside(size: Pair, margin: int, device: torch.device) -> torch.Tensor:
    """1 where a crop may change, 0 in its margin, (H, W)."""
    margin = min(margin, (min(size) - 1) // 2)
    inside = torch.zeros(size, dtype=torch.float32, device=device)
    inside[margin : size[0] - margin, margin : size[1] - margin] = 1
    return inside


def _place(shape: Sequence[int], size: Pair, width: float, random: np.random.Generator) -> Pair:
    """The (top, left) of a random crop near the middle; (0, 0) where there is no room."""
    rooms = [whole - side for whole, side in zip(shape, size, strict=True)]
    top, left = (int(np.clip(random.normal(room / 2, room * width), 0, room)) if room else 0 for room in rooms)
    return top, left


def _middle(image: torch.Tensor, size: Pair) -> torch.Tensor:
    top, left = ((image.shape[a + 2] - size[a]) // 2 for a in (0, 1))
    return image[:, :, top : top + size[0], left : left + size[1]]


def _denoised(levels: torch.Tensor, weight: float) -> torch.Tensor:
    """Images in 0..255 after total variation denoising by split Bregman iterations."""
    from skimage.restoration import denoise_tv_bregman

    images = levels.permute(0, 2, 3, 1).double().cpu().numpy()
    found = [
        denoise_tv_bregman(one, weight=weight, max_num_iter=_ITERATIONS, eps=_CHANGE, channel_axis=-1) for one in images
    ]
    denoised = np.stack(found).reshape(images.shape)  # of one grey channel the axis is left out
    return torch.from_numpy(denoised).permute(0, 3, 1, 2).to(levels)
