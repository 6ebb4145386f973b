"""What a cached pass belongs to: digests of weights and of image sets, which change when those do."""

from __future__ import annotations

import hashlib
import os

import numpy as np
import torch
from tqdm.auto import tqdm

from ..data import Images
from ..network import Network
from ..world import World


def network_digest(net: Network) -> str:
    """A digest of all that decides a network's codes: weights, layers, pixel convention, input size."""
    found = hashlib.blake2b(digest_size=20)
    found.update(repr((net.layers, net.pixels, net.size, net.module)).encode())
    for name, tensor in sorted(net.module.state_dict().items()):
        if isinstance(tensor, torch.Tensor):
            _take(found, name, tensor)
    return found.hexdigest()


def images_digest(images: Images, name: str | None = None, progress: bool = True) -> str:
    """A digest of an image set and its labels.

    Files count by path, size and time of change, pictures in memory by their pixels. A data set of files (torchvision's
    folders) counts by its files and transforms; another one is read through once, unless it is named.
    """
    found = hashlib.blake2b(digest_size=20)
    source, chosen = images.source, np.arange(len(images))
    while hasattr(source, "dataset") and hasattr(source, "indices"):  # a part of a data set
        source, chosen = source.dataset, np.asarray(source.indices)[chosen]
    files = source if isinstance(source, (list, tuple)) else getattr(source, "samples", None)
    if name is not None:
        found.update(repr(("named", name, len(images))).encode())
    elif isinstance(source, World):
        found.update(repr((source.n, source.seed, source.size, source.names, chosen.tolist())).encode())
    elif isinstance(files, (list, tuple)) and all(map(_is_file, files)):
        how = [repr(getattr(source, part, None)) for part in ("transform", "target_transform")]
        found.update(repr((how, images.classes)).encode())
        for k in chosen:
            item = files[int(k)]
            path, *label = item if isinstance(item, tuple) else (item,)
            found.update(repr((_facts(path), label)).encode())
    else:
        bar = {"desc": "which images", "unit": "image", "disable": not progress, "leave": False, "delay": 2}
        for k in tqdm(range(len(images)), **bar):
            image, label = images.item(k)
            _take(found, str(label), image)
    return found.hexdigest()


def _is_file(item) -> bool:
    return isinstance(item[0] if isinstance(item, tuple) and item else item, (str, os.PathLike))


def _facts(path) -> tuple:
    about = os.stat(path) if os.path.exists(path) else None  # that it is missing is told when it is read
    return (os.path.abspath(path), about and (about.st_size, about.st_mtime_ns))


def _take(found, name: str, value) -> None:
    """Adds an array, a tensor, a picture, a file's bytes or a path to a digest."""
    if isinstance(value, torch.Tensor):
        flat = value.detach().cpu().contiguous().reshape(-1)
        kind, value = (tuple(value.shape), str(value.dtype)), flat.view(torch.uint8).numpy().tobytes()
    elif isinstance(value, (str, os.PathLike)):
        kind, value = "path", repr(_facts(value)).encode()
    elif isinstance(value, (bytes, bytearray, memoryview)):
        kind = len(value)
    else:
        array = np.asarray(value)
        kind, value = (array.shape, array.dtype.str), array.tobytes()
    found.update(repr((name, kind)).encode())
    found.update(value)
