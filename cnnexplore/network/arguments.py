"""Checks of the arguments that many public functions share: a network, the name of a layer, and a device."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import nn

from ..errors import NetworkError, brief_value
from .network import Network, layer_name

__all__ = ["compute_device", "layer_name", "network"]


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


def compute_device(name: str, value: Any) -> torch.device:
    """A device that can be used, "auto" for the fastest one. Raises NetworkError."""
    if isinstance(value, str) and value == "auto":
        value = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    expected = "expected 'auto', 'cpu', 'cuda' or 'mps'."
    try:
        if not isinstance(value, (str, torch.device)):
            raise TypeError("neither a name nor a device")
        chosen = torch.device(value)
    except (RuntimeError, TypeError) as error:
        raise NetworkError(f"{name} is {brief_value(value)}; {expected}") from error
    try:
        # Whether a device can be used is known for certain only by using it: drivers and numbers of GPUs differ.
        torch.zeros(1, device=chosen).cpu()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        usable = [one for one in ("cuda", "mps") if getattr(torch, one).is_available()]
        there = f"what can is {', '.join(map(repr, ['cpu', *usable]))}"
        raise NetworkError(
            f"{name} is {brief_value(value)}, which cannot be used on this computer; {there}."
        ) from error
    return chosen
