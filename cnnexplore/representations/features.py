"""Features: the activations of many images at one layer; computed once, resumable, memory-mapped from disk."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import checked, choice, flag, optional, path, text, whole
from ..data import Images
from ..data.images import pixels_and_labels
from ..errors import LayerError, SettingError, brief_list, brief_value
from ..network import Layer, Network, features_layer, scores_if_any
from ..network.arguments import layer_name, network
from ..network.batch_size import fitting_batch, random_images
from ..sweep import Client, in_pieces, workers_of
from ..sweep import executor as any_executor
from .digests import images_digest
from .network_digest import network_digest
from .store import CLASSES, OpenStore

BATCH = 32
_LOSS = 1e-3  # of an activation's length, that float16 may lose: twice its rounding of numbers that it can hold
_VERSION = 3  # of the files; those of other versions are not read


@dataclass(frozen=True, eq=False)
class Features:
    """The activations of N images at a layer; `np.asarray(features)` is the array (N, D).

    Attributes
    ----------
    activations : np.ndarray
        (N, D) float16 or float32, usually memory-mapped; a layer's whole map is flattened.
    labels : np.ndarray
        (N,) int, the data set's labels, -1 for none.
    predicted : np.ndarray
        (N,) int, the classes that the network predicts, -1 where it is no classifier.
    numbers : np.ndarray
        (N,) int, the images' numbers in `source`.
    net : Network
        The network.
    layer : Layer
        The layer.
    source : Images
        The image set.
    folder : Path
        Where the activations are kept.
    python : str
        The call that makes them again.
    """

    activations: np.ndarray = field(repr=False)
    labels: np.ndarray = field(repr=False)
    predicted: np.ndarray = field(repr=False)
    numbers: np.ndarray = field(repr=False)
    net: Network
    layer: Layer
    source: Images = field(repr=False)
    folder: Path
    python: str = field(default="", repr=False)
    _temporary: object = field(default=None, repr=False)  # a folder that is deleted with the last part of it

    def __len__(self) -> int:
        return len(self.activations)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.activations, dtype, copy=copy) if copy else np.asarray(self.activations, dtype)

    def __getitem__(self, which: Any) -> np.ndarray:
        return self.activations[which]

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return self.activations.shape[0], self.activations.shape[1]

    @property
    def classes(self) -> list[str]:
        """The names of the classes that `labels` number; "class 3" where the data set has no names."""
        return self._names(self.labels, self.source.classes)

    @property
    def predictions(self) -> list[str]:
        """The names of the classes that `predicted` number."""
        return self._names(self.predicted, self.net.labels)

    def _names(self, numbers: np.ndarray, names: Sequence[str]) -> list[str]:
        count = int(numbers.max(initial=-1)) + 1
        return list(names) if len(names) >= count else [f"class {k}" for k in range(count)]

    def to_python(self) -> str:
        """The line of Python that makes these features again."""
        return self.python

    def of(self, name: str | int, by: str | None = None) -> Features:
        """The images of one class.

        Parameters
        ----------
        name : str or int
            The class's name, the end of it (such as "church" of "n03028079_church"), or its number.
        by : {"label", "predicted"}, optional
            By the data set's labels or by the network's predictions. Default: by labels, where there are any.

        Returns
        -------
        Features
            Their activations, held in memory.

        Raises
        ------
        SettingError
            If there are none, or `by` is unknown.
        """
        optional(choice(("label", "predicted")))("by", by)
        if not isinstance(name, str):
            name = whole(0, what="a class's name or number")("name", name)
        kind = by or ("label" if self.labels.max(initial=-1) >= 0 else "predicted")
        numbers, names = (self.labels, self.classes) if kind == "label" else (self.predicted, self.predictions)
        wanted = _class_number(name, names)
        found = np.flatnonzero(numbers == wanted) if wanted is not None else np.zeros(0, int)
        if not len(found):
            known = [names[k] for k in np.unique(numbers[numbers >= 0])]
            raise SettingError(f"no image has the {kind} {brief_value(name)}; there are {brief_list(known)}.")
        python = f"{self.python}.of({name!r}{'' if by is None else f', {by!r}'})" if self.python else ""
        return replace(self.only(found), python=python)

    def only(self, which: Sequence[int] | np.ndarray) -> Features:
        """Some of the images.

        Parameters
        ----------
        which : sequence of int or np.ndarray
            Their indices, or a mask (N,) of bool.

        Returns
        -------
        Features
            Their activations, held in memory.
        """
        which = self._checked("which", which)
        return replace(
            self,
            activations=np.array(self.activations[which]),
            labels=self.labels[which],
            predicted=self.predicted[which],
            numbers=self.numbers[which],
            python=f"{self.python}.only({np.arange(len(self))[which].tolist()})" if self.python else "",
        )

    def _checked(self, name: str, which: Any) -> np.ndarray:
        """Indices of images as an array; a mask of bool (N,) is turned into them."""
        given = which
        try:
            if isinstance(which, (list, tuple, range, torch.Tensor)):
                which = np.asarray(which) if len(which) <= 10_000_000 else None
        except Exception:  # nested lists of unequal length, or a tensor without numbers
            which = None
        if isinstance(which, np.ndarray) and which.dtype == bool and which.shape == (len(self),):
            return np.flatnonzero(which)
        valid = isinstance(which, np.ndarray) and which.ndim == 1 and (which.dtype.kind in "iu" or not which.size)
        if not valid or (which.size and not -len(self) <= which.min() <= which.max() < len(self)):
            raise SettingError(
                f"{name} is {brief_value(given)}; expected indices of the {len(self)} images, or {len(self)} bools."
            )
        return which.astype(np.int64)

    def image(self, k: int) -> Any:
        """The k-th image as the image set gives it.

        Parameters
        ----------
        k : int
            Its index here.
        """
        k = whole(-len(self), len(self) - 1, f"an index of {len(self)} images")("k", k)
        return self.source[int(self.numbers[k])]

    def pictures(self, which: Sequence[int], side: int | None = None) -> np.ndarray:
        """Images as the network saw them, (n, H, W, 3) uint8.

        Parameters
        ----------
        which : sequence of int
            Their indices here.
        side : int, optional
            Make them at most so many pixels high and wide.
        """
        side = optional(whole(1, 4096, "pixels"))("side", side)
        chosen = self._checked("which", which)
        if len(chosen) > _MOST_PICTURES:
            raise SettingError(f"which has {len(chosen)} items; expected at most {_MOST_PICTURES} images at a time.")
        found = []
        for k in np.arange(len(self))[chosen]:
            picture = self.net.picture(self.net.pixels_of(self.image(k)))
            found.append(picture if side is None else drawing.thumbnail(picture, side))
        return np.stack(found) if found else np.zeros((0, 1, 1, 3), np.uint8)


_MOST_PICTURES = 10_000  # of photographs at 227 x 227 they take 1.5 GB


def cache_place(name: str, value: Any) -> Any:
    """Where activations are kept: a folder, or a bool."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    return path("a folder, None for the computer's place for caches, or False")(name, value)


