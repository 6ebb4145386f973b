"""Decoders: up-convolutional networks from the activations of a layer to an image."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from ..arguments import number, whole
from ..errors import SettingError, WeightsError, brief, brief_value
from ..network.precision import float32_by_default

RESOLUTION = 96  # pixels a side that a decoder computes at most, before it resizes
_WIDTHS = (4.0, 3.0, 2.0, 1.5, 1.0)  # channels before each of the last five up-convolutions, over the width
_START = 3  # the least side of the map that a vector is turned into
_DEGREE = 64.0  # of 0..255, the decoder's unit: about the standard deviation of natural images
_SIDE, _CHANNELS, _HIDDEN = 1024, 65_536, 16_384  # the largest that a file may ask for
_NUMBERS = 200_000_000


@dataclass(frozen=True)
class Plan:
    """The shape of a decoder.

    Attributes
    ----------
    channels : int
        Units of the layer.
    map : tuple of int
        (rows, columns) of its map; (1, 1) for a vector.
    image : tuple of int
        (C, H, W) of the image.
    start : tuple of int
        (rows, columns) of the map before the first up-convolution.
    doublings : int
        How many up-convolutions there are; each doubles the map. The last one's result is resized to the image.
    width : int
        Channels before the last up-convolution.
    hidden : int
        Units of the fully connected layers that a vector passes.
    slope : float
        Of the leaky rectifiers below zero.
    smoothed : int
        Channels after the last up-convolution, which a convolution of 3 x 3 turns into the image: it removes the grid
        that up-convolutions leave. 0: the last up-convolution makes the image itself.
    """

    channels: int
    map: tuple[int, int]
    image: tuple[int, int, int]
    start: tuple[int, int]
    doublings: int
    width: int = 32
    hidden: int = 256
    slope: float = 0.2
    smoothed: int = 0

    def __post_init__(self) -> None:
        count = whole(1, _CHANNELS, "a number of channels")
        side = whole(1, _SIDE, f"a number of pixels up to {_SIDE}")
        count("channels", self.channels), count("the image's channels", self.image[0])
        for value in (*self.map, *self.image[1:], *self.start):
            side("a side", value)
        whole(0, 10, "how many up-convolutions")("doublings", self.doublings)
        whole(1, 1024, "channels")("width", self.width), whole(1, _HIDDEN, "units")("hidden", self.hidden)
        number(0, 1, "the slope of a rectifier")("slope", self.slope)
        whole(0, 1024, "channels")("smoothed", self.smoothed)
        if max(self.start) << self.doublings > 2 * _SIDE or (self.is_map and self.start != self.map):
            raise SettingError(f"{self} is no shape of a decoder; make one with plan_for.")
        if self.numbers > _NUMBERS:
            raise SettingError(f"a decoder of {self.numbers} numbers is too large; give a smaller width or hidden.")

    @property
    def is_map(self) -> bool:
        """Whether the layer has a map."""
        return max(self.map) > 1

    @property
    def widths(self) -> list[int]:
        """Channels before each up-convolution."""
        factors = [*[_WIDTHS[0]] * self.doublings, *_WIDTHS][-self.doublings :] if self.doublings else []
        return [max(round(self.width * factor), 1) for factor in factors]

    @property
    def numbers(self) -> int:
        """About how many weights there are."""
        widths = [*self.widths, self.smoothed or self.image[0]]
        first = widths[0] if self.doublings else self.width
        up = sum(16 * a * b for a, b in pairwise(widths))
        if self.is_map:
            return up + 9 * (self.channels * first + first * first)
        return up + self.hidden * (self.channels + self.hidden + first * math.prod(self.start))

    def to_json(self) -> str:
        """JSON for a weights file."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The plan in a weights file. Raises WeightsError if the text is none."""
        try:
            found: dict[str, Any] = json.loads(text)
            found |= {name: tuple(found[name]) for name in ("map", "image", "start")}
            if [len(found[name]) for name in ("map", "image", "start")] != [2, 3, 2]:
                raise ValueError("sides are missing")
            return cls(**found)
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise WeightsError(
                f"the plan of a decoder is {brief_value(text)} ({brief(error)[:100]}); expected the JSON that "
                "cnnexplore train inverter writes."
            ) from error


