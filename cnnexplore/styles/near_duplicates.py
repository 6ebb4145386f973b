"""Near-duplicates: pictures that show the same photograph, resaved, cropped, mirrored, or in other colours."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

_SIDE = 12  # rows and columns of a thumbnail
_CROPS = (1.0, 0.9, 0.8)  # parts of a side that a thumbnail may show
LEAST_CORRELATION = 0.9  # of near-duplicates


def thumbnails(pictures: np.ndarray) -> np.ndarray:
    """Small grey pictures of each picture and of crops of it, (N, V, 144) float32, for `correlation`.

    pictures: (N, H, W, C) in 0..255. A thumbnail has mean 0 and norm 1, or is all 0 where the picture has no contrast.
    The first of each picture shows all of it.
    """
    grey = torch.from_numpy(np.asarray(pictures, np.float32).mean(-1))[:, None]
    return torch.stack(
        [_thumbnail(grey[..., top:bottom, left:right]) for top, left, bottom, right in _crops(grey)], 1
    ).numpy()


def _crops(grey: torch.Tensor) -> list[tuple[int, int, int, int]]:
    """Boxes (top, left, bottom, right) of the crops."""
    h, w = grey.shape[-2:]
    found = []
    for part in _CROPS:
        ch, cw = max(1, round(h * part)), max(1, round(w * part))
        corners = [(top, left) for top in (0, (h - ch) // 2, h - ch) for left in (0, (w - cw) // 2, w - cw)]
        found += [(top, left, top + ch, left + cw) for top, left in dict.fromkeys(corners)]
    return found


def _thumbnail(grey: torch.Tensor) -> torch.Tensor:
    small = F.interpolate(grey, (_SIDE, _SIDE), mode="area").flatten(1)
    small = small - small.mean(1, keepdim=True)
    norm = small.norm(dim=1, keepdim=True)
    return torch.where(norm > _SIDE, small / norm.clamp_min(1e-6), 0 * small)


def correlation(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The largest correlation of a picture (H, W, C) with each of the pictures with the thumbnails `known`, (N,).

    The whole picture, also mirrored, is compared with crops of the known ones, and crops of it with the whole known
    ones.
    """
    mine = thumbnails(np.stack([picture, picture[:, ::-1]])).reshape(2, -1, _SIDE * _SIDE)
    whole = np.einsum("nvk,mk->nvm", known, mine[:, 0]).max((1, 2))
    return np.maximum(whole, (known[:, 0] @ mine.reshape(-1, _SIDE * _SIDE).T).max(1))
