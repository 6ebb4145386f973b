"""Near-duplicates: pictures that show the same photograph, resaved, cut, mirrored, or in other colours."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

_SIDE = 12  # of a thumbnail
_CUTS = (1.0, 0.9, 0.8)  # how much of a side the thumbnail may show
LIKE = 0.9


def thumbnails(pictures: np.ndarray) -> np.ndarray:
    """What near-duplicates have alike: small grey pictures of each and of parts of it, (N, V, 144) float32.

    pictures: (N, H, W, C) in 0..255. Each thumbnail has mean 0 and norm 1; one without contrast is all 0, like no
    other. The first of a picture is that of the whole.
    """
    grey = torch.from_numpy(np.asarray(pictures, np.float32).mean(-1))[:, None]
    return torch.stack(
        [_small(grey[..., top:bottom, left:right]) for top, left, bottom, right in _parts(grey)], 1
    ).numpy()


def _parts(grey: torch.Tensor) -> list[tuple[int, int, int, int]]:
    h, w = grey.shape[-2:]
    found = []
    for part in _CUTS:
        ch, cw = max(1, round(h * part)), max(1, round(w * part))
        places = [(top, left) for top in (0, (h - ch) // 2, h - ch) for left in (0, (w - cw) // 2, w - cw)]
        found += [(top, left, top + ch, left + cw) for top, left in dict.fromkeys(places)]
    return found


def _small(grey: torch.Tensor) -> torch.Tensor:
    small = F.interpolate(grey, (_SIDE, _SIDE), mode="area").flatten(1)
    small = small - small.mean(1, keepdim=True)
    norm = small.norm(dim=1, keepdim=True)
    return torch.where(norm > _SIDE, small / norm.clamp_min(1e-6), 0 * small)


def likeness(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How like a picture (H, W, C) is to each of those whose thumbnails are `known`: the largest correlation, (N,).

    Of the whole picture, also mirrored, with parts of the known ones, and of parts of it with the whole known ones.
    """
    mine = thumbnails(np.stack([picture, picture[:, ::-1]])).reshape(2, -1, _SIDE * _SIDE)
    whole = np.einsum("nvk,mk->nvm", known, mine[:, 0]).max((1, 2))
    return np.maximum(whole, (known[:, 0] @ mine.reshape(-1, _SIDE * _SIDE).T).max(1))
