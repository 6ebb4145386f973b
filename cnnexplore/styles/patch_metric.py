"""PatchMetric: a distance between activations that is fitted so that similar patches are near."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

_COARSE = 8  # rows and columns that patches are compared at
_RIDGE = 0.01  # of the mean square of the inputs
_BATCH = 64
_AROUND, _WHOLE = 24, 12  # components of the eight positions around, and of all positions, in the second map's input
_POSITION_WEIGHT = 40.0  # about the deviation of the leading component, so that the position counts in the second map


class PatchMetric:
    """Ridge regression from activations to what the patches at their positions look like, in two maps.

    The first map goes from the square roots of the 3 x 3 activations around a position, and the position itself, to
    the patch at 8 x 8 pixels. The second map goes there from the first map's predictions for the position, for those
    around it and for the whole image, so that the light of a scene counts. Its predictions, in principal components,
    are compared by their distance.

    The second map is fitted to predictions for images that the first map was not fitted on, as the predictions for a
    new image are. For this, the first map is fitted on each half of the images and predicts the other half.

    The paper compares the activations themselves, which say little of a patch's colours.

    activations: (N, C, h, w). patches(indices): (n, h * w, H, W, C), the patches at all positions of these images.
    known: (N, h * w, dims) float32, the given images in the space where distances are taken.
    """

    @torch.autocast("cpu", enabled=False)  # also where the caller's networks run in bfloat16
    def __init__(self, activations: np.ndarray, patches: Callable[[np.ndarray], np.ndarray], dims: int = 48):
        self._strength = 1.0
        root = self._context(activations[:_BATCH])[:, : 9 * activations.shape[1]].square().mean().sqrt()
        self._strength = 3 * max(float(root), 1e-6)
        batches = [np.arange(k, min(k + _BATCH, len(activations))) for k in range(0, len(activations), _BATCH)]
        targets = torch.cat([coarse(patches(indices)) for indices in batches])
        targets -= targets.mean(0)
        by_batch = targets.split(_BATCH * activations.shape[2] * activations.shape[3])
        halves = [_Sums(), _Sums()]
        for k, (indices, target) in enumerate(zip(batches, by_batch, strict=True)):
            halves[k % 2].add(self._context(activations[indices]), target)
        both = halves[0].solve() if len(batches) == 1 else (halves[0] + halves[1]).solve()
        axes = torch.linalg.eigh(both.T @ (halves[0].gram + halves[1].gram) @ both)[1][:, -dims:].flip(1)
        self._first = [both @ axes] if len(batches) == 1 else [half.solve() @ axes for half in reversed(halves)]
        inputs = torch.cat([
            self._second_input(self._predict(activations[indices], [self._first[k % len(self._first)]]))
            for k, indices in enumerate(batches)
        ])  # fmt: skip
        second = _Sums()
        second.add(inputs, targets)
        weights = second.solve()
        self._second = weights @ torch.linalg.eigh(weights.T @ second.gram @ weights)[1][:, -dims:].flip(1)
        self.known = (inputs @ self._second).unflatten(0, (len(activations), -1)).numpy()

    @torch.autocast("cpu", enabled=False)
    def __call__(self, activations: np.ndarray) -> np.ndarray:
        """(N, C, h, w) of other images -> (N, h * w, dims) float32."""
        inputs = self._second_input(self._predict(activations, self._first))
        return (inputs @ self._second).unflatten(0, (len(activations), -1)).numpy()

    def _context(self, activations: np.ndarray) -> torch.Tensor:
        """(N, C, h, w) -> (N * h * w, 9 C + h + w): the first map's input."""
        x = torch.from_numpy(np.asarray(activations, np.float32))
        x = x.sign() * x.abs().sqrt()  # otherwise a few strong units would dominate
        around = F.unfold(F.pad(x, (1, 1, 1, 1)), 3).transpose(1, 2).flatten(0, 1)
        return torch.cat([around, _one_hot(*x.shape[2:]).repeat(len(x), 1) * self._strength], 1)

    def _predict(self, activations: np.ndarray, maps: list[torch.Tensor]) -> torch.Tensor:
        """(N, C, h, w) -> (N, dims, h, w): the mean prediction of first maps."""
        context = self._context(activations)
        mean = torch.stack([context @ one for one in maps]).mean(0)
        return mean.unflatten(0, (len(activations), -1)).transpose(1, 2).unflatten(2, activations.shape[2:])

    @staticmethod
    def _second_input(predicted: torch.Tensor) -> torch.Tensor:
        """(N, dims, h, w) -> (N * h * w, D): predictions at the position, around it, everywhere; and the position."""
        n, _, h, w = predicted.shape
        around = F.unfold(F.pad(predicted[:, :_AROUND], (1, 1, 1, 1), mode="replicate"), 3).transpose(1, 2)
        whole = predicted[:, :_WHOLE].flatten(1)[:, None].expand(-1, h * w, -1)
        position = _one_hot(h, w).expand(n, -1, -1) * _POSITION_WEIGHT
        return torch.cat([predicted.flatten(2).transpose(1, 2), around, whole, position], 2).flatten(0, 1)


class _Sums:
    """The sums of ridge regression over inputs and outputs."""

    def __init__(self) -> None:
        self.gram = self.cross = torch.zeros((), dtype=torch.float32)

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.gram, self.cross = self.gram + x.T @ x, self.cross + x.T @ y

    def __add__(self, other: _Sums) -> _Sums:
        both = _Sums()
        both.gram, both.cross = self.gram + other.gram, self.cross + other.cross
        return both

    def solve(self) -> torch.Tensor:
        """The linear map."""
        ridge = _RIDGE * float(self.gram.diagonal().mean()) + 1e-6
        return torch.linalg.solve(self.gram + ridge * torch.eye(len(self.gram), dtype=torch.float32), self.cross)


def _one_hot(rows: int, columns: int) -> torch.Tensor:
    """(rows * columns, rows + columns): the row and the column of each position, one-hot."""
    row = F.one_hot(torch.arange(rows).repeat_interleave(columns), rows)
    return torch.cat([row, F.one_hot(torch.arange(columns).repeat(rows), columns)], 1).float()


def coarse(patches: np.ndarray) -> torch.Tensor:
    """(n, K, H, W, C) in 0..255 -> (n * K, 64 C): at 8 x 8 pixels."""
    x = torch.from_numpy(np.ascontiguousarray(patches)).flatten(0, 1).permute(0, 3, 1, 2).float()
    return F.interpolate(x, (_COARSE, _COARSE), mode="area").flatten(1)
