"""Many images in batches. A thread reads one batch ahead, so that at most two are in memory."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..arguments import path
from ..errors import SettingError, brief, brief_value
from ..network import Network
from ..network.image_file import image_files, refuse_address
from .columns import Columns, behind_loader, refuse_splits
from .pictures import bundled_images

BATCH = 16
NO_LABEL = -1


class Images:
    """Images by number, from a list, a folder or a data set.

    Parameters
    ----------
    source : list, str, os.PathLike or data set
        A list of images that `Network.pixels_of` takes; an array (N, H, W, C) or a tensor (N, C, H, W); a folder, with
        all images in it and its subfolders, whose names are the labels (hidden files are left out); a torch data set,
        whose items may be (image, label) or dicts, or a DataLoader of one, whose data set is taken in its own order; or
        a split of a Hugging Face data set, whose features say which column is the image and which the label.

    Attributes
    ----------
    classes : list of str
        Names of the labels; empty if they have none.

    Raises
    ------
    SettingError
        If the source is none of these, or empty.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.data import Images
    >>> images = Images(cx.world.dataset(20, seed=1))
    >>> len(images), images.classes[:2]
    (20, ['house', 'church'])
    """

    def __init__(self, source: Any):
        source = behind_loader(source)
        self.classes, self._labels = _names(source), None
        self._columns: Columns | None = None
        if isinstance(source, (str, os.PathLike)):
            refuse_address(source)
            folder = path("a list of images, a folder or a data set")("images", source)
            source = image_files(folder, "**/*") if folder.is_dir() else []
            if not source:
                raise SettingError(f"{brief_value(str(folder))} is not a folder with images in it.")
            self.classes, self._labels = _subfolders(source, folder)
        refuse_splits(source)
        listed = hasattr(source, "__getitem__") and hasattr(source, "__len__")
        if not listed or isinstance(source, (type, Mapping, bytes, bytearray, memoryview)):
            raise SettingError(f"images is {brief_value(source)}; expected a list of images, a folder or a data set.")
        try:
            count = len(source)
        except Exception as error:  # an array without a dimension; or the user's own type
            raise SettingError(f"images has no length ({brief(error)}); expected a list of images.") from error
        if not count:
            raise SettingError("images is empty; expected at least one image.")
        self.source: Sequence = source
        if isinstance(features := getattr(source, "features", None), Mapping):  # else the first item tells
            self._columns = Columns(source, features)
            self.classes = self._columns.classes or self.classes

    @classmethod
    def of(cls, net: Network, source: Any) -> Images:
        """Images of a source, or the bundled ones for None.

        Parameters
        ----------
        net : Network
            Decides which bundled images are taken.
        source : Images, list, str, os.PathLike, data set or None
            As for the constructor.

        Returns
        -------
        Images
            The images.
        """
        return source if isinstance(source, Images) else cls(bundled_images(net) if source is None else source)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Any:
        return self.item(index)[0]

    def item(self, index: int) -> tuple[Any, int]:
        """An image and its label.

        Parameters
        ----------
        index : int
            Number of the image.

        Returns
        -------
        tuple
            The image, and its label or -1.
        """
        item = self.source[index]
        if isinstance(item, Mapping):
            self._columns = self._columns or Columns(self.source, item)
            image, label = self._columns.split(item)
            return image, _label(label)
        if isinstance(item, tuple):
            return item[0], _label(item[1]) if len(item) > 1 else NO_LABEL
        return item, NO_LABEL if self._labels is None else int(self._labels[index])

    @property
    def listed(self) -> bool:
        """Whether an item costs nothing to take: a path, or an image that is in memory."""
        return isinstance(self.source, (list, tuple, np.ndarray, torch.Tensor))

    def batches(
        self, net: Network, batch: int = BATCH, starts: Sequence[int] | None = None
    ) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield (number of the first image, x (N, C, H, W)) of each batch.

        Parameters
        ----------
        net : Network
            Whose input the images become.
        batch : int
            Images in a batch.
        starts : sequence of int, optional
            Numbers of the first images of the batches (default: all batches).
        """
        for first, x, _ in self.labelled_batches(net, batch, starts):
            yield first, x

    def labelled_batches(
        self, net: Network, batch: int = BATCH, starts: Sequence[int] | None = None
    ) -> Iterator[tuple[int, torch.Tensor, np.ndarray]]:
        """Yield (number of the first image, x (N, C, H, W), labels (N,)) of each batch.

        Parameters
        ----------
        net : Network
            Whose input the images become.
        batch : int
            Images in a batch.
        starts : sequence of int, optional
            Numbers of the first images of the batches (default: all batches).
        """
        starts = range(0, len(self), batch) if starts is None else list(starts)

        def read(first: int) -> tuple[torch.Tensor, np.ndarray]:
            return pixels_and_labels(net, [self.item(k) for k in range(first, min(first + batch, len(self)))])

        if not starts:
            return
        with ThreadPoolExecutor(1) as ahead:
            pending = ahead.submit(read, starts[0])
            for k, first in enumerate(starts):
                x, labels = pending.result()
                if k + 1 < len(starts):
                    pending = ahead.submit(read, starts[k + 1])
                yield first, x, labels


def pixels_and_labels(net: Network, items: list[tuple[Any, int]]) -> tuple[torch.Tensor, np.ndarray]:
    """Images with labels as a network's input (N, C, H, W), and the labels (N,)."""
    return net.pixels_of([image for image, _ in items]), np.array([label for _, label in items], np.int32)


def one_image(net: Network, image: object) -> torch.Tensor:
    """One image in the units of `Network.pixels_of`, (1, C, H, W). Raises SettingError for several, ImageError."""
    x = net.pixels_of(image)
    if len(x) != 1:
        raise SettingError(f"{len(x)} images were given; expected one.")
    return x


def _label(label: Any) -> int:
    """A label as a number; -1 for anything else, such as a mask or a sentence."""
    if isinstance(label, numbers.Integral):
        return int(label)
    if isinstance(label, (torch.Tensor, np.ndarray)) and label.ndim == 0 and label == int(label):
        return int(label)
    return NO_LABEL


def _names(source: Any) -> list[str]:
    """The names of a data set's labels; for a subset, those of the data set that it is part of."""
    while hasattr(source, "dataset") and hasattr(source, "indices"):
        source = source.dataset
    found = getattr(source, "classes", None) or getattr(source, "names", None) or ()
    if isinstance(found, str) or not hasattr(found, "__iter__"):
        return []
    return [str(name[0]) if isinstance(name, (tuple, list)) and name else str(name) for name in found]


def _subfolders(paths: Sequence[Path], folder: Path) -> tuple[list[str], np.ndarray | None]:
    """The names of the subfolders, and the number of each image's one; none if an image is in no subfolder."""
    parts = [path.relative_to(folder).parts for path in paths]
    if min(map(len, parts)) < 2:
        return [], None
    classes = sorted({part[0] for part in parts})
    number = {name: k for k, name in enumerate(classes)}
    return classes, np.array([number[part[0]] for part in parts], np.int32)
