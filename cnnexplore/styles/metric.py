"""AlikePatches: codes compared by how their patches look, after a linear map fitted in closed form."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

_MOST = 300_000  # places that the map is fitted on
_COARSE = 8  # rows and columns that a patch is told by
_RIDGE = 0.01  # of the mean square of what is weighted
_AROUND, _SHARE = 24, 0.4  # components of the places around that count, and how much
_BATCH = 64


class AlikePatches:
    """Codes where patches that look alike are near: ridge regression from codes to what the patches look like.

    From the roots of the 3 x 3 codes about a place, and the place itself, to the patch at 8 x 8 pixels; of what is
    predicted the leading principal components, and with less weight those of the eight places around. Not in the
    paper, which compares the 1 x 1 codes themselves: these tell little of a patch's colours.
    """

    def __init__(self, codes: np.ndarray, patches, dims: int = 48):
        """codes: (N, C, h, w). patches(numbers): (n, h * w, H, W, 3), what lies at each place of these pictures."""
        count = min(len(codes), max(1, _MOST // (codes.shape[2] * codes.shape[3])))
        some = np.sort(np.random.default_rng(0).permutation(len(codes))[:count])
        gram = cross = None
        self._strength = 1.0
        self._strength = 3 * float(
            self._context(codes[some[:_BATCH]])[:, : -sum(codes.shape[2:])].square().mean().sqrt()
        )
        mean = coarse(patches(some[:_BATCH])).mean(0)
        for numbers in np.array_split(some, -(-len(some) // _BATCH)):
            x, y = self._context(codes[numbers]), coarse(patches(numbers)) - mean
            if gram is None:
                gram, cross = torch.zeros(x.shape[1], x.shape[1]), torch.zeros(x.shape[1], y.shape[1])
            gram.addmm_(x.T, x)
            cross.addmm_(x.T, y)
        ridge = _RIDGE * float(gram.diagonal().mean())
        gram.diagonal().add_(max(ridge, 1e-6))
        weights = torch.linalg.solve(gram, cross)
        spread = weights.T @ (gram @ weights)  # of the predictions
        self.weights = weights @ torch.linalg.eigh(spread)[1][:, -dims:].flip(1)  # leading ones first

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """(N, C, h, w) -> (N, h * w, D) float32."""
        h, w = codes.shape[2:]
        seen = []
        for k in range(0, len(codes), _BATCH):
            told = (self._context(codes[k : k + _BATCH]) @ self.weights).reshape(-1, h * w, self.weights.shape[1])
            plane = told[..., :_AROUND].transpose(1, 2).unflatten(2, (h, w))
            around = F.unfold(F.pad(plane, (1, 1, 1, 1), mode="replicate"), 3).transpose(1, 2)
            seen.append(torch.cat([told, _SHARE * around], 2))
        return torch.cat(seen).numpy()

    def _context(self, codes: np.ndarray) -> torch.Tensor:
        """(N, C, h, w) -> (N * h * w, 9 C + h + w): what is known about each place."""
        x = torch.from_numpy(np.asarray(codes, np.float32))
        x = x.sign() * x.abs().sqrt()  # lest a few strong units count alone
        n, _, h, w = x.shape
        around = F.unfold(F.pad(x, (1, 1, 1, 1)), 3).transpose(1, 2).flatten(0, 1)
        rows = F.one_hot(torch.arange(h).repeat_interleave(w), h)
        columns = F.one_hot(torch.arange(w).repeat(h), w)
        place = torch.cat([rows, columns], 1).repeat(n, 1) * self._strength
        return torch.cat([around, place], 1)


def coarse(patches: np.ndarray) -> torch.Tensor:
    """(n, K, H, W, C) in 0..255 -> (n * K, 64 C): at 8 x 8 pixels."""
    n, k, h, w, c = patches.shape
    x = torch.from_numpy(np.ascontiguousarray(patches)).reshape(n * k, h, w, c).permute(0, 3, 1, 2).float()
    return F.interpolate(x, (_COARSE, _COARSE), mode="area").flatten(1)
