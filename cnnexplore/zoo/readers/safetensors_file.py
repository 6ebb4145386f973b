"""Safetensors files whose metadata describes the network: architecture, pixels, input_size and labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from ...errors import WeightsError
from ...network import Network, Pixels
from ..architectures.build import build, fill

_REQUIRED = ("architecture", "pixels", "input_size", "labels")
_LARGEST = 4096  # pixels a side


def read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a file. Raises WeightsError if it is cut short or something else."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path.name!r} is not a whole safetensors file ({error}); fetch or save it again."
        ) from error


def stated_architecture(path: Path) -> str | None:
    """The architecture in the metadata of a .safetensors file; None for another file or one without metadata."""
    return read_safetensors(path)[1].get("architecture") if path.suffix == ".safetensors" and path.is_file() else None


def read_described(path: Path, name: str, part: str = "") -> Network:
    """The network that a file describes. Raises WeightsError, or NetworkError for an unknown architecture.

    part: one of several networks in a file whose tensors are named part/tensor.
    """
    tensors, metadata = read_safetensors(path)
    if part:
        tensors = {key.split("/", 1)[1]: value for key, value in tensors.items() if key.startswith(part + "/")}
    return _network(as_float32(tensors), metadata, path, name)


def as_float32(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The floating-point tensors as float32, the others as they are."""
    return {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}


def _network(tensors: dict[str, torch.Tensor], metadata: dict[str, str], path: Path, name: str) -> Network:
    missing = [key for key in _REQUIRED if key not in metadata]
    if missing:
        raise WeightsError(
            f"{path.name!r} has no {missing[0]!r} in its metadata, so it does not say what it is; "
            f"give cx.load(name, weights={str(path)!r})."
        )
    try:
        labels = [str(label) for label in json.loads(metadata["labels"])]
        size = int(metadata["input_size"])
        if not 0 < size <= _LARGEST:
            raise ValueError(f"input_size {size}")
    except (TypeError, ValueError) as error:
        raise WeightsError(
            f"{path.name!r}: labels or input_size cannot be read ({error}); expected a JSON list and a number."
        ) from error
    module = fill(build(metadata["architecture"], len(labels), tensors), tensors, path.name)
    return Network(module, size=size, pixels=Pixels.from_json(metadata["pixels"]), labels=labels, name=name)
