"""What a maximisation is about: units or a direction of a layer, as weights of its activation, with their scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..arguments import array
from ..errors import SettingError
from ..network import Layer, Network, as_maps, from_maps, has_class_units, resolve_units, unit_name
from .pathways import PassModifier
from .responses import response_scales


class UnitTarget:
    """Weights of a layer's activation whose inner product is maximised.

    Parameters
    ----------
    net : Network
        The network.
    layer : Layer
        The layer.
    unit : int, str, a list or integer array of them, or None
        A channel, or a class by its label; None for all units.
    direction : array or None
        (C,) or (C, h, w) weights in place of a unit.
    place : tuple of int or None
        (row, column) of the unit on the map for an image of the size.
    size : tuple of int
        (H, W) of the image.

    Attributes
    ----------
    units : list of int or None
        The units; [None] for a direction.
    unit : object
        What was given, as Python's own numbers and labels.
    weights : torch.Tensor
        (K, ...) of the activation's shape.

    Raises
    ------
    SettingError
        If the layer has no such unit, or the direction does not fit.
    """

    def __init__(
        self,
        net: Network,
        layer: Layer,
        unit: Any,
        direction: Any,
        place: tuple[int, int] | None,
        size: tuple[int, int],
    ) -> None:
        self.net, self.layer, self.unit = net, layer, unit
        with torch.no_grad():
            zeros = torch.zeros(1, net.pixels.channels, *size, device=net.device, dtype=torch.float32)
            shape = net.probe(layer.name)(net.feed(zeros))[layer.name].shape
        self.units: list[int | None]
        if direction is not None:
            self.weights = _weights(direction, layer, shape, net.device)
            self.units = [None]
            return
        maps = as_maps(zeros.new_empty(shape), layer).shape
        units = resolve_units(net, layer, unit)
        self.units = list(units)
        several = unit is None or np.ndim(unit) > 0
        given = units if unit is None else list(unit) if several else [unit]
        named = [one if isinstance(one, str) else number for one, number in zip(given, units, strict=True)]
        self.unit = named if several else named[0]
        weights = torch.zeros(len(units), *maps[1:], device=net.device, dtype=torch.float32)
        row, column = place or (0, 0)
        for k, one in enumerate(units):
            weights[k, one, row, column] = 1
        self.weights = from_maps(weights, layer, shape[1:])

    def scales(
        self, M: float | None, pathway: PassModifier | Sequence[PassModifier | None] | None, images: Any
    ) -> torch.Tensor:
        """The response that counts as 1: M, or the largest one to images; of a direction its squared length."""
        if M is not None:
            return torch.as_tensor(M, dtype=torch.float32)
        if self.units == [None]:
            return self.weights.square().sum().cpu()
        return response_scales(self.net, self.layer.name, [u for u in self.units if u is not None], pathway, images)

    @staticmethod
    def words(net: Network, layer: Layer, unit: int | None) -> str:
        """What the image of a unit shows, in words."""
        if unit is None:
            return f"the given direction at {layer.name}"
        label = f" ({unit_name(net, layer, unit)})" if has_class_units(net, layer) else ""
        return f"unit {unit} of {layer.name}{label}"


def _weights(direction: Any, layer: Layer, shape: torch.Size, device: torch.device) -> torch.Tensor:
    """The weights of a direction, (1, ...); one number per channel counts at every position."""
    expected = f"numbers that broadcast to {' x '.join(map(str, shape[1:]))}, some of them not 0"
    weights = torch.from_numpy(array("direction", direction, expected)).to(device)
    try:
        if not weights.dim():
            raise ValueError("a single number is no direction")
        if weights.dim() == 1 and layer.has_map and len(weights) == layer.channels:
            maps = as_maps(torch.empty(shape, device="meta"), layer).shape
            weights = from_maps(weights[None, :, None, None].expand(maps), layer, shape[1:])[0]
        weights = weights.reshape(shape[1:]) if weights.numel() == math.prod(shape[1:]) else weights.expand(shape[1:])
    except (ValueError, RuntimeError) as error:
        raise SettingError(f"direction does not fit; expected {expected}.") from error
    if not bool(weights.any()):
        raise SettingError(f"direction is zero; expected {expected}.")
    return weights[None]
