"""PatchDatabase: photographs with their patches, found by the activations of a layer, for the patch prior."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from ..arguments import checked, choice, flag, optional, place, several, whole
from ..data import Images
from ..errors import LayerError, NetworkError, SettingError, brief_value
from ..network import Layer, Network, as_maps
from ..network.arguments import layer_name, network
from ..preimage.patch_prior import PatchPrior
from ..representations.features import cache_place, features
from .near_duplicates import LEAST_CORRELATION, correlation, thumbnails
from .patch_index import MatchedPatches, Norm, PatchIndex, dense_positions, no_norm, statistics
from .patch_matching import METRICS, NAME, Matching, arguments_to_python, changed, database_to_python
from .patch_metric import PatchMetric

MAX_PATCHES = 100_000  # of an index that is not limited to near activations
POSITION_COST = 10.0  # of a match from elsewhere, where activations tell what belongs where: see `PatchIndex`


@dataclass(frozen=True)
class ActivationNeighbours:
    """For each position of a layer's map the k nearest activations of a database.

    Attributes
    ----------
    photographs : np.ndarray
        (h, w, k) int, indices of the photographs.
    corners : np.ndarray
        (h, w, k, 2) int, top left corners of the patches in those photographs.
    targets : np.ndarray
        (h, w, 2) int, top left corner of the patch at each position of the image itself.
    distance : np.ndarray
        (h, w, k), distances between activations.
    """

    photographs: np.ndarray
    corners: np.ndarray = field(repr=False)
    targets: np.ndarray = field(repr=False)
    distance: np.ndarray = field(repr=False)


class PatchDatabase:
    """Patches of photographs for the patch prior.

    With a layer, an image's patches are matched with those of its nearest activations, for inversion. An activation's
    patch is the centre of its receptive field: 67 x 67 pixels where the layer's stride is 32, in proportion for others.
    Without a layer all patches are equal, for a class's photographs and maximisation. When an image is inverted, its
    near-duplicates in the database are left out.

    Parameters
    ----------
    net : Network
        The network that is inverted or maximised with the prior.
    images : folder, list or data set, optional
        The photographs. Default: the bundled ones.
    layer : str, optional
        The layer with a map by which patches are found, such as "pool5". Default: none.
    metric : {"learned", "activation"}
        The distance between activations: "activation" is the paper's; "learned" is fitted so that patches of near
        activations look alike.
    exclude : sequence of images
        Images that are left out with their near-duplicates, also when the metric is fitted: those that the database is
        evaluated on.
    cache : str, os.PathLike or bool, optional
        Where the activations are kept, as `features` takes it: a folder, None for the computer's place for caches, or
        False.
    progress : bool
        Show a progress bar.
    k : int
        Nearest activations at each position, where there is a layer.
    size : int, optional
        Side of a matched patch in pixels. Default: half of the patch of an activation; without a layer 32, or half of
        the picture.
    stride : int
        Pixels between the estimate's patches.
    count : int
        The mean of so many nearest patches is the match of a patch.
    every : int
        After how many steps the matches are searched again.

    Raises
    ------
    LayerNotFound
        If there is no such layer.
    LayerError
        If the layer has no map.
    SettingError
        If a setting is out of its range, or no photograph is left.
    ImageError
        If an image cannot be read.

    References
    ----------
    Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015, section 3.2.

    Examples
    --------
    >>> lenet = cx.load("lenet")
    >>> patches = cx.PatchDatabase(lenet, None, "conv2", cache=False, progress=False)
    >>> patches.to_python()
    "cx.PatchDatabase(cx.load('lenet'), None, 'conv2')"
    >>> r = cx.invert(lenet, cx.digit(3), "conv2", patches=patches, init="patches", steps=3, progress=False)
    """

    @checked(
        net=network,
        layer=optional(layer_name),
        metric=choice(METRICS),
        exclude=several(lambda name, value: value, "a list of images"),
        cache=optional(cache_place),
        progress=flag,
    )
    def __init__(
        self,
        net: Network,
        images: Any = None,
        layer: str | None = None,
        *,
        metric: str = "learned",
        exclude: Sequence[Any] = (),
        cache: str | os.PathLike | bool | None = None,
        progress: bool = True,
        k: int = 30,
        size: int | None = None,
        stride: int = 8,
        count: int = 10,
        every: int = 20,
    ):
        given = {"k": k, "size": size, "stride": stride, "count": count, "every": every}
        self.net, self.matching = net, changed(Matching(), given)
        self.images = Images.of(net, images)
        self._python = database_to_python(net, images, layer, metric, exclude, self.matching)
        self.layer: Layer | None = None if layer is None else net.layers[layer]
        if self.layer is not None and not self.layer.has_map:
            raise LayerError(f"{self.layer.name} has no map, so no patches; name a layer with a map, such as pool5.")
        self.pictures = np.concatenate([as_pictures(net, x) for _, x in self.images.batches(net)])
        self._thumbnails = np.concatenate([thumbnails(self.pictures[n : n + 64]) for n in range(0, len(self), 64)])
        kept = np.ones(len(self.pictures), bool)
        for image in exclude:
            kept &= self.not_duplicates(image)
        if not kept.any():
            raise SettingError("every image of the database is a near-duplicate of one in exclude=; give other images.")
        self.pictures, self._thumbnails = self.pictures[kept], self._thumbnails[kept]
        self._norms = [statistics(picture) for picture in self.pictures]
        self._indices: dict[int, PatchIndex] = {}  # of all patches, by side
        if self.layer is None:
            return
        strides = self.layer.rf_stride  # of 67, 99 and 131 pixels, 67 gives pictures nearest to photographs
        rows, columns = (min(side, 2 * round(step) + 3) for side, step in zip(net.size, strides, strict=True))
        self.size = (rows, columns)
        self.corners = patch_corners(self.layer, net.size, self.size)
        found = torch.from_numpy(np.asarray(features(net, self.images, layer, cache=cache, progress=progress))[kept])
        shape = net.activations(self.images[0], self.layer.name).shape[1:]  # its features are flattened
        activations = as_maps(found.unflatten(1, shape), self.layer).contiguous().numpy()
        self._embed: Callable[[np.ndarray], np.ndarray] = _by_position
        if metric == "learned":
            learned = PatchMetric(activations, self._patches)
            self._embed, self._known = learned, learned.known
        else:
            self._known = _by_position(activations)

    def __len__(self) -> int:
        return len(self.pictures)

    def __repr__(self) -> str:
        by = "" if self.layer is None else f", found by activations of {self.layer.name}"
        return f"<PatchDatabase of {len(self)} photographs{by}>"

    def to_python(self) -> str:
        """The Python that makes the database; only the name `patches` if its images are not a folder."""
        return self._python

    def with_matching(self, **changes: int | None) -> PatchDatabase:
        """The same database with other settings of the matching.

        Parameters
        ----------
        **changes
            Any of k, size, stride, count and every.

        Raises
        ------
        SettingError
            If there is no such setting, or it is out of its range.
        """
        other = copy(self)
        other.matching, other._indices = changed(self.matching, changes), {}
        if changes and self._python != NAME:
            new = {name: getattr(other.matching, name) for name in changes}
            other._python = f"{self._python}.with_matching({arguments_to_python(new)})"
        return other

    @property
    def matched_size(self) -> int:
        """Side of a matched patch in pixels."""
        if self.matching.size is not None:
            return self.matching.size
        return min(32, min(self.net.size) // 2) if self.layer is None else (min(self.size) + 1) // 2

    def _patches(self, indices: np.ndarray) -> np.ndarray:
        """The patches at all positions of these photographs, (n, h * w, H, W, C) uint8."""
        h, w = self.size
        corners = self.corners.reshape(-1, 2)
        return np.stack([self.pictures[indices, top : top + h, left : left + w] for top, left in corners], 1)

    def not_duplicates(self, image: Any) -> np.ndarray:
        """(N,) bool, which photographs are no near-duplicates of an image.

        Parameters
        ----------
        image : image
            What `Network.pixels_of` takes.
        """
        picture = as_pictures(self.net, self.net.pixels_of(image))[0]
        return correlation(picture, self._thumbnails) < LEAST_CORRELATION

    def neighbours(self, image: Any, k: int | None = None) -> ActivationNeighbours:
        """The k nearest activations for each position of an image, none of them from its near-duplicates.

        Parameters
        ----------
        image : image
            What `Network.pixels_of` takes.
        k : int, optional
            How many. Default: the database's setting.

        Raises
        ------
        LayerError
            If the database has no layer.
        SettingError
            If there are fewer than k activations.
        """
        from sklearn.neighbors import NearestNeighbors

        layer, k = self._with_layer(), self.matching.k if k is None else k
        usable = np.flatnonzero(self.not_duplicates(image))
        cells = self._known.shape[1]
        of = "how many activations of photographs that are no near-duplicates of the image"
        k = whole(1, len(usable) * cells, of)("k", k)
        activation = as_maps(self.net.activations(image, layer.name)[:1], layer).float().cpu().numpy()
        known = self._known if len(usable) == len(self) else self._known[usable]
        search = NearestNeighbors(n_neighbors=int(k), algorithm="brute").fit(known.reshape(-1, known.shape[-1]))
        distance, found = search.kneighbors(self._embed(activation)[0])
        shape = (*layer.size, int(k))
        photographs, cell = usable[found // cells].reshape(shape), (found % cells).reshape(shape)
        return ActivationNeighbours(
            photographs, self.corners.reshape(-1, 2)[cell], self.corners, distance.reshape(shape)
        )

    def _with_layer(self) -> Layer:
        if self.layer is None:
            raise LayerError("this database has no layer; name one when it is made, such as layer='pool5'.")
        return self.layer

    def average(self, image: Any, k: int | None = None) -> np.ndarray:
        """The mean patch of the k nearest activations at each position, averaged where patches overlap.

        Pixels that no patch covers get the nearest covered pixel.

        Parameters
        ----------
        image : image
            What `Network.pixels_of` takes.
        k : int, optional
            How many activations. Default: the database's setting.

        Returns
        -------
        np.ndarray
            (H, W, C) float32 in 0..255.

        Raises
        ------
        LayerError
            If the database has no layer.
        SettingError
            If there are fewer than k activations.
        """
        layer, near = self._with_layer(), self.neighbours(image, k)
        h, w = self.size
        total = np.zeros((*self.net.size, self.pictures.shape[-1]), np.float32)
        count = np.zeros((*self.net.size, 1), np.float32)
        for row, column in np.ndindex(*layer.size):
            patches = [
                self.pictures[n, top : top + h, left : left + w]
                for n, (top, left) in zip(near.photographs[row, column], near.corners[row, column], strict=True)
            ]
            top, left = near.targets[row, column]
            total[top : top + h, left : left + w] += np.mean(patches, 0, dtype=np.float32)
            count[top : top + h, left : left + w] += 1
        return _fill_from_nearest(total / np.maximum(count, 1), count[..., 0] > 0)

    def init(self, x: torch.Tensor) -> torch.Tensor:
        """The `average` for an image, which an inversion may start from.

        Parameters
        ----------
        x : torch.Tensor
            (1, C, H, W) in the network's units.

        Returns
        -------
        torch.Tensor
            (1, C, H, W) in the network's units.
        """
        mean = torch.from_numpy(self.average(as_pictures(self.net, x)[0])).permute(2, 0, 1)[None]
        mean = mean.expand(-1, 3, -1, -1)  # also for a grey network
        return self.net.pixels.encode(mean).to(x)

    @checked(side=optional(whole(1, 4096, "pixels")))
    def index(self, image: Any = None, *, norm: Norm | None = None, side: int | None = None) -> PatchIndex:
        """The patches that an estimate is matched with: those of an image's nearest activations, or all.

        Parameters
        ----------
        image : image, optional
            What `Network.pixels_of` takes. Default: the patches of all photographs.
        norm : (np.ndarray, np.ndarray), optional
            Mean and deviation (C,) that all patches are normalised by. Default: those of their photographs.
        side : int, optional
            Side of the patches where all are taken. Default: `matched_size`.

        Raises
        ------
        SettingError
            If a patch does not fit, or there are fewer than k activations.
        """
        m = self.matching
        if image is None or self.layer is None:
            side = self.matched_size if side is None else side
            if side not in self._indices:
                every = dense_positions(self.net.size, (side, side), 1)
                each = max(1, min(len(every), MAX_PATCHES // len(self)))
                random = np.random.default_rng(0)
                positions = [every[random.permutation(len(every))[:each]] for _ in self.pictures]
                self._indices[side] = PatchIndex(list(self.pictures), positions, side, norms=self._norms)
            return self._indices[side]
        near = self.neighbours(image)
        h, w = self.size
        origins = np.broadcast_to(near.targets[:, :, None], near.corners.shape).reshape(-1, 2)
        photographs, corners = near.photographs.ravel(), near.corners.reshape(-1, 2)
        regions = [self.pictures[n, t : t + h, x : x + w] for n, (t, x) in zip(photographs, corners, strict=True)]
        norms = [self._norms[n] if norm is None else norm for n in photographs]
        return PatchIndex(
            regions, m.stride, self.matched_size, norms=norms, origins=origins, position_cost=POSITION_COST
        )

    @checked(size=place)
    def prior(self, size: tuple[int, int], image: torch.Tensor | None = None) -> PatchPrior:
        """The patch prior for a run.

        Parameters
        ----------
        size : (int, int)
            Rows and columns of the estimate.
        image : torch.Tensor, optional
            (N, C, H, W) in the network's units, the inverted images. Default: all patches are equal.
        """
        if image is not None:
            image = _images(image, self.net)
        m, norm = self.matching, None
        if image is not None and self.layer is not None:
            norm = no_norm(self.pictures.shape[-1])  # patches of near activations have the right colours
            found = [self.index(x, norm=norm) for x in as_pictures(self.net, image)]
        else:
            side = m.size or max(1, min(self.matched_size, min(size) // 2))  # the canvas of a unit may be small
            found = [self.index(side=side)]

        def matcher(index: PatchIndex) -> Callable[[np.ndarray], MatchedPatches]:
            return lambda picture: index.match(
                picture, stride=m.stride, count=m.count, original_colours=norm is not None, norm=norm
            )

        matchers = [matcher(index) for index in found]
        return PatchPrior(matchers if len(found) > 1 else matchers[0], size, self.net.pixels, m.every, norm is not None)


def _images(x: Any, net: Network) -> torch.Tensor:
    """x (N, C, H, W) in the network's units, checked. Raises SettingError."""
    fits = isinstance(x, torch.Tensor) and x.ndim == 4 and x.shape[1:] == (net.pixels.channels, *net.size)
    if not fits or not len(x) or x.is_complex() or x.is_meta or x.layout != torch.strided or not x.isfinite().all():
        raise SettingError(f"image is {brief_value(x)}; expected what net.pixels_of gives, finite numbers.")
    return x


