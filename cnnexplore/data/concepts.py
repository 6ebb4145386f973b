"""Concepts: what the pixels of images show, as numbered maps at the size of a network's input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from ..errors import ImageError, SettingError, brief, brief_value
from ..network import Network, centre_crop, crop_and_resize

_MOST = 65_535  # concepts of a batch of images
_ROUNDING = 1.5  # pixels of the image by which the sides of its masks may differ from the image's proportions


@runtime_checkable
class ConceptData(Protocol):
    """Images with masks of the concepts in them: what `dissect` takes.

    Any class with these two methods will do. `len(data)` is the number of images. `data.concepts(k)` is the k-th image,
    as `Network.pixels_of` takes it, and a mapping of "category/name", such as "material/wood", to a mask (H, W) of
    bool, or to True where the whole image shows the concept. The masks have the image's proportions; they may be
    smaller. Masks may overlap. A category that an image does not mention is not labelled there.

    Examples
    --------
    >>> class Squares:
    ...     def __len__(self):
    ...         return 2
    ...
    ...     def concepts(self, index):
    ...         image = np.zeros((32, 32, 3), np.uint8)
    ...         image[8:16, 8:16, index] = 255
    ...         return image, {f"colour/{['red', 'green'][index]}": image.any(2), "scene/dark": True}
    >>> isinstance(Squares(), ConceptData)
    True
    """

    def __len__(self) -> int:
        """How many images there are."""
        ...

    def concepts(self, index: int) -> tuple[Any, Mapping[str, Any]]:
        """An image, and the masks of its concepts by "category/name"."""
        ...


def concept_data(name: str, value: Any) -> ConceptData:
    """The check of an argument that holds images with masks of concepts."""
    if isinstance(value, ConceptData) and not isinstance(value, type):
        try:
            count = len(value)
        except Exception as error:  # the user's own type
            raise SettingError(f"{name} has no length ({brief(error)}); expected images with masks.") from error
        if not count:
            raise SettingError(f"{name} is empty; expected at least one image.")
        return value
    raise SettingError(
        f"{name} is {brief_value(value)}; expected images with masks of concepts: cx.world.dataset(1000), "
        "cx.concept_images(folder), or an object with len() and concepts(k)."
    )


@dataclass
class LabelMaps:
    """The concepts of some images as numbered maps of one size.

    Attributes
    ----------
    names : list of str
        The concepts; concept k has the number k + 1.
    maps : np.ndarray
        (M, h w) uint8 or uint16, the number of a concept at each pixel, 0 for none.
    first : np.ndarray
        (N + 1,) int, image n has the maps first[n] to first[n + 1] - 1.
    whole : np.ndarray
        (N, names) bool, the concepts that the whole of an image shows; they are in no map.
    counts : np.ndarray
        (N, names) int, pixels at which an image shows a concept.
    """

    names: list[str]
    maps: np.ndarray
    first: np.ndarray
    whole: np.ndarray
    counts: np.ndarray

    def __len__(self) -> int:
        return len(self.whole)

    def only(self, which: np.ndarray) -> LabelMaps:
        """Some of the images, in a given order; which: (K,) int."""
        spans = [np.arange(self.first[k], self.first[k + 1]) for k in which]
        first = np.cumsum([0, *map(len, spans)])
        chosen = np.concatenate([np.zeros(0, np.int64), *spans]).astype(np.int64)
        return LabelMaps(self.names, self.maps[chosen], first, self.whole[which], self.counts[which])

    def mask(self, image: int, concept: str) -> np.ndarray:
        """Where an image shows a concept, (h w,) bool."""
        if concept not in self.names:
            return np.zeros(self.maps.shape[1], bool)
        k = self.names.index(concept)
        here = self.maps[self.first[image] : self.first[image + 1]]
        return np.full(self.maps.shape[1], True) if self.whole[image, k] else (here == k + 1).any(0)


def category_of(concept: str) -> str:
    """The category of a concept: "part" of "part/church/dome"."""
    return concept.split("/", 1)[0]


def labelled(pairs: list[tuple[Any, Mapping[str, Any]]], net: Network, grid: tuple[int, int]) -> tuple[
    torch.Tensor, LabelMaps
]:  # fmt: skip
    """Images as a network's input, and the concepts in that part of them that the network sees.

    Parameters
    ----------
    pairs : list of (image, masks)
        As `ConceptData.concepts` gives them.
    net : Network
        The network.
    grid : tuple of int
        (h, w) of the maps.

    Returns
    -------
    x : torch.Tensor
        (N, C, H, W) in the units of `Network.pixels_of`.
    maps : LabelMaps
        The concepts.

    Raises
    ------
    ImageError
        If an image or a mask cannot be read.
    """
    pictures: list[torch.Tensor] = []
    numbers: dict[str, int] = {}
    layers: list[np.ndarray] = []
    first, counts = [0], []
    for image, masks in pairs:
        rgb = net.pixels.read(image)
        pictures.append(crop_and_resize(rgb, net.size))
        found, count = _numbered(masks, (rgb.shape[1], rgb.shape[2]), net.size, grid, numbers)
        layers += found
        counts.append(count)
        first.append(len(layers))
    if len(numbers) > _MOST:
        raise ImageError(f"{len(pairs)} images have {len(numbers)} concepts; expected at most {_MOST}.")
    kind = np.uint8 if len(numbers) < 256 else np.uint16
    maps = np.stack(layers).astype(kind) if layers else np.zeros((0, grid[0] * grid[1]), kind)
    pixels = np.zeros((len(pairs), len(numbers)), np.int64)
    for n, count in enumerate(counts):
        pixels[n, [k - 1 for k in count]] = list(count.values())
    x = net.pixels.encode(torch.stack(pictures)).to(net.device)
    return x, LabelMaps(list(numbers), maps, np.array(first, np.int64), pixels == grid[0] * grid[1], pixels)


def _numbered(
    masks: Mapping[str, Any],
    shape: tuple[int, int],
    size: tuple[int, int],
    grid: tuple[int, int],
    numbers: dict[str, int],
) -> tuple[list[np.ndarray], dict[int, int]]:
    """The masks of an image as numbered maps, (h w,) each, and the pixels of each number; what covers all is in no map.

    shape: of the image; size: of the network's input. numbers: of the concepts so far; new ones are added.
    """
    if not isinstance(masks, Mapping):
        raise ImageError(f"an image's masks are {brief_value(masks)}; expected a dict of masks by 'category/name'.")
    layers: list[np.ndarray] = []
    categories: list[str] = []
    counts: dict[int, int] = {}
    occupied: list[tuple[int, np.ndarray]] = []  # by layer, how many pixels have a number, and which
    samples: dict[tuple[int, int], tuple[np.ndarray, np.ndarray] | None] = {}
    for name, given in masks.items():
        category = category_of(name) if isinstance(name, str) else ""
        if not category or category == name:
            raise ImageError(f"a mask is named {brief_value(name)}; expected 'category/name', such as 'object/church'.")
        if given is True or given is np.True_:
            counts[numbers.setdefault(name, len(numbers) + 1)] = grid[0] * grid[1]
            continue
        mask = _mask(name, given, shape)
        if mask.shape not in samples:
            samples[mask.shape] = _samples(mask.shape, size, grid)
        chosen = samples[mask.shape]
        if chosen is not None:
            mask = mask[chosen[0][:, None], chosen[1]]
        flat = mask.ravel()
        count = int(np.count_nonzero(flat))
        if not count:
            continue
        number = numbers.setdefault(name, len(numbers) + 1)
        counts[number] = count
        if count == flat.size:
            continue
        kind = np.uint8 if number < 256 else np.uint16
        coded = np.multiply(flat.view(np.uint8), min(number, _MOST), dtype=kind)
        for k, other in enumerate(categories):
            if other != category:
                continue
            union = occupied[k][1] | flat
            if np.count_nonzero(union) == occupied[k][0] + count:
                layers[k], occupied[k] = layers[k] | coded, (occupied[k][0] + count, union)
                break
        else:
            layers.append(coded)
            occupied.append((count, flat))
            categories.append(category)
    return layers, counts


def _mask(name: str, given: Any, shape: tuple[int, int]) -> np.ndarray:
    """A mask as an array (H, W) of bool. Raises ImageError."""
    try:
        mask = np.asarray(given.cpu() if isinstance(given, torch.Tensor) else given)
    except Exception as error:  # the user's own type
        raise ImageError(f"the mask {brief_value(name)} cannot be read ({brief(error)}); give an array.") from error
    if mask.ndim != 2 or mask.dtype.kind not in "bui" or not mask.size:
        raise ImageError(f"the mask {brief_value(name)} is {brief_value(given)}; expected (H, W) of bool, or True.")
    if abs(mask.shape[0] / shape[0] - mask.shape[1] / shape[1]) * max(shape) > _ROUNDING:
        raise ImageError(
            f"the mask {brief_value(name)} has {mask.shape[0]} x {mask.shape[1]} pixels and its image {shape[0]} x "
            f"{shape[1]}; expected a mask of the image's proportions."
        )
    # Masks of Pillow are arrays of bool whose bytes are 255; here they are 1.
    return (mask.view(np.uint8) if mask.dtype == bool else mask) != 0


def _samples(
    shape: tuple[int, int], size: tuple[int, int], grid: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray] | None:
    """The rows and columns of a mask that the pixels of a grid show; None if they are all of them, in order."""
    if shape == size == grid:
        return None
    top, left, bottom, right = centre_crop(shape, size)
    spans = ((top, bottom - top, grid[0]), (left, right - left, grid[1]))
    rows, columns = ((low + (2 * np.arange(n) + 1) * extent // (2 * n)).astype(np.intp) for low, extent, n in spans)
    return rows, columns


def labelled_batches(
    data: ConceptData, net: Network, batch: int, starts: list[int], grid: tuple[int, int]
) -> Iterator[tuple[int, torch.Tensor, LabelMaps]]:
    """Yield (number of the first image, x (N, C, H, W), their concepts) of batches; a thread reads one batch ahead.

    Parameters
    ----------
    data : ConceptData
        The images with their masks.
    net : Network
        Whose input the images become.
    batch : int
        Images in a batch.
    starts : list of int
        Numbers of the first images of the batches.
    grid : tuple of int
        (h, w) of the label maps.
    """
    count = len(data)

    def read(first: int) -> tuple[torch.Tensor, LabelMaps]:
        return labelled([data.concepts(k) for k in range(first, min(first + batch, count))], net, grid)

    if not starts:
        return
    with ThreadPoolExecutor(1) as ahead:
        pending = ahead.submit(read, starts[0])
        for k, first in enumerate(starts):
            x, maps = pending.result()
            if k + 1 < len(starts):
                pending = ahead.submit(read, starts[k + 1])
            yield first, x, maps
