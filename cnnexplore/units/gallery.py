"""A gallery: what maximises each unit of one layer, or of all layers, computed in batches and kept on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ..arguments import checked, choice, flag, optional, several, whole
from ..errors import SettingError
from ..network import Layer, Network, hands_values_on, resolve_units
from ..network.arguments import layer_name, network
from ..network.batch_size import fitting_batch
from ..preimage import maximize, presets, solvers
from ..preimage.arguments import RUN
from ..preimage.unit_canvas import unit_canvas
from ..representations.features import cache_folder, cache_place
from ..representations.network_digest import network_digest
from ..representations.store import OpenStore
from ..results import unit_to_python, value_to_python
from ..sweep import Client, in_pieces, workers_of
from ..sweep import executor as any_executor
from .gallery_result import Gallery

_VERSION = 1
_BATCH = 8  # units of a batch on a CPU: more are no faster, and a sweep that is stopped loses more
_RESPONSE = np.dtype([("response", "<f4")])


def _layers(name: str, value: Any) -> Any:
    """The name of a layer, or a list of names."""
    if isinstance(value, str):
        return layer_name(name, value)
    found = several(layer_name, "the name of a layer, or a list of names", 1000)(name, value)
    if not found:
        raise SettingError(f"{name} is an empty list; name at least one layer, or give None for all.")
    return found


@checked(
    net=network,
    layer=optional(_layers),
    preset=optional(choice(presets)),
    steps=optional(RUN["steps"]),
    seed=whole(0, what="the seed of a random generator, a whole number"),
    solver=optional(choice(solvers)),
    cache=optional(cache_place),
    batch=optional(whole(1, 10_000, "how many units to compute at a time")),
    executor=optional(any_executor),
    progress=flag,
)
def gallery(
    net: Network,
    layer: str | Sequence[str] | None = None,
    unit: Any = None,
    *,
    preset: str | None = None,
    steps: int | None = None,
    seed: int = 0,
    solver: str | None = None,
    cache: str | os.PathLike[str] | bool | None = None,
    batch: int | None = None,
    executor: Executor | Client | None = None,
    progress: bool = True,
) -> Gallery:
    """Maximise every unit of a layer, of several layers or of all: pictures that are kept on disk.

    The units are maximised as by `maximize`, a batch at a time. A gallery that was stopped goes on where it was when
    it is asked for again, and one that is whole is only read.

    Parameters
    ----------
    net : Network
        The network.
    layer : str or sequence of str, optional
        A layer's name, or several. Default: all layers but those that hand on what they are given, such as dropout.
    unit : int, str, sequence, np.ndarray or None
        Units, numbers or labels of classes, of each of the layers; None for all.
    preset : str, optional
        One of `cnnexplore.preimage.presets()`; None for "natural".
    steps : int, optional
        How many steps for each unit. Default: the solver's usual number.
    seed : int
        Of the noise to start from, and of the random changes.
    solver : str, optional
        One of `cnnexplore.solvers()`. Default: the preset's.
    cache : str, os.PathLike or bool, optional
        A folder, or False to keep nothing. Default: the environment's CNNEXPLORE_CACHE, or the user's cache folder.
    batch : int, optional
        How many units to compute at a time. Default: 8 on a CPU; on a GPU, as many as its free memory holds.
    executor : concurrent.futures.Executor or dask.distributed.Client, optional
        Who computes the batches, such as a pool of processes; None for this process.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Gallery
        The pictures and responses of the units, by layer.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    SettingError
        If a layer has no such unit, a setting is out of range, the folder cannot be written, or the network cannot be
        sent to other processes.
    DivergedError
        If an energy is no longer finite.
    WorkerError
        If the executor has lost its workers.

    References
    ----------
    A. Mahendran and A. Vedaldi, Visualizing deep convolutional neural networks using natural pre-images, IJCV 2016.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> found = cx.gallery(cx.load("lenet"), "conv2", [0, 1, 2], steps=5, cache=False, progress=False)
    >>> found.pictures["conv2"].shape
    (3, 18, 18, 3)
    """
    names = [layer] if isinstance(layer, str) else layer
    chosen = [one for one in net.layers.values() if not hands_values_on(one)]
    if names is not None:
        chosen = [net.layers[name] for name in dict.fromkeys(names)]
    settings = {"preset": preset, "steps": steps, "seed": seed, "solver": solver}
    run = {"version": _VERSION, "network": network_digest(net, ()), **settings}
    units = [resolve_units(net, one, unit) for one in chosen]
    parts = [_Part(net, one, some, run, cache) for one, some in zip(chosen, units, strict=True)]
    with ExitStack() as stack:
        for part in parts:
            stack.callback(part.close)
        bar = {"desc": "gallery", "unit": "unit", "disable": not progress}
        shown = stack.enter_context(tqdm(total=sum(map(len, units)), **bar))
        pieces = _pieces(parts, batch, workers_of(executor), shown)
        work = _Maximizations(net, settings)
        found = stack.enter_context(in_pieces(work, pieces, executor, kept=cache is not False))
        for piece, (pictures, responses) in found:
            parts[piece.part].write(piece.first, pictures, responses)
            shown.update(len(piece.units))
        for part in parts:
            part.end()
    words = [net.to_python()]
    if layer is not None or unit is not None:
        words.append(repr(layer if layer is None or isinstance(layer, str) else [one.name for one in chosen]))
    words += [unit_to_python(unit, units[0])] if unit is not None else []
    words += [f"{name}={value_to_python(value)}" for name, value in settings.items() if value not in (None, 0)]
    return Gallery(
        net,
        {part.layer.name: part.units for part in parts},
        {part.layer.name: part.pictures for part in parts},
        {part.layer.name: part.responses for part in parts},
        f"cx.gallery({', '.join(words)})",
        tuple(part.temporary for part in parts),
    )


@dataclass(frozen=True)
class _Piece:
    """A batch of units: the number of its part and of its first row there, the layer's name and the units."""

    part: int
    first: int
    layer: str
    units: list[int]


