"""Many images, a batch at a time: read ahead in a thread while the network computes; no more than two are held."""

from __future__ import annotations

import numbers
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from ..errors import SettingError
from ..network import Network
from .pictures import bundled_images

BATCH = 16
NO_LABEL = -1
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


class Images:
    """Images by number: a list, a folder (all below it, by name), or a torch data set.

    classes: the names of its labels, where they have names. A data set's labels are the second part of its items; a
    folder's are the folders in it. Raises SettingError if it is none of these, or empty.
    """

    def __init__(self, source):
        self.classes, self._labels = _names(source), None
        if isinstance(source, (str, os.PathLike)):
            folder = Path(source)
            source = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES) if folder.is_dir() else ()
            if not source:
                raise SettingError(f"{folder} is no folder with images in it.")
            self.classes, self._labels = _subfolders(source, folder)
        if not hasattr(source, "__getitem__") or not hasattr(source, "__len__"):
            raise SettingError(
                f"images is a {type(source).__name__}; expected a list of images, a folder or a data set."
            )
        if not len(source):
            raise SettingError("images is empty; expected at least one image.")
        self.source: Sequence = source

    @classmethod
    def of(cls, net: Network, source) -> Images:
        """Those given, or the bundled ones for None."""
        return source if isinstance(source, Images) else cls(bundled_images(net) if source is None else source)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int):
        return self.item(index)[0]

    def item(self, index: int) -> tuple[object, int]:
        """An image and its label, -1 if it has none."""
        item = self.source[index]
        if isinstance(item, tuple):
            return item[0], _whole(item[1]) if len(item) > 1 else NO_LABEL
        return item, NO_LABEL if self._labels is None else int(self._labels[index])

    def batches(self, net: Network, batch: int = BATCH, starts: Sequence[int] | None = None) -> Iterator:
        """(number of the first image, x (N, C, H, W)) of one batch after another."""
        for first, x, _ in self.labelled_batches(net, batch, starts):
            yield first, x

    def labelled_batches(
        self, net: Network, batch: int = BATCH, starts: Sequence[int] | None = None
    ) -> Iterator[tuple[int, torch.Tensor, np.ndarray]]:
        """The same, each with its labels (N,). starts: where the wanted batches begin (default: all of them)."""
        starts = range(0, len(self), batch) if starts is None else list(starts)

        def read(first: int) -> tuple[torch.Tensor, np.ndarray]:
            items = [self.item(k) for k in range(first, min(first + batch, len(self)))]
            return net.pixels_of([image for image, _ in items]), np.array([label for _, label in items], np.int32)

        if not starts:
            return
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(read, starts[0])
            for k, first in enumerate(starts):
                x, labels = coming.result()
                if k + 1 < len(starts):
                    coming = ahead.submit(read, starts[k + 1])
                yield first, x, labels


def one_image(net: Network, image: object) -> torch.Tensor:
    """One image in the units of `Network.pixels_of`, (1, C, H, W). Raises SettingError for several, ImageError."""
    x = net.pixels_of(image)
    if len(x) != 1:
        raise SettingError(f"{len(x)} images were given; expected one.")
    return x


def _whole(label) -> int:
    """A label as a number; what is none, such as a mask or a sentence, counts as no label."""
    if isinstance(label, numbers.Integral):
        return int(label)
    if isinstance(label, (torch.Tensor, np.ndarray)) and label.ndim == 0 and label == int(label):
        return int(label)
    return NO_LABEL


def _names(source) -> list[str]:
    """The names of a data set's labels; of a part of a data set, the whole's."""
    while hasattr(source, "dataset") and hasattr(source, "indices"):
        source = source.dataset
    found = getattr(source, "classes", None) or getattr(source, "names", None) or ()
    if isinstance(found, str) or not hasattr(found, "__iter__"):
        return []
    return [str(name[0]) if isinstance(name, (tuple, list)) and name else str(name) for name in found]


def _subfolders(paths: Sequence[Path], folder: Path) -> tuple[list[str], np.ndarray | None]:
    """The folders that the images are in, and which of them each is in; none if some are in no folder."""
    parts = [path.relative_to(folder).parts for path in paths]
    if min(map(len, parts)) < 2:
        return [], None
    classes = sorted({part[0] for part in parts})
    number = {name: k for k, name in enumerate(classes)}
    return classes, np.array([number[part[0]] for part in parts], np.int32)
