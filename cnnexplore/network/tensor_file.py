"""Tensors with metadata in a safetensors file: whole or refused when read, replaced at once when written."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save

from ..errors import WeightsError, brief


def read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors and the metadata of a file. Raises WeightsError if it is cut short or something else."""
    try:
        with safe_open(path, "pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception as error:  # what the library raises for a damaged header is of many kinds
        raise WeightsError(
            f"{path.name!r} is not a whole safetensors file ({brief(error)}); fetch or save it again."
        ) from error


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a file, without its tensors. Raises WeightsError as `read_safetensors`."""
    try:
        with safe_open(path, "pt") as file:
            return file.metadata() or {}
    except Exception as error:
        raise WeightsError(
            f"{path.name!r} is not a whole safetensors file ({brief(error)}); fetch or save it again."
        ) from error


def write_safetensors(tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write a file whose bytes follow from its contents; one that is there is replaced at once, when all is written.

    safetensors itself writes the metadata in another order each time.
    """
    data = save(dict(tensors), dict(metadata))
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(len(text).to_bytes(8, "little") + text + data[8 + length :])
        os.chmod(part, 0o644)  # a temporary file is readable for its owner only
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