def _class_number(name: str | int, names: Sequence[str]) -> int | None:
    """The number of a class by its name, the words at the name's end, or its number; None if it is not clear."""
    if not isinstance(name, str):
        return int(name)
    same = [k for k, known in enumerate(names) if known == name]
    if len(same) > 1:
        raise SettingError(
            f"{brief_value(name)} is the name of several classes; give the number, one of {brief_list(same)}."
        )
    if same:
        return same[0]
    words = f" {name}".replace("_", " ")
    ends = [k for k, known in enumerate(names) if f" {known}".replace("_", " ").endswith(words)]
    return ends[0] if len(ends) == 1 else None


@checked(
    net=network,
    layer=optional(layer_name),
    name=optional(text("a name of the data set")),
    cache=optional(cache_place),
    dtype=choice(("float16", "float32")),
    batch=optional(whole(1, 10_000, "how many images to compute at a time")),
    executor=optional(any_executor),
    progress=flag,
)
def features(
    net: Network,
    images: object,
    layer: str | None = None,
    *,
    name: str | None = None,
    cache: str | os.PathLike[str] | bool | None = None,
    dtype: str = "float16",
    batch: int | None = None,
    executor: Executor | Client | None = None,
    progress: bool = True,
) -> Features:
    """Compute the activations of many images at a layer, once: they are kept on disk, and a pass can be resumed.

    They are kept under a key of the network's weights, the layer and the image set; 100,000 images of 1,024 numbers
    take 205 MB.

    Parameters
    ----------
    net : Network
        The network.
    images : str, os.PathLike, list, torch data set or Images
        A folder, a list or a data set, also of labelled images; read a batch at a time.
    layer : str, optional
        The layer's name; a map is flattened. Default: the layer that the class scores are computed from.
    name : str, optional
        A name of a data set that does not consist of files, so that it need not be read through to be recognised.
    cache : str, os.PathLike or bool, optional
        A folder, or False to keep nothing. Default: the environment's CNNEXPLORE_CACHE, or the user's cache folder.
    dtype : {"float16", "float32"}
        The number type. Where activations are so small that float16 would lose more than a thousandth of one's length,
        it is float32 in any case.
    batch : int, optional
        How many images to compute at a time. Default: 32 on a CPU; on a GPU, as many as its free memory holds.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Who computes the batches, such as a pool of processes; None for this process.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Features
        The activations, (N, D), with labels and predicted classes.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If an activation is not finite, or too large for the number type.
    SettingError
        If a setting is out of range, there is no image, the folder cannot be written, or the network or the images
        cannot be sent to other processes.
    ImageError
        If an image cannot be read.
    WorkerError
        If the executor has lost its workers.

    References
    ----------
    Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015, section 4.2.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> scenes = [cx.scene(seed).image for seed in range(4)]
    >>> found = cx.features(cx.load("worldnet"), scenes, cache=False, progress=False)
    >>> len(found), found.layer.name
    (4, 'relu7')
    """
    options: dict[str, Any] = {
        "name": name, "cache": cache, "dtype": dtype, "batch": batch, "executor": executor, "progress": progress,
    }  # fmt: skip
    *_, found = deque(feature_stream(net, images, layer, **options), maxlen=1)
    assert isinstance(found, Features)  # a stream ends with them
    return found


