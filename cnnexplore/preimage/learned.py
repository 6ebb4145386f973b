"""Learned inversion: the image that a trained decoder makes of an activation, in one forward pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from ..errors import SettingError
from ..generators import Inverter, find_inverter
from ..network import Network
from ..results import image_to_python, value_to_python
from .result import PreImage

METHODS = ("optimization", "learned")


def learned_start(net: Network, layer: str, activation: torch.Tensor, inverter: Inverter | None) -> torch.Tensor:
    """The images that the layer's inverter makes of activations (N, ...), (N, C, H, W). Raises LayerError."""
    return find_inverter(net, layer, inverter).images(net, activation)


def check_unused(way: str, why: str, given: dict[str, tuple[Any, Any]]) -> None:
    """Raise SettingError for a setting that differs from its default: name -> (value, default)."""
    wrong = [
        name
        for name, (value, default) in given.items()
        if value is not None and (default is None or type(value) is not type(default) or value != default)
    ]
    if wrong:
        raise SettingError(f"{wrong[0]} has no effect with {way}: {why}; omit it.")


def as_learned(
    made: PreImage | Sequence[PreImage], net: Network, image: Any, layer: str, inverter: Any
) -> PreImage | list[PreImage]:
    """The results of a run that took no step from the learned start, with the Python of `method="learned"`."""
    python = f"cx.invert({net.to_python()}, {image_to_python(image)}, {layer!r}, method='learned'"
    python += f", inverter={inverter_to_python(inverter)})" if inverter is not None else ")"
    if isinstance(made, PreImage):
        return replace(made, python=python)
    return [replace(one, python=f"{python}[{k}]") for k, one in enumerate(made)]


def inverter_to_python(inverter: Any) -> str:
    """The Python of an argument `inverter`: a path, or the name `inverter`."""
    return value_to_python(str(inverter)) if not isinstance(inverter, Inverter) else "inverter"
