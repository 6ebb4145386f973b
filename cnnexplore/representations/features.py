"""Codes of many images at one layer: one pass, resumable, kept on disk, read from there without being loaded."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..data import Images
from ..errors import LayerError, SettingError
from ..network import Layer, Network, features_layer
from .digests import images_digest, network_digest
from .store import FACTS, Store

BATCH = 32
_VERSION = 1  # of what is kept; another one is made anew


@dataclass(frozen=True, eq=False)
class Features:
    """The codes of N images at a layer: an array (N, D), float16, usually memory-mapped; `np.asarray` gives it.

    labels: (N,), the data set's, -1 for none; predicted: (N,), the network's own answers, -1 where it is no classifier.
    numbers: (N,), which images of `source` these are. folder: where the codes are kept.
    """

    activations: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    predicted: np.ndarray = field(repr=False)
    numbers: np.ndarray = field(repr=False)
    net: Network
    layer: Layer
    source: Images = field(repr=False)
    folder: Path
    _keeper: object = field(default=None, repr=False)  # a folder that goes when nobody needs it any more

    def __len__(self) -> int:
        return len(self.activations)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return np.array(self.activations, dtype, copy=copy) if copy else np.asarray(self.activations, dtype)

    def __getitem__(self, which) -> np.ndarray:
        return self.activations[which]

    @property
    def shape(self) -> tuple[int, int]:
        return self.activations.shape

    @property
    def classes(self) -> list[str]:
        """The names that `labels` count by, "" where they have none."""
        return self._names(self.labels, self.source.classes)

    @property
    def predictions(self) -> list[str]:
        """The names that `predicted` counts by."""
        return self._names(self.predicted, self.net.labels)

    def _names(self, numbers: np.ndarray, names: Sequence[str]) -> list[str]:
        most = int(numbers.max(initial=-1)) + 1
        return list(names) if len(names) >= most else [f"class {k}" for k in range(most)]

    def of(self, name: str | int, by: str | None = None) -> Features:
        """Those of one class, by its label or, where there are no labels or by="predicted", by what the network says.

        Raises SettingError if there are none.
        """
        if by not in (None, "label", "predicted"):
            raise SettingError(f"by is {by!r}; expected 'label' or 'predicted'.")
        by = by or ("label" if self.labels.max(initial=-1) >= 0 else "predicted")
        numbers, names = (self.labels, self.classes) if by == "label" else (self.predicted, self.predictions)
        wanted = names.index(name) if name in names else name
        if isinstance(wanted, str):  # a folder's name such as "n03028079_church"
            said = f" {name}".replace("_", " ")
            ends = [k for k, known in enumerate(names) if f" {known}".replace("_", " ").endswith(said)]
            wanted = ends[0] if len(ends) == 1 else None
        found = np.flatnonzero(numbers == wanted) if wanted is not None else []
        if not len(found):
            there = [names[k] for k in np.unique(numbers[numbers >= 0])]
            raise SettingError(f"no image has the {by} {name!r}; there are {', '.join(there[:30])}.")
        return self.only(found)

    def only(self, which) -> Features:
        """Those of some images, by their place here: numbers or a mask; their codes are held in memory."""
        parts = {name: getattr(self, name)[which] for name in ("activations", "labels", "predicted", "numbers")}
        return replace(self, **{name: np.array(part) for name, part in parts.items()})

    def image(self, k: int):
        """The k-th image as the image set gives it."""
        return self.source[int(self.numbers[k])]

    def pictures(self, which: Sequence[int], side: int | None = None) -> np.ndarray:
        """Images as the network saw them, (n, H, W, 3) uint8. side: at most so many pixels high and wide."""
        found = []
        for k in which:
            picture = self.net.picture(self.net.pixels_of(self.image(k)))
            found.append(picture if side is None else drawing.thumbnail(picture, side))
        return np.stack(found) if found else np.zeros((0, 1, 1, 3), np.uint8)


def features(
    net: Network,
    images,
    layer: str | None = None,
    *,
    name: str | None = None,
    cache: str | os.PathLike | bool | None = None,
    dtype: str = "float16",
    batch: int = BATCH,
    progress: bool = True,
) -> Features:
    """The codes of all images at a layer, (N, D) of one number each, kept on disk; a pass that was killed goes on.

    images: a folder, a list or a torch data set, also of labelled images; read a batch at a time. layer: default the
    one that the class scores are computed from (fc7 after its relu); of one with positions the whole map, flattened.
    name: of a data set that is none of files, so that it need not be read through to be known again. cache: a folder
    (default: the computer's place for caches, or the environment's CNNEXPLORE_CACHE), or False to keep nothing. Kept
    under a key of weights, layer and image set; 100,000 images of 1,024 channels take 205 MB. dtype: float16 or
    float32. Raises LayerNotFound, LayerError, SettingError, ImageError.
    Source: intraclass2015, section 4.2.
    """
    options = {"name": name, "cache": cache, "dtype": dtype, "batch": batch, "progress": progress}
    *_, found = deque(feature_stream(net, images, layer, **options), maxlen=1)
    return found


def feature_stream(
    net: Network, images, layer: str | None = None, *, name=None, cache=None, dtype="float16", batch=BATCH,
    progress: bool = False,
) -> Iterator[tuple[int, int] | Features]:  # fmt: skip
    """`features` as a stream: (done, all) after each batch, at the end the Features."""
    where = net.layers[layer] if layer is not None else features_layer(net)
    source = images if isinstance(images, Images) else Images(images)
    if dtype not in ("float16", "float32"):
        raise SettingError(f"dtype is {dtype!r}; expected 'float16' or 'float32'.")
    if not isinstance(batch, int) or batch < 1:
        raise SettingError(f"batch is {batch!r}; expected how many images at a time, 1 or more.")
    scores = net.scores
    probe = net.probe(*dict.fromkeys((where.name, scores.name)))
    width = where.channels * where.size[0] * where.size[1]
    keeper = tempfile.TemporaryDirectory(ignore_cleanup_errors=True) if cache is False else None
    about = {
        "version": _VERSION, "network": network_digest(net), "layer": where.path, "dtype": dtype, "batch": batch,
        "images": images_digest(source, name, progress), "count": len(source), "width": width,
    }  # fmt: skip
    folder = Path(keeper.name) if keeper else _folder(cache) / _key(about)
    store = Store(folder, (len(source), width), dtype, batch, about | {"of": net.name, "name": where.name})
    missing, done = store.missing, len(source)
    done -= sum(min(batch, len(source) - first) for first in missing)
    shown = {"desc": f"features, {where.name}", "unit": "image", "disable": not (progress and missing)}
    with tqdm(total=len(source), initial=done, **shown) as bar:
        for first, x, labels in source.labelled_batches(net, batch, missing):
            with torch.no_grad():
                codes = probe(net.feed(x))
                facts = np.zeros(len(x), FACTS)
                facts["label"], facts["predicted"] = labels, _answers(codes[scores.name])
                store.write(first, _numbers(codes[where.name], dtype, where), facts)
            done += len(x)
            bar.update(len(x))
            yield done, len(source)
    codes, facts = store.arrays()
    numbers = np.arange(len(codes))
    yield Features(codes, facts["label"], facts["predicted"], numbers, net, where, source, folder, keeper)


def _answers(scores: torch.Tensor) -> np.ndarray:
    """The class of the largest score of each image; -1 where a network ends in maps."""
    if scores[0].numel() != scores.shape[1]:
        return np.full(len(scores), -1, np.int32)
    return scores.flatten(1).argmax(1).cpu().numpy()


def _numbers(code: torch.Tensor, dtype: str, layer: Layer) -> np.ndarray:
    """A batch's code as it is kept. Raises LayerError if it does not fit the number type."""
    values = code.float().flatten(1).cpu().numpy()
    if not np.isfinite(values).all():
        raise LayerError(f"the code of {layer.name!r} is not finite for one of the images; look at the weights.")
    most = float(np.abs(values).max(initial=0))
    if most > float(np.finfo(dtype).max):
        raise LayerError(
            f"the code of {layer.name!r} has values up to {most:.3g}, too large for {dtype}; give dtype='float32'."
        )
    return values.astype(dtype)


def _folder(cache) -> Path:
    if cache is None or cache is True:
        import platformdirs

        return Path(os.environ.get("CNNEXPLORE_CACHE") or platformdirs.user_cache_dir("cnnexplore", False)) / "features"
    return Path(cache)


def _key(about: dict) -> str:
    return hashlib.blake2b(repr(sorted(about.items())).encode(), digest_size=16).hexdigest()
