"""Many images, a batch at a time: read ahead in a thread while the network computes; no more than two are held."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from ..data import at_hand
from ..errors import SettingError
from ..network import Network

BATCH = 16
_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


class Images:
    """Images by number: a list, a folder (all below it, by name), or a torch data set, whose labels are left out."""

    def __init__(self, source):
        if isinstance(source, (str, os.PathLike)):
            folder = Path(source)
            source = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES) if folder.is_dir() else ()
            if not source:
                raise SettingError(f"{folder} is no folder with images in it.")
        if not hasattr(source, "__getitem__") or not hasattr(source, "__len__"):
            raise SettingError(
                f"images is a {type(source).__name__}; expected a list of images, a folder or a data set."
            )
        if not len(source):
            raise SettingError("images is empty; expected at least one image.")
        self._source: Sequence = source

    @classmethod
    def of(cls, net: Network, source) -> Images:
        """Those given, or the pictures at hand for None."""
        return source if isinstance(source, Images) else cls(at_hand(net) if source is None else source)

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int):
        item = self._source[index]
        return item[0] if isinstance(item, tuple) else item

    def batches(self, net: Network, batch: int = BATCH) -> Iterator[tuple[int, torch.Tensor]]:
        """(number of the first image, x (N, C, H, W)) of one batch after another."""
        starts = range(0, len(self), batch)

        def read(first: int) -> torch.Tensor:
            return net.pixels_of([self[k] for k in range(first, min(first + batch, len(self)))])

        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(read, 0)
            for first in starts:
                x = coming.result()
                if first + batch < len(self):
                    coming = ahead.submit(read, first + batch)
                yield first, x


def largest(
    known: tuple[torch.Tensor, ...] | None, found: tuple[torch.Tensor, ...], k: int
) -> tuple[torch.Tensor, ...]:
    """The k largest columns of two tables: (values (U, N), what goes with each value (U, N), ...); largest first."""
    if known is not None:
        found = tuple(torch.cat(pair, 1) for pair in zip(known, found, strict=True))
    _, which = found[0].topk(min(k, found[0].shape[1]), 1)
    return tuple(one.gather(1, which) for one in found)
