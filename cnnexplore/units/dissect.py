"""Network dissection: one pass over images with masks gives each unit of a layer the concept that it detects."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from ..arguments import checked, choice, flag, fraction, number, optional, several, small_seed, text, whole
from ..data.concepts import ConceptData, concept_data
from ..data.images import BATCH
from ..errors import SettingError, brief_value
from ..network import Layer, Network
from ..network.arguments import layer_name, network
from ..network.batch_size import fitting_batch, random_images
from ..representations.digests import concepts_digest
from ..representations.features import cache_folder, cache_place
from ..representations.folder_lock import FolderInUse, NoLocks, lock_folder
from ..representations.network_digest import network_digest
from ..results import value_to_python
from ..sweep import Client, workers_of
from ..sweep import executor as any_executor
from .dissection import Dissection
from .dissection_blocks import Blocks
from .dissection_counts import write_result
from .dissection_pass import run_pass, sites_of
from .rotation import random_rotation
from .tally import reduced

_VERSION = 2
_BLOCK = 64  # images in a file, at least
NULLS = ("rotation", "masks")


def _layers(name: str, value: Any) -> Any:
    """The name of a layer, or a list of names."""
    if isinstance(value, str):
        return layer_name(name, value)
    found = several(layer_name, "the name of a layer, or a list of names", 1000)(name, value)
    if not found:
        raise SettingError(f"{name} is an empty list; name at least one layer.")
    return found


_checks = checked(
    net=network,
    layer=_layers,
    dataset=concept_data,
    quantile=number(0, 0.5, "a share of the activations", above=True),
    threshold=fraction("an intersection over union"),
    null=optional(choice(NULLS)),
    power=number(0, 1, "a power of the rotation"),
    reduce=whole(1, 1024, "pixels in a row"),
    k=whole(1, 1000, "how many images of each unit"),
    seed=small_seed,
    name=optional(text("a name of the data set")),
    cache=optional(cache_place),
    batch=optional(whole(1, 10_000, "how many images to compute at a time")),
    executor=optional(any_executor),
    progress=flag,
)


@overload
def dissect(net: Network, layer: str, dataset: ConceptData, **options: Any) -> Dissection: ...


@overload
def dissect(net: Network, layer: Sequence[str], dataset: ConceptData, **options: Any) -> list[Dissection]: ...


@_checks  # type: ignore[misc]  # the overloads leave out the settings, which have one type each
def dissect(
    net: Network,
    layer: str | Sequence[str],
    dataset: ConceptData,
    *,
    quantile: float = 0.005,
    threshold: float = 0.04,
    null: str | None = None,
    power: float = 1.0,
    reduce: int = 1,
    k: int = 5,
    seed: int = 0,
    name: str | None = None,
    cache: str | os.PathLike[str] | bool | None = None,
    batch: int | None = None,
    executor: Executor | Client | None = None,
    progress: bool = True,
) -> Dissection | list[Dissection]:
    """Find the concept that each unit of a layer detects best, over a data set with masks: network dissection.

    A unit is active at a pixel if its map, interpolated between the centres of its receptive fields, exceeds the
    unit's threshold: the activation that at most a share `quantile` of all its activations exceed. Its score for a
    concept is the intersection over union of active pixels and the concept's pixels over the whole data set; of active
    pixels, only those in images that carry the concept's category count. The score is a measure of overlap: it does
    not say that the unit causes anything (see `intervene`), and 0.04 is a convention (see `null`).

    The network runs once over the data set. Memory does not grow with the number of images. The pass goes on where it
    was stopped, and what it came to is kept, for data sets that can be recognised: those of `cx.world`, those of
    `cx.concept_images`, and others that have a `name`.

    Parameters
    ----------
    net : Network
        The network.
    layer : str or sequence of str
        A layer's name, or several, which share one pass.
    dataset : ConceptData
        Images with masks of concepts, such as ``cx.world.dataset(1000)`` or ``cx.concept_images(folder)``, or an
        object of your own with ``len()`` and ``concepts(k)``.
    quantile : float
        The share of a unit's activations that are active.
    threshold : float
        The score above which a unit detects a concept.
    null : {"rotation", "masks"}, optional
        Also dissect what has no units that were trained to be detectors: "rotation", a random rotation of the layer's
        units; "masks", the same units against the masks of other images. The result's `null` holds it.
    power : float
        Of the rotation: 1 is the whole rotation, 0.5 one by half of its angles.
    reduce : int
        Count one pixel for each square of so many pixels; the published figures use 2.
    k : int
        How many of its strongest images to remember of each unit.
    seed : int
        Of the rotation, or of the order of the masks.
    name : str, optional
        A name of a data set of your own, by which a kept pass is found again.
    cache : str, os.PathLike or bool, optional
        A folder, or False to keep nothing. Default: the environment's CNNEXPLORE_CACHE, or the user's cache folder.
    batch : int, optional
        How many images to compute at a time. Default: 16 on a CPU; on a GPU, as many as its free memory holds.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Who computes the blocks of images, such as a pool of processes; None for this process.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Dissection or list of Dissection
        Thresholds, counts and words of all units; for several layers a list.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If an activation is not finite.
    SettingError
        If a setting is out of range, the folder cannot be written, or the network or the data set cannot be sent to
        other processes.
    ImageError
        If an image or a mask cannot be read.
    WorkerError
        If the executor has lost its workers.

    References
    ----------
    Bau, Zhou, Khosla, Oliva and Torralba, Network dissection: quantifying interpretability of deep visual
    representations, 2017.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> found = cx.dissect(cx.load("worldnet"), "conv5", cx.world.dataset(40, seed=1), cache=False, progress=False)
    >>> len(found.words), found.categories
    (96, ['colour', 'material', 'object', 'part', 'scene', 'texture'])
    """
    options: dict[str, Any] = {
        "quantile": quantile, "threshold": threshold, "null": null, "power": power, "reduce": reduce, "k": k,
        "seed": seed, "name": name, "cache": cache, "batch": batch, "executor": executor, "progress": progress,
    }  # fmt: skip
    *_, found = deque(dissect_stream(net, layer, dataset, **options), maxlen=1)
    assert not isinstance(found, tuple)  # a stream ends with the dissection
    return found


@_checks
def dissect_stream(
    net: Network,
    layer: str | Sequence[str],
    dataset: ConceptData,
    *,
    quantile: float = 0.005,
    threshold: float = 0.04,
    null: str | None = None,
    power: float = 1.0,
    reduce: int = 1,
    k: int = 5,
    seed: int = 0,
    name: str | None = None,
    cache: str | os.PathLike[str] | bool | None = None,
    batch: int | None = None,
    executor: Executor | Client | None = None,
    progress: bool = False,
) -> Iterator[tuple[int, int] | Dissection | list[Dissection]]:
    """`dissect` as a stream: how many images are done after each block of images, at the end the dissection.

    Parameters
    ----------
    net : Network
        The network.
    layer : str or sequence of str
        A layer's name, or several.
    dataset : ConceptData
        Images with masks of concepts.
    quantile : float
        The share of a unit's activations that are active.
    threshold : float
        The score above which a unit detects a concept.
    null : {"rotation", "masks"}, optional
        Also dissect rotated units, or against the masks of other images.
    power : float
        Of the rotation.
    reduce : int
        Count one pixel for each square of so many pixels.
    k : int
        How many of its strongest images to remember of each unit.
    seed : int
        Of the rotation, or of the order of the masks.
    name : str, optional
        A name of a data set of your own.
    cache : str, os.PathLike or bool, optional
        A folder, or False to keep nothing.
    batch : int, optional
        How many images to compute at a time. Default: 16 on a CPU; on a GPU, as many as its free memory holds.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Who computes the blocks of images, such as a pool of processes; None for this process.
    progress : bool
        Whether to show a progress bar.

    Yields
    ------
    tuple of int, Dissection or list of Dissection
        (images done, all images); then the dissection, or a list of them for several layers.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If an activation is not finite.
    SettingError
        If a setting is out of range, the folder cannot be written, or the network or the data set cannot be sent to
        other processes.
    ImageError
        If an image or a mask cannot be read.
    WorkerError
        If the executor has lost its workers.
    """
    single = isinstance(layer, str)
    where = [net.layers[one] for one in dict.fromkeys([layer] if isinstance(layer, str) else layer)]
    run: dict[str, Any] = {
        "version": _VERSION, "count": len(dataset),
        "layers": [one.path for one in where], "quantile": quantile, "reduce": reduce, "k": k,
        "null": null and (null, seed, power if null == "rotation" else 1.0),
    }  # fmt: skip
    settings = {"quantile": quantile, "threshold": threshold, "null": null, "power": power, "reduce": reduce, "k": k,
                "seed": seed, "name": name}  # fmt: skip
    with ExitStack() as stack:
        places = _Places(net, where, run, dataset, name, cache)
        if batch is None:
            batch = _fitting(net, where, workers_of(executor), lambda size: places.folder(size).is_dir())
        size = _block_size(batch)
        blocks = places.opened(stack, batch)
        kept = blocks.result()
        if kept is None:
            sites = sites_of(net, where, len(dataset), quantile, reduce, null, power, seed)
            done = run_pass(net, dataset, sites, blocks, size, batch, k, executor, places.key is not None, progress)
            yield from done
            write_result(blocks, sites, size, len(dataset), null, seed, k)
            kept = blocks.result()
            assert kept is not None  # it was written a moment ago
    arrays, words = kept
    python = _to_python(net, where, single, dataset, settings)
    found = []
    for j, one in enumerate(where):
        common: dict[str, Any] = {
            "layer": one, "net": net, "dataset": dataset, "seen": len(dataset), "quantile": quantile,
            "threshold": threshold, "grid": reduced(net.size, reduce), "python": python if single else f"{python}[{j}]",
        }  # fmt: skip
        control = None
        if null is not None:
            basis = random_rotation(one.channels, power, seed) if null == "rotation" else None
            null_python = {**common, "python": f"{common['python']}.null"}
            control = Dissection(**_of(arrays, words, f"{j}n"), **null_python, basis=basis)
        found.append(Dissection(**_of(arrays, words, f"{j}"), **common, null=control))
    yield found[0] if single else found


def _block_size(batch: int) -> int:
    """Images of a block: whole batches, 64 or more."""
    return batch * max(1, -(-_BLOCK // batch))


def _fitting(net: Network, layers: list[Layer], workers: int, begun: Callable[[int], bool]) -> int:
    """The images of a batch that a device's memory holds."""
    probe = net.probe(*(one.name for one in layers))

    def one_pass(count: int) -> object:
        with torch.no_grad():
            found = probe(net.feed(random_images(net, count)))
            return [found[one.name].float() > 0 for one in layers for _ in range(4)]  # the pass compares and pools maps

    return fitting_batch(net.device, one_pass, BATCH, workers, begun)


