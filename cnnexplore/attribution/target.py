"""Target: what is explained, one number per image - a class's score, or the response of a unit of any layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ..errors import NetworkError, SettingError
from ..network import (
    Layer,
    Network,
    Probe,
    as_maps,
    has_class_units,
    input_gradient,
    resolve_position,
    resolve_units,
    unit_name,
)


class Target:
    """The response of one unit to each image of a batch.

    Parameters
    ----------
    net : Network
        The network.
    x : torch.Tensor
        (N, C, H, W) images in the units of `Network.pixels_of`; float64 where the module is.
    layer : str
        The layer of the units.
    units : sequence of int or None
        N units; None: the one with the largest activation, which of the class scores is the predicted class.
    positions : sequence of (int, int) or None
        N positions (row, column) on the layer's map; None: where the unit's activation is largest.

    Attributes
    ----------
    scores : torch.Tensor or None
        (N,), the responses; None until `evaluate` or `gradient` was called.
    """

    def __init__(
        self,
        net: Network,
        x: torch.Tensor,
        layer: str,
        units: Sequence[int | None],
        positions: Sequence[tuple[int, int] | None],
    ):
        self.net = net
        self.x = x.double() if net.dtype == torch.float64 else x
        self.layer: Layer = net.layers[layer]
        self._units, self._positions = list(units), list(positions)
        self.scores: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    @property
    def units(self) -> list[int]:
        """N units; known once the target is evaluated."""
        return [unit for unit in self._units if unit is not None]

    @property
    def positions(self) -> list[tuple[int, int]]:
        """N positions (row, column); known once the target is evaluated."""
        return [position for position in self._positions if position is not None]

    @cached_property
    def probe(self) -> Probe:
        """A probe of the layer."""
        return self.net.probe(self.layer.name)

    def evaluate(self) -> torch.Tensor:
        """The responses (N,), by a pass if there was none; chooses the units and positions that were left open."""
        if self.scores is None:
            fed = self.net.feed(self.x)
            with torch.no_grad():
                self.resolve(self.probe(fed)[self.layer.name])
        assert self.scores is not None
        return self.scores

    def resolve(self, activations: torch.Tensor) -> None:
        """Chooses the units and positions that were left open, and keeps the responses.

        Parameters
        ----------
        activations : torch.Tensor
            The layer's activations of x, as the module computes them.
        """
        maps = as_maps(activations.detach(), self.layer)
        for n, one in enumerate(maps.flatten(2)):
            unit = self._units[n]
            if unit is None:
                unit = self._units[n] = int(one.amax(1).argmax())
            if self._positions[n] is None:
                self._positions[n] = divmod(int(one[unit].argmax()), maps.shape[3])
        self.scores = self.response(activations.detach())

    def response(self, activations: torch.Tensor, image: int | None = None) -> torch.Tensor:
        """The number that is explained, read from activations.

        Parameters
        ----------
        activations : torch.Tensor
            M activations of the layer, as the module computes them.
        image : int, optional
            The image that all M are variants of; by default they are those of the N images, in order.

        Returns
        -------
        torch.Tensor
            (M,).
        """
        maps = as_maps(activations, self.layer)
        which = range(len(maps)) if image is None else [image] * len(maps)
        unit = torch.tensor([self.units[n] for n in which], device=maps.device)
        row, column = torch.tensor([self.positions[n] for n in which], device=maps.device).unbind(1)
        return maps[torch.arange(len(maps), device=maps.device), unit, row, column]

    def gradient(self, rule: str = "gradient") -> torch.Tensor:
        """The derivative of each image's response with respect to x.

        Parameters
        ----------
        rule : str
            The backward rule of rectifiers, one of `cnnexplore.network.RULES`.

        Returns
        -------
        torch.Tensor
            (N, C, H, W).
        """

        def response(activations: torch.Tensor) -> torch.Tensor:
            if self.scores is None:
                self.resolve(activations)
            return self.response(activations)

        return input_gradient(self.net, self.layer.name, self.x, response, rule=rule, probe=self.probe)

    def split(self) -> list[Target]:
        """A target for each image; they share the probe."""
        self.evaluate()
        parts = []
        for n in range(len(self)):
            one = Target(self.net, self.x[n : n + 1], self.layer.name, [self.units[n]], [self.positions[n]])
            one.scores = self.evaluate()[n : n + 1]
            one.__dict__["probe"] = self.probe
            parts.append(one)
        return parts

    def name(self, n: int) -> str:
        """What is explained, in words.

        Parameters
        ----------
        n : int
            The image.

        Returns
        -------
        str
            A class label such as "tench", or "unit 7 of conv4 at (3, 2)".
        """
        name = unit_name(self.net, self.layer, self.units[n])
        if self.layer.name == self.net.scores.name and has_class_units(self.net, self.layer):
            return name
        where = f" at {self.positions[n]}" if self.layer.has_map else ""
        return f"{name} of {self.layer.name}{where}"


def is_several(value: object) -> bool:
    """Whether a target or unit is a list of them: a list, tuple, range, or an array of one dimension."""
    if isinstance(value, (np.ndarray, torch.Tensor)):
        return value.ndim > 0
    return isinstance(value, Sequence) and not isinstance(value, str)


def resolve_target(
    net: Network, image: Any, target: Any = None, *, layer: str | None = None, unit: Any = None, position: Any = None
) -> Target:
    """The target that the arguments of `attribute` describe.

    Parameters
    ----------
    net : Network
        The network.
    image : image or list of images
        What `Network.pixels_of` takes.
    target : int, str, sequence or None
        A class by number or label, or several; None: the predicted class.
    layer : str, optional
        With `unit`, the layer of the unit to explain in place of a class.
    unit : int, str or sequence, optional
        A unit of the layer, or several.
    position : (int, int), optional
        (row, column) of the unit on the layer's map.

    Returns
    -------
    Target
        Of as many images as there are images or targets; one image goes with all targets, one target with all images.

    Raises
    ------
    SettingError
        If the arguments contradict each other, or name no class, unit or position.
    NetworkError
        If the network ends in a map and no unit is named.
    LayerNotFound
        If there is no such layer.
    """
    if target is not None and (layer is not None or unit is not None or position is not None):
        raise SettingError(
            "a target and a unit were both given; give a class as target=, or layer= and unit=, not both."
        )
    if (layer is None) != (unit is None):
        given, missing = ("layer", "unit") if unit is None else ("unit", "layer")
        raise SettingError(
            f"{given} was given without {missing}; a unit to explain needs both (the layer at which Grad-CAM looks "
            "is at=)."
        )
    if position is not None and layer is None:
        raise SettingError("position was given without a unit; give layer= and unit= with it.")
    where = net.scores if layer is None else net.layers[layer]
    if layer is None and where.has_map:
        raise NetworkError(
            f"{net.name} ends in a map of {where.size[0]} x {where.size[1]}, not in one score per class; name a unit "
            "with layer= and unit=."
        )
    asked = unit if layer is not None else target
    units: list[int | None]
    if asked is None:
        units = [None]
    elif isinstance(asked, (list, tuple)) and None in asked:
        units = [None if one is None else resolve_units(net, where, [one])[0] for one in asked]
    else:
        units = list(resolve_units(net, where, asked))
    x = net.pixels_of(image)
    count = max(len(x), len(units))
    if len(x) not in (1, count) or len(units) not in (1, count):
        raise SettingError(f"{len(x)} images and {len(units)} targets were given; expected one of either, or as many.")
    place = None if position is None else resolve_position(where, position)
    return Target(net, x.expand(count, -1, -1, -1), where.name, units * (count // len(units)), [place] * count)
