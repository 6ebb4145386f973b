"""The canvas of a run: which of its pixels may change, and its border for jitter."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from ..errors import SettingError


def read_update_mask(update_mask, shape: torch.Size, device: torch.device) -> torch.Tensor:
    """An update mask as a tensor, (N or 1, 1, H, W), 0 to 1. update_mask: an array, (H, W) or (N, H, W).

    shape: (N, C, H, W) of the images. Raises SettingError.
    """
    try:
        mask = torch.as_tensor(update_mask, device=device).float()
    except (TypeError, ValueError, RuntimeError) as error:
        raise SettingError("update_mask is no mask; expected an array of numbers, 0 for a pixel that stays.") from error
    size = tuple(shape[-2:])
    if mask.dim() == 2:
        mask = mask[None]
    if mask.dim() != 3 or tuple(mask.shape[1:]) != size or len(mask) not in (1, shape[0]):
        raise SettingError(
            f"update_mask has shape {tuple(mask.shape)}; expected "
            f"{size[0]} x {size[1]}, one for all images or one each."
        )
    if not bool(((mask >= 0) & (mask <= 1)).all()):
        raise SettingError(
            "update_mask has numbers that are not from 0 to 1; expected 0 for a pixel that stays, 1 for one "
            "that may change."
        )
    if not bool((mask > 0).flatten(1).any(1).all()):
        raise SettingError("update_mask leaves no pixel to change; expected a mask above 0 where pixels may change.")
    return mask[:, None]


def fitted(t: torch.Tensor, before: int, after: int) -> torch.Tensor:
    """(..., H, W) with its border grown by repetition, or cut where the numbers are negative, on both axes."""
    cut = [max(-before, 0), max(-after, 0)]
    t = t[..., cut[0] : t.shape[-2] - cut[1], cut[0] : t.shape[-1] - cut[1]]
    return F.pad(t, [max(before, 0), max(after, 0)] * 2, mode="replicate").contiguous()