@checked(
    net=network,
    layer=optional(layer_name),
    name=optional(text("a name of the data set")),
    cache=optional(cache_place),
    dtype=choice(("float16", "float32")),
    batch=optional(whole(1, 10_000, "how many images to compute at a time")),
    executor=optional(any_executor),
    progress=flag,
)
def feature_stream(
    net: Network,
    images: object,
    layer: str | None = None,
    *,
    name: str | None = None,
    cache: str | os.PathLike[str] | bool | None = None,
    dtype: str = "float16",
    batch: int | None = None,
    executor: Executor | Client | None = None,
    progress: bool = False,
) -> Iterator[tuple[int, int] | Features]:
    """`features` as a stream: how many images are done after each batch, at the end the features.

    Parameters
    ----------
    net : Network
        The network.
    images : str, os.PathLike, list, torch data set or Images
        A folder, a list or a data set, also of labelled images.
    layer : str, optional
        The layer's name. Default: the layer that the class scores are computed from.
    name : str, optional
        A name of a data set that does not consist of files.
    cache : str, os.PathLike or bool, optional
        A folder, or False to keep nothing. Default: the environment's CNNEXPLORE_CACHE, or the user's cache folder.
    dtype : {"float16", "float32"}
        The number type. Where activations are so small that float16 would lose more than a thousandth of one's length,
        it is float32 in any case.
    batch : int, optional
        How many images to compute at a time. Default: 32 on a CPU; on a GPU, as many as its free memory holds.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Who computes the batches, such as a pool of processes; None for this process.
    progress : bool
        Whether to show a progress bar.

    Yields
    ------
    tuple of int or Features
        (images done, all images) after each batch; then the features.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If an activation is not finite, or too large for the number type.
    SettingError
        If a setting is out of range, there is no image, the folder cannot be written, or the network or the images
        cannot be sent to other processes.
    ImageError
        If an image cannot be read.
    WorkerError
        If the executor has lost its workers.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.representations import feature_stream
    >>> digits = [cx.digit(k) for k in range(4)]
    >>> *steps, found = feature_stream(cx.load("lenet"), digits, cache=False, batch=2)
    >>> steps, len(found)
    ([(2, 4), (4, 4)], 4)
    """
    where = net.layers[layer] if layer is not None else features_layer(net)
    source = images if isinstance(images, Images) else Images(images)
    if name is None:
        net.pixels_of(source[0])  # what is no image is refused before all of them are read
    network = network_digest(net, tuple(layer.name for layer in (where, scores_if_any(net)) if layer is not None))
    run = {
        "version": _VERSION, "network": network, "layer": where.path, "count": len(source),
        "images": images_digest(source, name, progress),
    }  # fmt: skip
    if batch is None:
        batch = _fitting(net, where, workers_of(executor), lambda size: _is_begun({**run, "batch": size}, where, cache))
    run["batch"] = batch
    kept = yield from _stored(net, source, where, dtype, batch, run, cache, executor, progress)
    if kept is None:
        kept = yield from _stored(net, source, where, "float32", batch, run, cache, executor, progress)
    assert kept is not None  # float32 holds all
    activations, classes, folder, temporary = kept
    numbers = np.arange(len(activations))
    given = repr(os.fspath(images)) if isinstance(images, (str, os.PathLike)) else "images"
    chosen = "" if layer is None else f", {where.name!r}"
    more = "" if dtype == "float16" else f", dtype={dtype!r}"
    python = f"cx.features({net.to_python()}, {given}{chosen}{more})"
    sides = classes["label"], classes["predicted"]
    yield Features(activations, *sides, numbers, net, where, source, folder, python, temporary)


