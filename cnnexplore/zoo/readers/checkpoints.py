"""Checkpoints of a training as they ship: the convolutions of every kept step in one file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from ...errors import NetworkError, WeightsError, brief_list, brief_value
from ...network import Network
from ...network.tensor_file import write_safetensors
from .safetensors_file import read_described


def write_convolutions(checkpoints: dict[int, Path], out: Path) -> None:
    """Write the convolutions of several checkpoints, step -> file, into one file that describes itself."""
    kept: dict[str, torch.Tensor] = {}
    metadata: dict[str, str] = {}
    for step, path in checkpoints.items():
        if not path.is_file():
            raise WeightsError(f"there is no checkpoint {str(path)!r}; start the training again to make all of them.")
        tensors = load_file(path)
        kept.update({f"{step}/{name}": t for name, t in tensors.items() if name.startswith("conv")})
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
    write_safetensors(kept, out, metadata)


def steps(path: Path) -> list[int]:
    """The training steps that the file holds, in order."""
    with safe_open(path, "pt") as file:
        return sorted({int(name.split("/")[0]) for name in file.keys()})  # noqa: SIM118


def read_step(path: Path, name: str, step: str) -> Network:
    """The network after a training step, up to pool5. Raises NetworkError for a step that was not kept."""
    known = steps(path)
    if step not in map(str, known):
        raise NetworkError(
            f"{name} has no checkpoint of step {brief_value(step)}; expected one of {brief_list(known)}, "
            f"as in cx.load('{name}@{known[-1]}')."
        )
    return read_described(path, f"{name}@{step}", step)
