"""State dicts that torch.save wrote (.pth, .pt), read without running code."""

from __future__ import annotations

from pathlib import Path

import torch

from ...errors import WeightsError


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a state dict, or of the entry "state_dict" of a checkpoint. Raises WeightsError."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(
            f"{path.name!r} is not a plain state dict that can be read without running code; "
            "save it with torch.save(module.state_dict(), ...)."
        ) from error
    state = state.get("state_dict", state) if isinstance(state, dict) else None
    if not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise WeightsError(f"{path.name!r} holds no state dict; expected names and tensors.")
    return state
