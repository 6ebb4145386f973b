"""AlikePatches: codes compared by how their patches look, after linear maps fitted in closed form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

_COARSE = 8  # rows and columns that a patch is told by
_RIDGE = 0.01  # of the mean square of what is weighted
_BATCH = 64
_AROUND, _WHOLE = 24, 12  # components of the eight places around, and of all places, that the second map is told


class AlikePatches:
    """Codes where patches that look alike are near: ridge regression from codes to what the patches look like.

    The first map goes from the roots of the 3 x 3 codes about a place, and the place itself, to the patch at 8 x 8
    pixels. The second goes there from what the first says of the place, of those around it and of the whole image, so
    that the light of a scene counts. What it says, in principal components, is compared: `known` (N, h * w, dims) of
    the images given. Half of these are told about by a first map fitted on the other half, as a new image is told
    about by maps that never saw it. Not in the paper, which compares the 1 x 1 codes themselves: these tell little of
    a patch's colours.
    codes: (N, C, h, w). patches(numbers): (n, h * w, H, W, C), what lies at each place of these images.
    """

    def __init__(self, codes: np.ndarray, patches: Callable[[np.ndarray], np.ndarray], dims: int = 48):
        self._strength = 1.0
        root = self._context(codes[:_BATCH])[:, : 9 * codes.shape[1]].square().mean().sqrt()
        self._strength = 3 * max(float(root), 1e-6)
        batches = [np.arange(k, min(k + _BATCH, len(codes))) for k in range(0, len(codes), _BATCH)]
        looks = torch.cat([coarse(patches(numbers)) for numbers in batches])
        looks -= looks.mean(0)
        by_batch = looks.split(_BATCH * codes.shape[2] * codes.shape[3])
        halves = [_Sums(), _Sums()]
        for k, (numbers, look) in enumerate(zip(batches, by_batch, strict=True)):
            halves[k % 2].add(self._context(codes[numbers]), look)
        both = halves[0].map() if len(batches) == 1 else (halves[0] + halves[1]).map()
        axes = torch.linalg.eigh(both.T @ (halves[0].gram + halves[1].gram) @ both)[1][:, -dims:].flip(1)
        self._first = [both @ axes] if len(batches) == 1 else [half.map() @ axes for half in reversed(halves)]
        told = torch.cat([
            self._wider(self._said(codes[numbers], [self._first[k % len(self._first)]]))
            for k, numbers in enumerate(batches)
        ])  # fmt: skip
        second = _Sums()
        second.add(told, looks)
        weights = second.map()
        self._second = weights @ torch.linalg.eigh(weights.T @ second.gram @ weights)[1][:, -dims:].flip(1)
        self.known = (told @ self._second).unflatten(0, (len(codes), -1)).numpy()

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """(N, C, h, w) of other images -> (N, h * w, dims) float32."""
        told = self._wider(self._said(codes, self._first))
        return (told @ self._second).unflatten(0, (len(codes), -1)).numpy()

    def _context(self, codes: np.ndarray) -> torch.Tensor:
        """(N, C, h, w) -> (N * h * w, 9 C + h + w): what is known about each place."""
        x = torch.from_numpy(np.asarray(codes, np.float32))
        x = x.sign() * x.abs().sqrt()  # lest a few strong units count alone
        around = F.unfold(F.pad(x, (1, 1, 1, 1)), 3).transpose(1, 2).flatten(0, 1)
        return torch.cat([around, _place(*x.shape[2:]).repeat(len(x), 1) * self._strength], 1)

    def _said(self, codes: np.ndarray, maps: list[torch.Tensor]) -> torch.Tensor:
        """(N, C, h, w) -> (N, dims, h, w): what the first maps say on average."""
        context = self._context(codes)
        said = torch.stack([context @ one for one in maps]).mean(0)
        return said.unflatten(0, (len(codes), -1)).transpose(1, 2).unflatten(2, codes.shape[2:])

    @staticmethod
    def _wider(said: torch.Tensor) -> torch.Tensor:
        """(N, dims, h, w) -> (N * h * w, D): of the place, of those around it, of the whole image, and the place."""
        (n, _, h, w), unit = said.shape, 40.0  # about the leading component's deviation, for the place to count
        around = F.unfold(F.pad(said[:, :_AROUND], (1, 1, 1, 1), mode="replicate"), 3).transpose(1, 2)
        whole = said[:, :_WHOLE].flatten(1)[:, None].expand(-1, h * w, -1)
        place = _place(h, w).expand(n, -1, -1) * unit
        return torch.cat([said.flatten(2).transpose(1, 2), around, whole, place], 2).flatten(0, 1)


class _Sums:
    """What ridge regression needs to know of inputs and outputs."""

    def __init__(self):
        self.gram = self.cross = torch.zeros(())

    def add(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.gram, self.cross = self.gram + x.T @ x, self.cross + x.T @ y

    def __add__(self, other: _Sums) -> _Sums:
        both = _Sums()
        both.gram, both.cross = self.gram + other.gram, self.cross + other.cross
        return both

    def map(self) -> torch.Tensor:
        ridge = _RIDGE * float(self.gram.diagonal().mean()) + 1e-6
        return torch.linalg.solve(self.gram + ridge * torch.eye(len(self.gram)), self.cross)


def _place(rows: int, columns: int) -> torch.Tensor:
    """(rows * columns, rows + columns): which row and column a place is in."""
    row = F.one_hot(torch.arange(rows).repeat_interleave(columns), rows)
    return torch.cat([row, F.one_hot(torch.arange(columns).repeat(rows), columns)], 1).float()


def coarse(patches: np.ndarray) -> torch.Tensor:
    """(n, K, H, W, C) in 0..255 -> (n * K, 64 C): at 8 x 8 pixels."""
    x = torch.from_numpy(np.ascontiguousarray(patches)).flatten(0, 1).permute(0, 3, 1, 2).float()
    return F.interpolate(x, (_COARSE, _COARSE), mode="area").flatten(1)
