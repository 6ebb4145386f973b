"""Checks of the arguments that nearly all public functions share: a network, and the name of a layer."""

from __future__ import annotations

import os
from typing import Any

from torch import nn

from ..errors import NetworkError, brief_value
from .network import Network, layer_name

__all__ = ["layer_name", "network"]


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


def _shown(value: Any) -> str:
    return f"a {type(value).__name__}" if isinstance(value, nn.Module) else brief_value(value)