def plan_for(
    channels: int,
    map_size: tuple[int, int],
    image: tuple[int, int, int],
    *,
    resolution: int = RESOLUTION,
    width: int = 32,
    hidden: int = 256,
    slope: float = 0.2,
    smoothed: int = 0,
) -> Plan:
    """The shape of a decoder from a layer to an image.

    A map is doubled as often as it fits into the image. A vector becomes a map of three or more cells a side first.

    Parameters
    ----------
    channels : int
        Units of the layer.
    map_size : tuple of int
        (rows, columns) of its map; (1, 1) for a vector.
    image : tuple of int
        (C, H, W) of the image.
    resolution : int
        Pixels of the longer side that is computed at most, before it is resized to the image.
    width, hidden, slope, smoothed
        As in `Plan`.

    Returns
    -------
    Plan
        The shape.

    Examples
    --------
    >>> from cnnexplore.generators import plan_for
    >>> plan_for(256, (1, 1), (3, 96, 96)).start, plan_for(96, (6, 6), (3, 96, 96)).doublings
    ((3, 3), 4)
    """
    whole(4, _SIDE, "a number of pixels")("resolution", resolution)
    size = image[1:]
    scale = min(1.0, resolution / max(size))
    if max(map_size) > 1:
        start = map_size
        doublings = max(0, math.floor(math.log2(scale * max(size) / max(map_size)) + 1e-9))
    else:
        doublings = max(0, math.floor(math.log2(scale * max(size) / _START) + 1e-9))
        rows, columns = (max(1, round(scale * side / 2**doublings)) for side in size)
        start = rows, columns
    return Plan(channels, map_size, image, start, doublings, width, hidden, slope, smoothed if doublings else 0)


class Decoder(nn.Module):
    """Fully connected layers or convolutions, then up-convolutions of 4 x 4 with a stride of 2, leaky rectified.

    Parameters
    ----------
    plan : Plan
        The shape.
    normalised : bool
        Whether batch normalisation follows each layer but the last, as during training; `folded` removes it.
    """

    @float32_by_default()
    def __init__(self, plan: Plan, normalised: bool = False):
        super().__init__()
        self.plan = plan
        parts: OrderedDict[str, nn.Module] = OrderedDict()

        def add(name: str, part: nn.Module, units: int, norm: type[nn.Module]) -> None:
            parts[name] = part
            if normalised:
                parts[f"bn_{name}"] = norm(units)
            parts[f"relu_{name}"] = nn.LeakyReLU(plan.slope)

        widths = plan.widths or [plan.width]
        if plan.is_map:
            add("conv1", nn.Conv2d(plan.channels, widths[0], 3, padding=1), widths[0], nn.BatchNorm2d)
            add("conv2", nn.Conv2d(widths[0], widths[0], 3, padding=1), widths[0], nn.BatchNorm2d)
        else:
            units = widths[0] * math.prod(plan.start)
            parts["flatten"] = nn.Flatten()
            add("fc1", nn.Linear(plan.channels, plan.hidden), plan.hidden, nn.BatchNorm1d)
            add("fc2", nn.Linear(plan.hidden, plan.hidden), plan.hidden, nn.BatchNorm1d)
            add("fc3", nn.Linear(plan.hidden, units), units, nn.BatchNorm1d)
            parts["reshape"] = nn.Unflatten(1, (widths[0], *plan.start))
        for k, (a, b) in enumerate(pairwise(widths), start=1):
            add(f"up{k}", nn.ConvTranspose2d(a, b, 4, 2, 1), b, nn.BatchNorm2d)
        last = widths[-1]
        if plan.smoothed and plan.doublings:
            add(f"up{plan.doublings}", nn.ConvTranspose2d(last, plan.smoothed, 4, 2, 1), plan.smoothed, nn.BatchNorm2d)
            parts["image"] = nn.Conv2d(plan.smoothed, plan.image[0], 3, padding=1)
        elif plan.doublings:
            parts[f"up{plan.doublings}"] = nn.ConvTranspose2d(last, plan.image[0], 4, 2, 1)
        else:
            parts["image"] = nn.Conv2d(last, plan.image[0], 3, padding=1)
        self.parts = nn.Sequential(parts)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Images of standardised activations.

        Parameters
        ----------
        maps : torch.Tensor
            (N, channels, rows, columns), each unit with a mean of 0 and a deviation of 1 over natural images.

        Returns
        -------
        torch.Tensor
            (N, C, H, W), 0..255 with the mean subtracted.
        """
        out = self.parts(maps).float() * _DEGREE
        size = self.plan.image[1:]
        return out if out.shape[-2:] == size else F.interpolate(out, size, mode="bilinear", align_corners=False)


def folded(trained: Decoder) -> Decoder:
    """The decoder without normalisation, which computes what the trained one does in evaluation mode.

    Parameters
    ----------
    trained : Decoder
        A decoder with batch normalisation.

    Returns
    -------
    Decoder
        Each layer with weights has absorbed the normalisation after it.
    """
    plain = Decoder(trained.plan).eval()
    parts = dict(trained.eval().parts.named_children())
    state: dict[str, torch.Tensor] = {}
    for name, part in parts.items():
        norm = parts.get(f"bn_{name}")
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d)) and isinstance(norm, nn.BatchNorm2d):
            part = fuse_conv_bn_eval(part, norm, transpose=isinstance(part, nn.ConvTranspose2d))
        elif isinstance(part, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
            part = fuse_linear_bn_eval(part, norm)
        if isinstance(part, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) and part.bias is not None:
            state |= {f"parts.{name}.weight": part.weight.detach(), f"parts.{name}.bias": part.bias.detach()}
    plain.load_state_dict(state)
    return plain