def as_pictures(net: Network, x: torch.Tensor) -> np.ndarray:
    """x (N, C, H, W) as the database keeps pictures: (N, H, W, C) uint8, RGB, or one channel for a grey network."""
    if net.pixels.order == "channels":
        raise NetworkError(
            f"{net.name} takes {net.pixels.channels} channels; patches of images are kept for grey and RGB networks."
        )
    pictures = net.pixels.decode(x).cpu().numpy()
    return pictures[..., :1] if net.pixels.order == "grey" else pictures


def patch_corners(layer: Layer, whole: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Top left corners of the patches at the centres of a layer's receptive fields, (h, w, 2), inside the picture."""
    axes = []
    for count, offset, stride, side, patch in zip(
        layer.size, layer.rf_offset, layer.rf_stride, whole, size, strict=True
    ):
        corners = np.floor(offset + stride * np.arange(count) - (patch - 1) / 2 + 0.5).astype(int)
        axes.append(np.clip(corners, 0, side - patch))
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1)


def _by_position(activations: np.ndarray) -> np.ndarray:
    """(N, C, h, w) -> (N, h * w, C)."""
    flat = np.asarray(activations, np.float32).reshape(*activations.shape[:2], -1)
    return np.ascontiguousarray(flat.transpose(0, 2, 1))


def _fill_from_nearest(picture: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Unknown pixels get the nearest known one."""
    if known.all():
        return picture
    from scipy.ndimage import distance_transform_edt

    rows, columns = distance_transform_edt(~known, return_distances=False, return_indices=True)
    return picture[rows, columns]
