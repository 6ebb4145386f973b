"""PatchDatabase: photographs, with a layer's codes and the patches in the middle of what they see beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch

from ..data import Images
from ..errors import LayerError, SettingError
from ..network import Layer, Network
from ..preimage.patch_prior import PatchPrior
from ..representations.features import features
from .duplicates import LIKE, likeness, thumbnails
from .matching import PatchIndex, grid, plain, statistics
from .metric import AlikePatches

MOST = 100_000  # patches of a database without codes
POSITION = 10.0  # what it costs to be matched from elsewhere, where codes tell what lies where: see `PatchIndex`
METRICS = ("alike", "code")
_NAME = "patches"


@dataclass(frozen=True)
class Matching:
    """How an estimate's patches are matched.

    k: nearest codes per location, where there are codes. size: of a matched patch in pixels (default: half of a code's
    patch, else 32 or half of the picture). stride: a patch of the estimate every so many pixels. count: the mean of so
    many nearest patches stands for one. every: after how many steps matches are looked for anew.
    """

    k: int = 30
    size: int | None = None
    stride: int = 8
    count: int = 10
    every: int = 20


@dataclass(frozen=True)
class CodeNeighbours:
    """For each place of a layer's map the k nearest codes of a database.

    picture: (h, w, k) the numbers of the photographs; place: (h, w, k, 2) the top left corners of the patches there;
    own: (h, w, 2) that of the place's own patch; distance: (h, w, k).
    """

    picture: np.ndarray
    place: np.ndarray = field(repr=False)
    own: np.ndarray = field(repr=False)
    distance: np.ndarray = field(repr=False)


class PatchDatabase:
    """Patches of photographs for the patch prior (intraclass2015, section 3.2).

    net, images: whose photographs, a folder, list or data set; None for the pictures at hand. layer: whose codes tell
    which patches suit a place, for inversion; None for all patches alike, for a class's photographs and maximisation. A
    code's patch lies in the middle of what it sees: 67 x 67 where the layer's stride is 32, in proportion for others.
    metric: "code" for the paper's distance of codes, "alike" for one fitted so that patches of near codes look alike.
    without: images that are not taken in, nor their near-duplicates, not even to fit the metric: those that the
    database is judged by. cache: as for `features`. matching: any of the fields of `Matching`; `with_matching(...)`
    gives the same database matched in another way. An inverted image's near-duplicates are left out.
    Raises LayerNotFound, LayerError, SettingError, ImageError.
    """

    def __init__(
        self,
        net: Network,
        images=None,
        layer: str | None = None,
        *,
        metric: str = "alike",
        without: Sequence = (),
        cache: str | os.PathLike | bool | None = None,
        progress: bool = True,
        **matching,
    ):
        if metric not in METRICS:
            raise SettingError(f"metric is {metric!r}; expected one of {', '.join(map(repr, METRICS))}.")
        self.net, self.matching = net, _matching(Matching(), matching)
        self.images = Images.of(net, images)
        self._python = _python(net, images, layer, metric, without, matching)
        self.layer: Layer | None = None if layer is None else net.layers[layer]
        if self.layer is not None and max(self.layer.size) == 1:
            raise LayerError(f"{self.layer.name} has no places, so no patches; name a layer with a map, such as pool5.")
        self.pictures = np.concatenate([coloured(net, x) for _, x in self.images.batches(net)])
        self._thumbnails = np.concatenate([thumbnails(self.pictures[k : k + 64]) for k in range(0, len(self), 64)])
        kept = np.ones(len(self.pictures), bool)
        for image in without:
            kept &= self.usable(image)
        if not kept.any():
            raise SettingError("every image of the database is a near-duplicate of one in without=; give other images.")
        self.pictures, self._thumbnails = self.pictures[kept], self._thumbnails[kept]
        self._norms = [statistics(picture) for picture in self.pictures]
        self._indices: dict[int, PatchIndex] = {}  # of all patches alike, by side
        if self.layer is None:
            return
        strides = self.layer.rf_stride  # of those of 67, 99 and 131, pictures from the first are nearest to photographs
        self.size = tuple(min(side, 2 * round(step) + 3) for side, step in zip(net.size, strides, strict=True))
        self.places = code_places(self.layer, net.size, self.size)
        codes = np.asarray(features(net, self.images, layer, cache=cache, progress=progress))
        codes = codes[kept].reshape(-1, self.layer.channels, *self.layer.size)
        self._embed = AlikePatches(codes, self._patches) if metric == "alike" else _own
        self._codes = self._embed.known if metric == "alike" else _own(codes)

    def __len__(self) -> int:
        return len(self.pictures)

    def __repr__(self) -> str:
        of = "" if self.layer is None else f", codes of {self.layer.name}"
        return f"<PatchDatabase of {len(self)} photographs{of}>"

    def with_matching(self, **matching) -> PatchDatabase:
        """The same database, matched in another way: any of k, size, stride, count, every."""
        other = copy(self)
        other.matching, other._indices = _matching(self.matching, matching), {}
        if matching and self._python != _NAME:
            other._python = f"{self._python}.with_matching({_said(matching)})"
        return other

    def to_python(self) -> str:
        """The Python that makes it; the name `patches` where its images are not a folder."""
        return self._python

    @property
    def matched_size(self) -> int:
        """The side of a matched patch."""
        if self.matching.size is not None:
            return self.matching.size
        return min(32, min(self.net.size) // 2) if self.layer is None else (min(self.size) + 1) // 2

    def _patches(self, numbers: np.ndarray) -> np.ndarray:
        """All places' patches of these pictures: (n, h * w, H, W, C) uint8."""
        h, w = self.size
        corners = self.places.reshape(-1, 2)
        return np.stack([self.pictures[numbers, top : top + h, left : left + w] for top, left in corners], 1)

    def usable(self, image) -> np.ndarray:
        """(N,) true for the photographs that are no near-duplicates of an image, which `net.pixels_of` takes."""
        return likeness(coloured(self.net, self.net.pixels_of(image))[0], self._thumbnails) < LIKE

    def neighbours(self, image, k: int | None = None) -> CodeNeighbours:
        """The k nearest codes for each place of an image's code; near-duplicates of the image are not among them.

        Raises SettingError, LayerError, ImageError.
        """
        from sklearn.neighbors import NearestNeighbors

        k = self.matching.k if k is None else k
        if self.layer is None:
            raise LayerError("this database has no codes; name a layer when it is made, such as layer='pool5'.")
        usable = np.flatnonzero(self.usable(image))
        cells = self._codes.shape[1]
        if not isinstance(k, (int, np.integer)) or not 1 <= k <= len(usable) * cells:
            raise SettingError(
                f"k is {k!r}; the database has {len(usable) * cells} codes that are not the image's own."
            )
        code = self.net.activations(image, self.layer.name)[:1].float().cpu().numpy()
        known = self._codes if len(usable) == len(self) else self._codes[usable]
        search = NearestNeighbors(n_neighbors=int(k), algorithm="brute").fit(known.reshape(-1, known.shape[-1]))
        distance, found = search.kneighbors(self._embed(code)[0])
        shape = (*self.layer.size, int(k))
        picture, cell = usable[found // cells].reshape(shape), (found % cells).reshape(shape)
        return CodeNeighbours(picture, self.places.reshape(-1, 2)[cell], self.places, distance.reshape(shape))

    def average(self, image, k: int | None = None) -> np.ndarray:
        """The k nearest codes' patches, averaged at each place and where places overlap: (H, W, C) float32, 0..255.

        Where no patch lies the nearest pixel of one goes on. Raises as `neighbours`.
        """
        near = self.neighbours(image, k)
        h, w = self.size
        total = np.zeros((*self.net.size, self.pictures.shape[-1]), np.float32)
        count = np.zeros((*self.net.size, 1), np.float32)
        for row, column in np.ndindex(*self.layer.size):
            patches = [
                self.pictures[n, top : top + h, left : left + w]
                for n, (top, left) in zip(near.picture[row, column], near.place[row, column], strict=True)
            ]
            top, left = near.own[row, column]
            total[top : top + h, left : left + w] += np.mean(patches, 0, dtype=np.float32)
            count[top : top + h, left : left + w] += 1
        return _spread(total / np.maximum(count, 1), count[..., 0] > 0)

    def init(self, x: torch.Tensor) -> torch.Tensor:
        """The `average` for an image x (1, C, H, W), both in the network's units: what an inversion may begin with."""
        mean = torch.from_numpy(self.average(coloured(self.net, x)[0])).permute(2, 0, 1)[None]
        mean = mean.expand(-1, 3, -1, -1)  # of a grey network too
        return self.net.pixels.encode(mean).to(x)

    def index(self, image=None, norm: tuple | None = None, side: int | None = None) -> PatchIndex:
        """The patches that an estimate's are matched with: those near in code to an image, or all alike.

        norm: (mean, deviation) that all are normalised by, in place of those of the photographs that they are from.
        side: of all patches alike (default: `matched_size`).
        Raises as `neighbours`, and SettingError where a patch does not fit.
        """
        m = self.matching
        if image is None or self.layer is None:
            side = side or self.matched_size
            if side not in self._indices:
                whole = grid(self.net.size, (side, side), 1)
                each = max(1, min(len(whole), MOST // len(self)))
                random = np.random.default_rng(0)
                places = [whole[random.permutation(len(whole))[:each]] for _ in self.pictures]
                self._indices[side] = PatchIndex(self.pictures, places, side, norms=self._norms)
            return self._indices[side]
        near = self.neighbours(image)
        h, w = self.size
        origins = np.broadcast_to(near.own[:, :, None], near.place.shape).reshape(-1, 2)
        numbers, corners = near.picture.ravel(), near.place.reshape(-1, 2)
        regions = [self.pictures[n, t : t + h, x : x + w] for n, (t, x) in zip(numbers, corners, strict=True)]
        norms = [self._norms[n] if norm is None else norm for n in numbers]
        return PatchIndex(regions, m.stride, self.matched_size, norms=norms, origins=origins, position=POSITION)

    def prior(self, size: tuple[int, int], image=None) -> PatchPrior:
        """The patch prior for a run whose estimate has `size`; image: (N, C, H, W) whose codes are sought, if any."""
        m, coded = self.matching, image is not None and self.layer is not None
        norm = plain(self.pictures.shape[-1]) if coded else None  # the colours of near codes' patches are believed
        side = m.size or max(1, min(self.matched_size, min(size) // 2))  # a unit's canvas may be small
        found = [self.index(x, norm) for x in coloured(self.net, image)] if coded else [self.index(side=side)]

        def matcher(index: PatchIndex):
            return lambda picture: index.warp(picture, m.stride, m.count, coded, norm)

        matchers = [matcher(index) for index in found]
        return PatchPrior(matchers if len(found) > 1 else matchers[0], size, self.net.pixels, m.every, coded)


def coloured(net: Network, x: torch.Tensor) -> np.ndarray:
    """Pictures of x (N, C, H, W) as the database keeps them: (N, H, W, C) uint8, red first, or one grey channel."""
    pictures = net.picture(x).reshape(len(x), *x.shape[-2:], 3)
    return pictures[..., :1] if net.pixels.order == "grey" else pictures


def code_places(layer: Layer, whole: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """The top left corners of the patches in the middle of what a layer's units see, (h, w, 2); inside the picture."""
    axes = []
    for count, offset, stride, side, patch in zip(
        layer.size, layer.rf_offset, layer.rf_stride, whole, size, strict=True
    ):
        corners = np.floor(offset + stride * np.arange(count) - (patch - 1) / 2 + 0.5).astype(int)
        axes.append(np.clip(corners, 0, side - patch))
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def _python(net: Network, images, layer: str | None, metric: str, without, matching: dict) -> str:
    """The Python of a database; only a name where its images are no folder, or some are left out."""
    if not (images is None or isinstance(images, (str, os.PathLike))) or len(without):
        return _NAME
    of = "None" if images is None else repr(os.fspath(images))
    more = {"metric": metric} if metric != METRICS[0] else {}
    return (
        ", ".join([f"cx.PatchDatabase({net.to_python()}, {of}, {layer!r}", *filter(None, [_said(more | matching)])])
        + ")"
    )


def _said(options: dict) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _own(codes: np.ndarray) -> np.ndarray:
    """Codes as they are: (N, C, h, w) -> (N, h * w, C)."""
    flat = np.asarray(codes, np.float32).reshape(*codes.shape[:2], -1)
    return np.ascontiguousarray(flat.transpose(0, 2, 1))


def _matching(before: Matching, changes: dict) -> Matching:
    known = {f.name for f in fields(Matching)}
    for name, value in changes.items():
        if name not in known:
            raise SettingError(f"a patch database has no setting {name!r}; it has {', '.join(sorted(known))}.")
        if not (name == "size" and value is None) and (not isinstance(value, int) or value < 1):
            raise SettingError(f"{name} is {value!r}; expected a whole number, 1 or more.")
    return replace(before, **changes)


def _spread(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Unknown pixels are given the nearest known one."""
    if known.all():
        return picture
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return picture[rows, columns]