_Kept = tuple[np.ndarray, np.ndarray, Path, object]


def _stored(
    net: Network,
    source: Images,
    where: Layer,
    dtype: str,
    batch: int,
    run: Mapping[str, object],
    cache: str | os.PathLike[str] | bool | None,
    executor: Executor | Client | None,
    progress: bool,
) -> Generator[tuple[int, int], None, _Kept | None]:
    """Compute what a store lacks; returns its arrays, its folder and what deletes that.

    Returns None if an activation is too small for the number type.
    """
    work = _Pass(net, where, dtype, source if executor is not None and not source.listed else None)
    shape = len(source), where.numbers
    run = {**run, "dtype": dtype, "width": shape[1]}
    opened = OpenStore.at(_folder(run, cache), run, shape, dtype, batch)
    store = opened.store
    try:
        missing, done = store.missing, len(source)
        done -= sum(min(batch, len(source) - first) for first in missing)
        bar = {"desc": f"features, {where.name}", "unit": "image", "disable": not (progress and missing)}
        with (
            tqdm(total=len(source), initial=done, **bar) as shown,
            _batches(work, source, batch, missing, executor, opened.temporary is None) as batches,
        ):
            for first, numbers, classes in batches:
                if numbers is None:
                    return None
                store.write(first, numbers, classes)
                done += len(classes)
                shown.update(len(classes))
                yield done, len(source)
        activations, classes = store.arrays()
    finally:
        store.close()
    opened.end()
    return activations, classes, store.folder, opened.temporary


_Computed = tuple[np.ndarray | None, np.ndarray]
"""Of a batch the activations, (N, D) of the number type or None if they are too small for it, and the classes (N,)."""


@dataclass(frozen=True)
class _Pass:
    """A pass over images; `source` is None where the images are sent with the pieces."""

    net: Network
    where: Layer
    dtype: str
    source: Images | None = None

    def batch_function(self) -> Callable[[torch.Tensor, np.ndarray], _Computed]:
        """The function of a batch x (N, C, H, W) and its labels (N,)."""
        net, where, scores = self.net, self.where, scores_if_any(self.net)
        probe = net.probe(*dict.fromkeys(layer.name for layer in (where, scores) if layer is not None))

        def computed(x: torch.Tensor, labels: np.ndarray) -> _Computed:
            with torch.no_grad():
                found = probe(net.feed(x))
            classes = np.zeros(len(x), CLASSES)
            classes["label"], classes["predicted"] = labels, _predicted(found, scores, len(x))
            return _as_numbers(found[where.name], self.dtype, where, where.numbers), classes

        return computed

    def prepare(self) -> Callable[[tuple[int, int, list | None]], _Computed]:
        """The function of a piece: the number of its first image, how many, and the images where they are sent."""
        computed = self.batch_function()

        def piece(given: tuple[int, int, list | None]) -> _Computed:
            first, count, items = given
            if items is None:
                assert self.source is not None
                items = [self.source.item(k) for k in range(first, first + count)]
            return computed(*pixels_and_labels(self.net, items))

        return piece


