"""Safetensors files whose metadata describes the network: architecture, pixels, input_size and labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from ...errors import WeightsError, brief
from ...network import Network, Pixels
from ...network.tensor_file import read_safetensors
from ..architectures.build import build, check, fill

_REQUIRED = ("architecture", "pixels", "input_size", "labels")
_LARGEST = 1024  # pixels a side
_MOST_LABELS = 50_000
_LONGEST = 1000  # letters of a label
_OUR_WEIGHTS = Path(__file__).parents[1] / "weights"


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
    labels = _labels(metadata["labels"], path.name)
    try:
        size = int(metadata["input_size"])
        if not 0 < size <= _LARGEST:
            raise ValueError(f"input_size {size}")
    except ValueError as error:
        raise WeightsError(
            f"{path.name!r}: input_size cannot be read ({brief(error)[:100]}); expected a number from 1 to {_LARGEST}."
        ) from error
    pixels = Pixels.from_json(metadata["pixels"])
    with torch.device("meta"):  # takes no memory: a small file may name a network, or a number of labels, of any size
        planned = build(metadata["architecture"], len(labels), tensors).eval()
    tensors = check(planned.state_dict(), tensors, path.name, metadata["architecture"])
    if path.parent != _OUR_WEIGHTS:  # the first operation on the meta device imports PyTorch's compiler: over a second
        _check_runs(planned, pixels.channels, size, path.name)
    module = fill(build(metadata["architecture"], len(labels), tensors), tensors, path.name)
    return Network(module, size=size, pixels=pixels, labels=labels, name=name)


def _labels(text: str, file: str) -> list[str]:
    """The labels in a file's metadata. Raises WeightsError."""
    try:
        labels = json.loads(text)
        if not isinstance(labels, list) or not all(isinstance(label, (str, int)) for label in labels):
            raise ValueError(f"it begins with {text[:20]!r}")
        if not 0 < len(labels) <= _MOST_LABELS or max(len(str(label)) for label in labels) > _LONGEST:
            raise ValueError(f"{len(labels)} labels, {len(text)} letters")
    except (ValueError, RecursionError) as error:
        raise WeightsError(
            f"{file!r}: labels cannot be read ({brief(error)[:99]}); expected a JSON list of 1 to {_MOST_LABELS} names."
        ) from error
    return [str(label) for label in labels]


def _check_runs(planned: torch.nn.Module, channels: int, size: int, file: str) -> None:
    """Raise WeightsError unless a module on the meta device takes images of a size."""
    try:
        with torch.no_grad():
            planned(torch.zeros(1, channels, size, size, dtype=torch.float32, device="meta"))
    except NotImplementedError:
        return  # an operation that only runs on numbers
    except Exception as error:
        raise WeightsError(
            f"{file!r}: the network does not take images of {channels} x {size} x {size} ({brief(error)[:120]}); "
            "expected the pixels and the input_size that it was trained with."
        ) from error