class _Places:
    """Where the blocks of a pass are kept, for each size of a batch.

    key: what the pass is of, without the batch; None where it is not kept.
    """

    def __init__(
        self, net: Network, layers: list[Layer], run: dict[str, Any], data: ConceptData, name: str | None, cache: Any
    ):
        digest = None if cache is False else concepts_digest(data, name)
        if digest is None and cache not in (None, False, True):
            raise SettingError(
                f"the pass cannot be kept in {brief_value(os.fspath(cache))}: dataset is of a class of your own, which "
                "is not recognised the next time; give it a name=, or cache=False."
            )
        self._cache = cache
        self.key: dict[str, Any] | None = None
        if digest is not None:
            self.key = {**run, "data": digest, "network": network_digest(net, [one.name for one in layers])}

    def folder(self, batch: int) -> Path:
        run = {**(self.key or {}), "block": _block_size(batch), "batch": batch}
        name = hashlib.blake2b(repr(sorted(run.items())).encode(), digest_size=16).hexdigest()
        return cache_folder(self._cache, "dissections") / name

    def opened(self, stack: ExitStack, batch: int) -> Blocks:
        """The folder of a pass: the kept one, or one that is deleted at the end."""
        if self.key is not None:
            blocks = Blocks(self.folder(batch))
            if blocks.result() is not None:
                return blocks
            try:
                stack.callback(lock_folder(blocks.folder).close)
                blocks.clean()
                return blocks
            except (FolderInUse, NoLocks):  # this pass works apart
                self.key = None
            except OSError as error:
                raise blocks.unwritable(error) from error
        temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        stack.callback(temporary.cleanup)
        return Blocks(Path(temporary.name))


def _of(arrays: dict[str, np.ndarray], words: dict[str, Any], key: str) -> dict[str, Any]:
    """The fields of a Dissection that were kept."""
    names = ("thresholds", "share", "minimum", "intersection", "activation", "truth", "top_values", "top_images")
    found = {name: arrays[f"{key}_{name}"] for name in names}
    return {**found, **words[key], "maximum": found["top_values"][:, 0]}


def _to_python(net: Network, layers: list[Layer], single: bool, dataset: Any, settings: dict[str, Any]) -> str:
    names = [layer.name for layer in layers]
    words = [net.to_python(), repr(names[0] if single else names)]
    words.append(dataset.to_python() if hasattr(dataset, "to_python") else "dataset")
    usual = dissect.__wrapped__.__kwdefaults__  # type: ignore[attr-defined]
    words += [f"{key}={value_to_python(value)}" for key, value in settings.items() if value != usual[key]]
    return f"cx.dissect({', '.join(words)})"
