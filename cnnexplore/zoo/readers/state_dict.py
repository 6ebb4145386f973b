"""State dicts that torch.save wrote (.pth, .pt, .ckpt), alone or inside a checkpoint, read without running code."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ...errors import WeightsError, brief, brief_value

# What training programs call the weights in a checkpoint, the trained ones before averages of them.
_NAMES = (
    "state_dict", "model_state_dict", "model_state", "model", "module", "net_state_dict", "net", "network", "weights",
    "params", "state", "ema_state_dict", "state_dict_ema", "model_ema", "params_ema", "ema",
)  # fmt: skip
_DEEPEST = 4
_SPARE = 1_000_000  # bytes: what small tensors may take beyond the size of their file


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a state dict, or of the one that a checkpoint holds. Raises WeightsError."""
    _check_archive(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise _refusal(path, error) from error
    tensors = _state_of(content)
    if not tensors:
        raise WeightsError(f"{path.name!r} holds {_described(content)}, no state dict; expected names and tensors.")
    _check_sizes(path, tensors)
    return tensors


def _check_archive(path: Path) -> None:
    """Raise WeightsError for a script, and if parts are compressed or overlap: inflated they could be of any size."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, UnicodeDecodeError, EOFError):
        return  # an old file, or a damaged one: torch says which
    if any(part.filename.count("/") == 1 and part.filename.endswith("/constants.pkl") for part in parts):
        raise WeightsError(
            f"{path.name!r} is a TorchScript archive; load it with torch.jit.load and give cx.Network(module)."
        )
    size = path.stat().st_size
    packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
    if packed or sum(part.file_size for part in parts) > size:
        raise WeightsError(
            f"{path.name!r} is a compressed archive, which torch.save does not write; unpack it, or save the weights "
            "again."
        )


def _refusal(path: Path, error: Exception) -> WeightsError:
    text = str(error)
    kind = re.search(r"(?:GLOBAL|class|function|type) ([\w.]+\.\w+)", text)
    if "weights_only" in text.lower() or kind:
        what = f"objects of {kind[1]}" if kind else "Python objects"
        reason = (
            f"holds {what}, not only tensors, and cannot be read without running code; where you trust it, load it "
            "yourself and save torch.save(module.state_dict(), ...)."
        )
    else:
        reason = (
            f"is not a whole state dict that can be read without running code ({brief(error)[:120]}); fetch it again, "
            "or save it with torch.save(module.state_dict(), ...)."
        )
    return WeightsError(f"{path.name!r} {reason}")


def _state_of(content: Any, depth: int = 0) -> dict[str, torch.Tensor]:
    """The state dict in what a file holds; empty if there is none."""
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return {}
    tensors = {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, torch.Tensor)}
    inner = [name for name in _NAMES if isinstance(content.get(name), Mapping)]
    named = [*inner, *(k for k, v in content.items() if isinstance(v, Mapping) and k not in inner)]
    if tensors and any("." in name for name in tensors):
        return tensors
    for name in named:
        if name in ("optimizer", "optimizer_state_dict", "optimizer_states", "param_groups"):
            continue
        found = _state_of(content[name], depth + 1)
        if found:
            return found
    return tensors


def _described(content: Any) -> str:
    """What a file holds, in a few words."""
    if isinstance(content, Mapping):
        shown = ", ".join(f"{brief_value(key)}" for key in list(content)[:3])
        return f"a dict of {shown}{', ...' if len(content) > 3 else ''}" if content else "an empty dict"
    return f"a {type(content).__name__}"


def _check_sizes(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise WeightsError for tensors that are not plain, or that stand for more numbers than the file holds."""
    total = 0
    for name, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
            kind = "quantised" if tensor.is_quantized else "without numbers" if tensor.is_meta else "sparse"
            raise WeightsError(f"{path.name!r}: tensor {name[:80]!r} is {kind}; expected dense numbers.")
        size = tensor.numel() * tensor.element_size()
        total += size
        if size > tensor.untyped_storage().nbytes() or total > 2 * path.stat().st_size + _SPARE:
            raise WeightsError(
                f"{path.name!r}: tensor {name[:80]!r} of shape {tuple(tensor.shape)} repeats its numbers, and would "
                "take more memory than the file; save a copy of it: tensor.clone()."
            )
