"""A weights file of any kind: its suffix decides which reader reads it."""

from __future__ import annotations

from pathlib import Path

import torch

from ...errors import WeightsError
from ...network import Network
from ...network.tensor_file import read_safetensors
from . import matconvnet
from .safetensors_file import as_float32, read_described
from .state_dict import read_state_dict

SUFFIXES = (".safetensors", ".mat", ".pth", ".pt")


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors, .mat or .pth file as float32. Raises WeightsError."""
    _check_exists(path)
    if path.suffix == ".safetensors":
        return as_float32(read_safetensors(path)[0])
    if path.suffix.lower() == ".mat":
        return matconvnet.read_network(path, path.stem).module.state_dict()
    return as_float32(read_state_dict(path))


def read_network(path: Path, name: str) -> Network:
    """The network of a MatConvNet .mat file, or of a .safetensors file that describes itself. Raises WeightsError."""
    _check_exists(path)
    if path.suffix.lower() == ".mat":
        return matconvnet.read_network(path, name)
    if path.suffix != ".safetensors":
        raise WeightsError(
            f"{path.name!r} does not say which network it is for; give cx.load(name, weights={str(path)!r})."
        )
    return read_described(path, name)


def _check_exists(path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"there is no weights file {str(path)!r}; check the path.")
