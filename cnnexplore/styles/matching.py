"""Dense nearest patches: for every patch of a picture the most similar one of many, in good time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..errors import ImageError, SettingError
from ..preimage.patch_prior import DEVIATION

_CHUNK = 1 << 25  # numbers of patches that are cut at once
_SAMPLE = 1500  # patches that the principal components are found from


def statistics(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, (C,) float32; that of a channel without contrast counts as 1."""
    flat = np.asarray(picture, np.float32).reshape(-1, picture.shape[-1])
    deviation = flat.std(0)
    return flat.mean(0), np.where(deviation < 1e-3, 1, deviation).astype(np.float32)


def normalised(picture: np.ndarray) -> np.ndarray:
    """A whole picture (H, W, C) by its own mean and standard deviation, per channel (intraclass2015, section 3.2)."""
    mean, deviation = statistics(picture)
    return (np.asarray(picture, np.float32) - mean) / deviation


def plain(channels: int) -> tuple[np.ndarray, np.ndarray]:
    """What a picture is normalised by if it is to be matched as it is: no mean, and one deviation for all channels."""
    return np.zeros(channels, np.float32), np.full(channels, DEVIATION, np.float32)


def grid(size: tuple[int, int], patch: tuple[int, int], stride: int) -> np.ndarray:
    """(top, left) of dense patches, (K, 2): every `stride` pixels, and the last row and column, so that all is covered.

    Raises SettingError if a patch is larger than the picture.
    """
    if any(p > s for p, s in zip(patch, size, strict=True)):
        raise SettingError(
            f"patches of {patch[0]} x {patch[1]} do not fit a picture of {size[0]} x {size[1]}; take smaller ones."
        )
    axes = [np.unique(np.append(np.arange(0, s - p + 1, stride), s - p)) for s, p in zip(size, patch, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)


def cut(picture: np.ndarray, places: np.ndarray, patch: tuple[int, int]) -> np.ndarray:
    """The patches of (H, W, C) whose top left corners are `places` (K, 2): (K, h, w, C)."""
    windows = np.lib.stride_tricks.sliding_window_view(picture, patch, (0, 1))
    return np.moveaxis(windows[places[:, 0], places[:, 1]], 1, -1)


@dataclass(frozen=True)
class Warp:
    """A picture put together from matched patches, which overlap.

    sum: (H, W, C), of the matched patches' values at each pixel; count: (H, W), how many patches have that pixel;
    square: the sum of all their squared values; places: (K, 2) of the picture's patches; index: (K, m) of the matched
    ones, nearest first; distance: (K, m) squared distances of the normalised patches.
    """

    sum: np.ndarray = field(repr=False)
    count: np.ndarray = field(repr=False)
    square: float
    places: np.ndarray = field(repr=False)
    index: np.ndarray = field(repr=False)
    distance: np.ndarray = field(repr=False)

    @property
    def mean(self) -> np.ndarray:
        """(H, W, C): the overlapping patches averaged."""
        return self.sum / np.maximum(self.count, 1)[..., None]


class PatchIndex:
    """The patches of many pictures, made ready to be searched.

    pictures: (H, W, C) arrays in 0..255. places: for each picture the (K, 2) top left corners of its patches, or a
    number: every so many pixels. size: rows and columns of a patch. norms: (mean, deviation) that each picture is
    normalised by, for pictures that are themselves cut from larger ones (default: its own). origins: (N, 2), where each
    picture lies in the frame that places are told in. position: what it costs to be matched from a patch's side away,
    in squared deviations per number of the patch; 0 for nothing. dims: how many principal components the search looks
    at. rerank: how many of the nearest by those are compared in full; the result is exact where that is all of them.
    The search is in the components, and what they leave out of a patch counts with its expected share of the distance.
    Raises SettingError, ImageError.
    """

    def __init__(
        self,
        pictures: Sequence[np.ndarray],
        places: int | Sequence[np.ndarray] = 8,
        size: int | tuple[int, int] = 32,
        *,
        norms: Sequence[tuple[np.ndarray, np.ndarray]] | None = None,
        origins: np.ndarray | None = None,
        position: float = 0.0,
        dims: int = 64,
        rerank: int = 8,
    ):
        self.size = (size, size) if isinstance(size, (int, np.integer)) else tuple(size)
        if len(self.size) != 2 or min(self.size) < 1:
            raise SettingError(f"size is {size!r}; expected rows and columns of a patch, 1 or more.")
        for name, value in (("dims", dims), ("rerank", rerank)):
            if not isinstance(value, (int, np.integer)) or value < 1:
                raise SettingError(f"{name} is {value!r}; expected a whole number, 1 or more.")
        if not len(pictures):
            raise ImageError("there are no pictures to take patches from; give at least one.")
        norms = [statistics(p) for p in pictures] if norms is None else norms
        self.pictures = [(np.asarray(p, np.float32) - m) / d for p, (m, d) in zip(pictures, norms, strict=True)]
        self._means, self._deviations = (np.stack(part).astype(np.float32) for part in zip(*norms, strict=True))
        if isinstance(places, (int, np.integer)):
            if places < 1:
                raise SettingError(f"places is {places!r}; expected a number of pixels, 1 or more.")
            places = [grid(p.shape[:2], self.size, int(places)) for p in self.pictures]
        self._source = np.repeat(np.arange(len(places)), [len(p) for p in places])
        self._inside = np.concatenate([np.asarray(p, int).reshape(-1, 2) for p in places])
        if not len(self._inside):
            raise ImageError("there are no patches; give at least one place.")
        self.places = self._inside + (0 if origins is None else np.asarray(origins)[self._source])
        self.rerank = min(int(rerank), len(self))
        self._pull = np.float32(np.sqrt(position * self._numbers / np.mean(np.square(self.size))))
        self._fit(int(dims))

    def __len__(self) -> int:
        return len(self._inside)

    def __repr__(self) -> str:
        return f"<PatchIndex of {len(self)} patches of {self.size[0]} x {self.size[1]}, {len(self.pictures)} pictures>"

    @property
    def _numbers(self) -> int:
        return self.size[0] * self.size[1] * self.pictures[0].shape[-1]

    def patches(self, index: np.ndarray, coloured: bool = False) -> np.ndarray:
        """The patches of these numbers, (K, h, w, C): normalised, or in the colours of the pictures they are from."""
        out = np.empty((len(index), *self.size, self.pictures[0].shape[-1]), np.float32)
        sources = self._source[index]
        order = np.argsort(sources, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(sources[order])) + 1):
            out[part] = cut(self.pictures[sources[part[0]]], self._inside[index[part]], self.size)
        if coloured:
            out = out * self._deviations[sources, None, None] + self._means[sources, None, None]
        return out

    def _fit(self, dims: int) -> None:
        from sklearn.decomposition import PCA
        from sklearn.neighbors import NearestNeighbors

        some = np.random.default_rng(0).permutation(len(self))[:_SAMPLE]
        sample = self.patches(some).reshape(len(some), -1)
        dims = min(dims, *sample.shape)
        solver = "full" if dims == min(sample.shape) else "randomized"
        found = PCA(dims, svd_solver=solver, random_state=0).fit(sample)
        self._centre, self._axes = found.mean_.astype(np.float32), found.components_.T.astype(np.float32)
        parts = np.array_split(np.arange(len(self)), -(-len(self) * self._numbers // _CHUNK))
        seen = [self._described(self.patches(part), self.places[part], rest=True) for part in parts]
        self._search = NearestNeighbors(algorithm="brute").fit(np.concatenate(seen))

    def _described(self, patches: np.ndarray, places: np.ndarray, rest: bool) -> np.ndarray:
        """What the search looks at: components, how much they leave out (of the database's patches), and the place."""
        flat = patches.reshape(len(patches), -1) - self._centre
        parts = flat @ self._axes
        left = np.zeros((len(flat), 1), np.float32)
        if rest:
            square = np.einsum("ij,ij->i", flat, flat) - np.einsum("ij,ij->i", parts, parts)
            left[:, 0] = np.sqrt(np.maximum(square, 0))
        return np.hstack([parts, left, self._pull * places.astype(np.float32)])

    def nearest(self, picture: np.ndarray, places: np.ndarray, count: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """For each patch of a normalised picture the `count` nearest ones: their numbers and squared distances, (K, m).

        Raises SettingError.
        """
        if not 1 <= count <= len(self):
            raise SettingError(
                f"{count} nearest patches were asked of {len(self)}; expected as many at most, 1 or more."
            )
        compared = max(self.rerank, count)
        numbers, distances = [], []
        for some in np.array_split(places, -(-len(places) * self._numbers * (compared + 1) // _CHUNK)):
            mine = cut(picture, some, self.size).reshape(len(some), -1)
            found = self._search.kneighbors(self._described(mine, some, rest=False), compared, return_distance=False)
            theirs = self.patches(found.ravel()).reshape(*found.shape, -1)
            theirs -= mine[:, None]
            square = np.einsum("ijk,ijk->ij", theirs, theirs)
            square += np.square(self._pull * (self.places[found] - some[:, None])).sum(-1)
            order = square.argsort(1, kind="stable")[:, :count]
            numbers.append(np.take_along_axis(found, order, 1))
            distances.append(np.take_along_axis(square, order, 1))
        return np.concatenate(numbers), np.concatenate(distances)

    def warp(
        self, picture: np.ndarray, stride: int = 4, count: int = 1, coloured: bool = False, norm: tuple | None = None
    ) -> Warp:
        """The picture put together from what is nearest to its own dense patches.

        picture: (H, W, C) in 0..255, or in any unit: it is normalised first. stride: a patch every so many pixels.
        count: the mean of so many nearest ones stands for a patch. coloured: in the colours of the pictures that the
        patches are from, in place of normalised ones. norm: (mean, deviation) to normalise by in place of the picture's
        own. Raises SettingError, ImageError.
        """
        mean, deviation = statistics(picture) if norm is None else norm
        picture = (np.asarray(picture, np.float32) - mean) / deviation
        if picture.shape[-1] != self.pictures[0].shape[-1]:
            raise ImageError(
                f"the picture has {picture.shape[-1]} channels; expected {self.pictures[0].shape[-1]}, as the patches."
            )
        places = grid(picture.shape[:2], self.size, stride)
        index, distance = self.nearest(picture, places, count)
        total, covered = np.zeros(picture.shape, np.float32), np.zeros(picture.shape[:2], np.float32)
        square, (h, w) = 0.0, self.size
        for part in np.array_split(np.arange(len(places)), -(-len(places) * count * self._numbers // _CHUNK)):
            matched = self.patches(index[part].ravel(), coloured)
            matched = matched.reshape(len(part), count, h, w, -1).mean(1)
            square += float(np.einsum("ijkl,ijkl->", matched, matched))
            for patch, (top, left) in zip(matched, places[part], strict=True):
                total[top : top + h, left : left + w] += patch
                covered[top : top + h, left : left + w] += 1
        return Warp(total, covered, square, places, index, distance)