@contextmanager
def _batches(
    work: _Pass, source: Images, batch: int, starts: list[int], executor: Executor | Client | None, kept: bool
) -> Iterator[Iterator[tuple[int, np.ndarray | None, np.ndarray]]]:
    """A context that gives (number of the first image, activations, classes) of batches."""
    if executor is None:  # a thread reads the next batch meanwhile
        computed = work.batch_function()
        yield ((first, *computed(x, labels)) for first, x, labels in source.labelled_batches(work.net, batch, starts))
        return

    def pieces() -> Iterator[tuple[int, int, list | None]]:
        for first in starts:
            count = min(batch, len(source) - first)
            yield first, count, [source.item(k) for k in range(first, first + count)] if work.source is None else None

    with in_pieces(work, pieces(), executor, kept=kept) as found:
        yield ((piece[0], *result) for piece, result in found)


def _fitting(net: Network, where: Layer, workers: int, begun: Callable[[int], bool]) -> int:
    """The images of a batch that a device's memory holds."""
    scores = scores_if_any(net)
    probe = net.probe(*dict.fromkeys(layer.name for layer in (where, scores) if layer is not None))

    def one_pass(count: int) -> object:
        with torch.no_grad():
            return probe(net.feed(random_images(net, count)))

    return fitting_batch(net.device, one_pass, BATCH, workers, begun)


def _is_begun(run: Mapping[str, object], where: Layer, cache: str | os.PathLike[str] | bool | None) -> bool:
    """Whether a pass with these settings is kept, whole or in part."""
    folders = (_folder({**run, "dtype": kind, "width": where.numbers}, cache) for kind in ("float16", "float32"))
    return any(folder is not None and folder.is_dir() for folder in folders)


def _folder(run: Mapping[str, object], cache: str | os.PathLike[str] | bool | None) -> Path | None:
    return None if cache is False else cache_folder(cache, "features") / _key(run)


def _predicted(found: Mapping[str, torch.Tensor], scores: Layer | None, count: int) -> np.ndarray:
    """The class of the largest score of each image; -1 where a network has no class scores, or ends in maps."""
    if scores is None or scores.has_map:
        return np.full(count, -1, np.int32)
    return found[scores.name].reshape(count, -1).argmax(1).cpu().numpy()


def _as_numbers(activations: torch.Tensor, dtype: str, layer: Layer, width: int) -> np.ndarray | None:
    """A batch's activations, (N, D) of the number type; None if they are too small for it.

    Raises LayerError if they are not finite, too large for the number type, or of another shape.
    """
    values = activations.float().reshape(len(activations), -1).cpu().numpy()
    if values.shape[1] != width:
        raise LayerError(
            f"the activation of {brief_value(layer.name)} has {values.shape[1]} numbers for one of the images and "
            f"{width} for the image that the network was traced with; its shape depends on the image, "
            "so take another layer."
        )
    if not np.isfinite(values).all():
        raise LayerError(
            f"the activation of {brief_value(layer.name)} is not finite for one of the images; look at the weights."
        )
    most = float(np.abs(values).max(initial=0))
    if most > float(np.finfo(dtype).max):
        raise LayerError(
            f"the activation of {brief_value(layer.name)} has values up to {most:.3g}, too large for {dtype}; give "
            "dtype='float32' to cx.features. A panel takes what that returns in the place of the images."
        )
    rounded = values.astype(dtype)
    lost, length = (np.linalg.norm(side.astype(np.float64), axis=1) for side in (values - rounded, values))
    return None if dtype == "float16" and (lost > _LOSS * length).any() else rounded


def cache_folder(cache: str | os.PathLike[str] | bool | None, kind: str) -> Path:
    """The folder in which results of a kind are kept: the one that was given, or one of the user's.

    Parameters
    ----------
    cache : str, os.PathLike, bool or None
        A folder; anything else stands for the environment's CNNEXPLORE_CACHE, or the user's cache folder.
    kind : str
        The name of the folder in these.
    """
    if cache is None or isinstance(cache, bool):
        import platformdirs

        return Path(os.environ.get("CNNEXPLORE_CACHE") or platformdirs.user_cache_dir("cnnexplore", False)) / kind
    return Path(cache)


def _key(run: Mapping[str, object]) -> str:
    return hashlib.blake2b(repr(sorted(run.items())).encode(), digest_size=16).hexdigest()