def _pieces(parts: list[_Part], batch: int | None, workers: int, shown: tqdm) -> Iterator[_Piece]:
    """The batches that are missing; a layer's file is opened when its turn comes."""
    for k, part in enumerate(parts):
        part.open(batch, workers)
        missing = part.missing
        shown.update(len(part.units) - sum(len(part.at(first)) for first in missing))
        for first in missing:
            yield _Piece(k, first, part.layer.name, part.at(first))


@dataclass(frozen=True)
class _Maximizations:
    """What all batches share; it is sent to the workers of an executor."""

    net: Network
    settings: dict[str, Any]

    def prepare(self) -> Callable[[_Piece], tuple[np.ndarray, np.ndarray]]:
        """The function of a batch: pictures (n, H W 3) uint8 and responses (n,)."""

        def batch(piece: _Piece) -> tuple[np.ndarray, np.ndarray]:
            found = maximize(self.net, piece.layer, piece.units, progress=False, **self.settings)
            assert isinstance(found, list)  # of a list of units
            responses = np.zeros(len(found), _RESPONSE)
            responses["response"] = [one.response for one in found]
            return np.stack([one.picture.reshape(-1) for one in found]), responses

        return batch


class _Part:
    """The units of a layer, and the file that their pictures are written to.

    Attributes
    ----------
    pictures, responses : np.ndarray
        (K, H, W, 3) uint8 and (K,) float32, after `end`.
    temporary : object
        A folder that is deleted with this object, where the pictures are not kept.
    """

    def __init__(self, net: Network, layer: Layer, units: list[int], run: dict[str, Any], cache: Any):
        self.net, self.layer, self.units, self._cache = net, layer, units, cache
        size = unit_canvas(net, layer)[0]
        with torch.no_grad():
            self._shape = net.picture(torch.zeros(1, net.pixels.channels, *size, device=net.device)).shape
        self._run = {**run, "layer": layer.path, "units": units, "shape": list(self._shape)}
        self._opened: OpenStore | None = None

    def open(self, batch: int | None, workers: int) -> None:
        """Open the file. Raises SettingError if it cannot be written."""
        if batch is None:

            def one_step(count: int) -> object:
                units = (self.units * count)[:count]
                return maximize(self.net, self.layer.name, units, steps=1, refine=0, progress=False)

            def begun(size: int) -> bool:
                return (place := self._folder(size)) is not None and place.is_dir()

            batch = fitting_batch(self.net.device, one_step, _BATCH, workers, begun)
        self._batch, shape = batch, (len(self.units), int(np.prod(self._shape)))
        run = {**self._run, "batch": batch}
        self._opened = OpenStore.at(self._folder(batch), run, shape, "uint8", batch, _RESPONSE)

    def _folder(self, batch: int) -> Path | None:
        key = repr(sorted({**self._run, "batch": batch}.items())).encode()
        digest = hashlib.blake2b(key, digest_size=16).hexdigest()
        return None if self._cache is False else cache_folder(self._cache, "galleries") / digest

    @property
    def missing(self) -> list[int]:
        assert self._opened is not None
        return self._opened.store.missing

    def at(self, first: int) -> list[int]:
        """The units of the batch that begins at a row."""
        return self.units[first : first + self._batch]

    def write(self, first: int, pictures: np.ndarray, responses: np.ndarray) -> None:
        assert self._opened is not None
        self._opened.store.write(first, pictures, responses)
        if not self.missing:
            self.end()

    def end(self) -> None:
        """Read the file, which is whole, and close it."""
        assert self._opened is not None
        if not hasattr(self, "pictures"):
            pictures, responses = self._opened.store.arrays()
            self.pictures, self.responses = pictures.reshape(-1, *self._shape), np.array(responses["response"])
            self.temporary = self._opened.temporary
            self._opened.end()

    def close(self) -> None:
        if self._opened is not None:
            self._opened.store.close()
