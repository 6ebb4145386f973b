"""Subject: what is explained, one number per image: a class's score, or the response of any unit of any layer."""

from __future__ import annotations

from functools import cached_property

import torch

from ..errors import NetworkError, SettingError
from ..network import Layer, Network, Probe, as_maps, resolve_position, resolve_unit, unit_name


class Subject:
    """The response of one unit to each image of a batch.

    x: (N, C, H, W), in the units of `Network.pixels_of`. layer: of the units. units: N channels, or None for the
    channel that responds most (of the class scores: the predicted class). positions: N (row, column), or None for the
    place where the channel responds most.
    """

    def __init__(self, net: Network, x: torch.Tensor, layer: str, units: list, positions: list):
        self.net = net
        self.x = x.double() if net._dtype == torch.float64 else x
        self.layer: Layer = net.layers[layer]
        self.units, self.positions = units, positions
        self.scores: torch.Tensor | None = None  # (N,), once the images were seen

    @cached_property
    def probe(self) -> Probe:
        return self.net.probe(self.layer.name)

    def fed(self) -> torch.Tensor:
        """What the module is given for x."""
        return self.net.feed(self.x)

    def resolve(self, code: torch.Tensor) -> None:
        """Chooses what was left open, from the layer's code of x."""
        flat = self._flat(code.detach())
        for n, one in enumerate(flat):
            if self.units[n] is None:
                self.units[n] = int(one.amax(1).argmax())
            if self.positions[n] is None:
                self.positions[n] = divmod(int(one[self.units[n]].argmax()), self._width(code))
        self.scores = self.of(code.detach())

    def look(self) -> None:
        """Resolves with a pass of its own, if none was made."""
        if self.scores is None:
            with torch.no_grad():
                self.resolve(self.probe(self.fed())[self.layer.name])

    def of(self, code: torch.Tensor, image: int | None = None) -> torch.Tensor:
        """The subject's number for each code: (M,). image: which one all codes are variants of; None: code n of n."""
        flat = self._flat(code)
        which = range(len(code)) if image is None else [image] * len(code)
        unit = torch.tensor([self.units[n] for n in which], device=code.device)
        width = self._width(code)
        place = torch.tensor([self.positions[n][0] * width + self.positions[n][1] for n in which], device=code.device)
        return flat[torch.arange(len(code), device=code.device), unit, place]

    def _width(self, code: torch.Tensor) -> int:
        return as_maps(code, self.layer).shape[3]

    def _flat(self, code: torch.Tensor) -> torch.Tensor:
        """(N, C, positions), whatever the layout."""
        return as_maps(code, self.layer).flatten(2)

    def about(self, n: int) -> str:
        """What is explained, in words."""
        unit = self.units[n]
        name = unit_name(self.net, self.layer, unit)
        if self.layer.name == self.net.scores.name and self.net.labels and not self.layer.has_map:
            return name
        where = f" at {self.positions[n]}" if self.layer.has_map else ""
        return f"{name} of {self.layer.name}{where}"


def subject_of(net: Network, image, target=None, layer: str | None = None, unit=None, position=None) -> Subject:
    """The subject for what a caller asked; lists of images and of targets (or units) go together, or one with all.

    Raises SettingError, NetworkError, LayerNotFound.
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
    if layer is None and max(where.size) > 1:
        raise NetworkError(
            f"{net.name} ends in a map of {where.size[0]} x {where.size[1]}, not in one score per class; name a unit "
            "with layer= and unit=."
        )
    asked = unit if layer is not None else target
    several = list(asked) if isinstance(asked, (list, tuple)) else [asked]
    if not several:
        raise SettingError("an empty list of targets was given; expected at least one.")
    units = [None if one is None else resolve_unit(net, where, one) for one in several]
    x = net.pixels_of(image)
    count = max(len(x), len(units))
    if len(x) not in (1, count) or len(units) not in (1, count):
        raise SettingError(f"{len(x)} images and {len(units)} targets were given; expected one of either, or as many.")
    place = None if position is None else resolve_position(where, position)
    return Subject(net, x.expand(count, -1, -1, -1), where.name, units * (count // len(units)), [place] * count)
