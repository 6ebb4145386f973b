"""Checks of the arguments that nearly all public functions share: a network, and the name of a layer."""

from __future__ import annotations

import os
from typing import Any

from torch import nn

from ..errors import LayerNotFound, NetworkError, brief_value
from .network import Network


def network(name: str, value: Any) -> Network:
    """A Network. Raises NetworkError with the line that makes one of what was given."""
    if isinstance(value, Network):
        return value
    line = "cx.load('lenet'), or cx.Network(module, size=(224, 224)) of a module of your own"
    if isinstance(value, nn.Module):
        line = "cx.Network(module, size=(224, 224)), with the size of its images"
    elif isinstance(value, (str, os.PathLike)):
        line = f"cx.load({brief_value(value)})"
    raise NetworkError(f"{name} is {_shown(value)}; expected a Network: give {line}.")


def layer_name(name: str, value: Any) -> str:
    """The name of a layer, as a text. Raises LayerNotFound; `Layers` says whether there is such a layer."""
    if isinstance(value, str) and 0 < len(value) <= 200 and value.isprintable():
        return str(value)
    raise LayerNotFound(f"{name} is {_shown(value)}; expected the name of a layer, one of net.layers.")


def _shown(value: Any) -> str:
    return f"a {type(value).__name__}" if isinstance(value, nn.Module) else brief_value(value)
