"""Digests of image sets: part of the key of a cache, which changes when what is cached would."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ..data import Images
from ..world import World

DIGEST_BYTES = 20


def images_digest(images: Images, name: str | None = None, progress: bool = True) -> str:
    """A digest of an image set and its labels.

    Files count by path, size and time of change, pictures in memory by their pixels. A data set of files (torchvision's
    folders) counts by its files and transforms. Any other data set is read through once, unless it has a name.
    """
    digest = hashlib.blake2b(digest_size=DIGEST_BYTES)
    source: Any = images.source
    chosen = np.arange(len(images))
    while hasattr(source, "dataset") and hasattr(source, "indices"):  # a part of a data set
        source, chosen = source.dataset, np.asarray(source.indices)[chosen]
    files = source if isinstance(source, (list, tuple)) else getattr(source, "samples", None)
    if name is not None:
        digest.update(repr(("named", name, len(images))).encode())
    elif isinstance(source, World):
        digest.update(repr((source.n, source.seed, source.size, source.names, chosen.tolist())).encode())
    elif isinstance(files, (list, tuple)) and all(map(_is_file, files)):
        transforms = [repr(getattr(source, part, None)) for part in ("transform", "target_transform")]
        digest.update(repr((transforms, images.classes)).encode())
        for k in chosen:
            item = files[int(k)]
            path, *label = item if isinstance(item, tuple) else (item,)
            digest.update(repr((_file_state(path), label)).encode())
    else:
        bar = {"desc": "digest of the images", "unit": "image", "disable": not progress, "leave": False, "delay": 2}
        for number in tqdm(range(len(images)), **bar):
            image, item_label = images.item(number)
            add_bytes(digest, str(item_label), image)
    return digest.hexdigest()


def concepts_digest(dataset: Any, name: str | None = None) -> str | None:
    """A digest of images with masks of concepts; None for a data set that cannot be recognised without being read.

    Those of the world count by their settings, others by their own `digest()`, or by a name.
    """
    if name is not None or isinstance(dataset, World):
        return images_digest(Images(dataset), name) if isinstance(dataset, World) else f"named {name} {len(dataset)}"
    own = getattr(dataset, "digest", None)
    return str(own()) if callable(own) else None


def _is_file(item: object) -> bool:
    return isinstance(item[0] if isinstance(item, tuple) and item else item, (str, os.PathLike))


def _file_state(path: str | os.PathLike[str]) -> tuple:
    state = os.stat(path) if os.path.exists(path) else None  # a missing file is an error when it is read
    return (os.path.abspath(path), state and (state.st_size, state.st_mtime_ns))


def add_bytes(digest: Any, name: str, value: object) -> None:
    """Add an array, a tensor, a picture, a file's bytes or a path to a digest."""
    kind: object
    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        kind, data = (tuple(value.shape), str(value.dtype)), flat.view(torch.uint8).numpy().tobytes()
    elif isinstance(value, (str, os.PathLike)):
        kind, data = "path", repr(_file_state(value)).encode()
    elif isinstance(value, (bytes, bytearray, memoryview)):
        kind, data = len(value), bytes(value)
    else:
        array = np.asarray(value)
        kind, data = (array.shape, array.dtype.str), array.tobytes()
    digest.update(repr((name, kind)).encode())
    digest.update(data)
