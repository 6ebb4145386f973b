"""Units through training: at each checkpoint what excites a unit most, its filter, its class and its concept."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ..arguments import Check, checked, choice, flag, optional, whole
from ..data.concepts import concept_data
from ..data.images import BATCH, Images
from ..decoding import decode
from ..errors import LayerError, LayerNotFound, NetworkError
from ..network import RULES, Layer, Network, as_maps, resolve_units, unit_name
from ..network.arguments import layer_name
from ..results import images_to_python, paths_to_python, unit_to_python
from ..zoo.history import Checkpoint, checkpoints_of
from .dissect import dissect
from .evolution_result import Evolution
from .selectivity import ClassMeans
from .top import TopPatches

_MEMORY = 256 * 2**20  # bytes of images that are kept for the next checkpoint
_DECODED = 40  # units whose filters are decoded; more would take minutes


_CHECKS: dict[str, Check] = {
    "layer": layer_name,
    "same_image": flag,
    "rule": choice(RULES),
    "filters": flag,
    "concepts": optional(concept_data),
    "batch": whole(1, 10_000, "how many images to compute at a time"),
}


@checked(**_CHECKS, progress=flag)
def evolution(
    net: Any,
    layer: str,
    unit: object,
    images: object = None,
    *,
    same_image: bool = False,
    rule: str = "deconvnet",
    filters: bool = True,
    concepts: Any = None,
    batch: int = BATCH,
    progress: bool = True,
) -> Evolution:
    """Follow units through the checkpoints of a training.

    At each checkpoint all images are computed; each unit is shown with the image that it responds to most, so that
    the image may change from one checkpoint to the next. One network at a time is in memory, unless networks are given.

    Parameters
    ----------
    net : str, os.PathLike, Network, list or dict
        The checkpoints: the name of a network whose checkpoints ship with the package ("worldnet"), or that network; a
        folder of weights files; a list of networks, names or files, in order; or a dict of such by label.
    layer : str
        The units' layer. The checkpoints of worldnet that ship hold its convolutions, up to pool5.
    unit : int, str, list or integer array
        One unit or several.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images: a list, a folder or a data set, with labels for the selectivity. Default: the bundled images.
    same_image : bool
        Show each unit at all checkpoints with the image that it responds to most at the last one.
    rule : str
        The backward rule of the projections, such as "deconvnet", "guided_backprop" or "gradient".
    filters : bool
        Whether to decode the units' filters, where the layer can be decoded.
    concepts : ConceptData, optional
        A data set with masks of concepts, as `dissect` takes it: the concept that each unit detects best, at each
        checkpoint. It is read once for each checkpoint.
    batch : int
        How many images to compute at a time.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Evolution
        Responses, images, patches, projections, filters, selectivity and concepts for each checkpoint.

    Raises
    ------
    NetworkError
        If there are no checkpoints, or they have other units than the first.
    LayerNotFound
        If a checkpoint has no such layer.
    SettingError
        If the layer has no such unit, or a setting is unknown.
    WeightsError
        If a file is missing or damaged.

    References
    ----------
    Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014, figure 4. The selectivity index is
    that of Morcos et al., On the importance of single directions for generalization, 2018.

    Examples
    --------
    >>> scenes = cx.world.dataset(12, 1)
    >>> found = cx.evolution(["worldnet@0", "worldnet"], "conv2", [3, 5], scenes, progress=False)
    >>> found.checkpoints, found.values.shape
    (['worldnet@0', 'worldnet'], (2, 2))
    """
    options: dict[str, Any] = {
        "same_image": same_image, "rule": rule, "filters": filters, "concepts": concepts, "batch": batch,
    }  # fmt: skip
    with tqdm(desc=f"evolution, {layer}", unit="checkpoint", disable=not progress) as bar:

        def shown() -> Iterator[Evolution]:
            for found in evolution_stream(net, layer, unit, images, **options):
                bar.total, bar.n = found.total, len(found)
                bar.refresh()
                yield found

        (last,) = deque(shown(), maxlen=1)
    usual = {"same_image": False, "rule": "deconvnet", "filters": True}
    words = [f"{name}={options[name]!r}" for name, value in usual.items() if options[name] != value]
    words += ["concepts=concepts"] if concepts is not None else []
    given = f"{unit_to_python(unit, last.units)}{images_to_python(images)}"
    return replace(last, python=f"cx.evolution({', '.join([_source(net), repr(layer), given, *words])})")


def _source(net: Any) -> str:
    """The Python of the checkpoints; the name `checkpoints` for networks of the user's own."""
    if isinstance(net, Network):
        return repr(net.name)
    return paths_to_python(net, "checkpoints")


@checked(**_CHECKS)
def evolution_stream(
    net: Any,
    layer: str,
    unit: object,
    images: object = None,
    *,
    same_image: bool = False,
    rule: str = "deconvnet",
    filters: bool = True,
    concepts: Any = None,
    batch: int = BATCH,
) -> Iterator[Evolution]:
    """`evolution` as a stream: the checkpoints so far, after each of them.

    Parameters
    ----------
    net : str, os.PathLike, Network, list or dict
        The checkpoints.
    layer : str
        The units' layer.
    unit : int, str, list or integer array
        One unit or several.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images. Default: the bundled images.
    same_image : bool
        Show each unit at all checkpoints with the image that it responds to most at the last one.
    rule : str
        The backward rule of the projections.
    filters : bool
        Whether to decode the units' filters, where the layer can be decoded.
    concepts : ConceptData, optional
        A data set with masks of concepts, as `dissect` takes it.
    batch : int
        How many images to compute at a time.

    Yields
    ------
    Evolution
        The checkpoints so far.

    Raises
    ------
    NetworkError
        If there are no checkpoints, or they have other units than the first.
    LayerNotFound
        If a checkpoint has no such layer.
    SettingError
        If the layer has no such unit, or a setting is unknown.
    WeightsError
        If a file is missing or damaged.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.units import evolution_stream
    >>> stream = evolution_stream("worldnet", "conv1", 3, [cx.scene(seed).image for seed in range(3)])
    >>> len(next(stream)), len(next(stream))
    (1, 2)
    """
    moments = checkpoints_of(net)
    last, where = _loaded(moments[-1], layer, None)
    source = Images.of(last, images)
    units = resolve_units(last, where, unit)
    names = [unit_name(last, where, one) for one in units]
    fixed, read = None, _Once(source)
    if same_image:
        fixed = _strongest(last, where, units, read, batch)[0].indices[:, 0]
    found = Evolution(
        [], units, names, layer, np.zeros((0, len(units))), np.zeros((0, len(units)), int),
        np.zeros((0, len(units), 2), int),
        np.zeros((0, len(units))), np.zeros((0, len(units)), int), source.classes, [], [], [], [],
        np.zeros((0, len(units))), same_image, rule, len(moments),
    )  # fmt: skip
    decoded: list[list[np.ndarray]] | None = [] if filters and len(units) <= _DECODED else None
    for moment in moments:
        now, place = (last, where) if moment is moments[-1] else _loaded(moment, layer, where.channels)
        top, means = _strongest(now, place, units, read, batch, fixed)
        selectivity, preferred = means.selectivity()
        if decoded is not None:
            decoded = _decoded(now, place, units, decoded)
        words, scores = _words(now, place, units, concepts)
        found = replace(
            found,
            checkpoints=[*found.checkpoints, moment.label],
            values=np.concatenate([found.values, top.values.T]),
            indices=np.concatenate([found.indices, top.indices.T]).astype(int),
            positions=np.concatenate([found.positions, top.positions[None, :, 0]]),
            selectivity=np.concatenate([found.selectivity, selectivity[None]]),
            preferred=np.concatenate([found.preferred, preferred[None]]),
            patches=[*found.patches, [top.patches(one)[0] for one in units]],
            projections=[*found.projections, [top.projections(one, rule)[0] for one in units]],
            filters=decoded,
            words=[*found.words, words],
            scores=np.concatenate([found.scores, scores[None]]),
        )
        yield found


def _loaded(moment: Checkpoint, layer: str, channels: int | None) -> tuple[Network, Layer]:
    net = moment.load()
    try:
        where = net.layers[layer]
    except LayerNotFound as error:
        held = f"{moment.label} has {', '.join(net.layers)}"
        raise LayerNotFound(
            f"{layer!r} is not a layer of every checkpoint: {held}; name one of these, or give complete checkpoints."
        ) from error
    if channels is not None and where.channels != channels:
        raise NetworkError(
            f"{layer} of {moment.label} has {where.channels} units, that of the last checkpoint {channels}; expected "
            "checkpoints of one network."
        )
    return net, where


class _Once:
    """Images in batches; small sets are read once for all networks that take the same pixels.

    Parameters
    ----------
    images : Images
        The images.
    """

    def __init__(self, images: Images):
        self.images = images
        self._key: Any = None
        self._kept: list[tuple[int, torch.Tensor, np.ndarray]] = []

    def batches(self, net: Network, batch: int) -> Iterator[tuple[int, torch.Tensor, np.ndarray]]:
        """Yield (number of the first image, x, labels) of each batch."""
        key = (net.size, net.pixels, net.device)
        if key == self._key:
            yield from self._kept
            return
        numbers, kept = len(self.images) * net.pixels.channels * net.size[0] * net.size[1], []
        for one in self.images.labelled_batches(net, batch):
            if 4 * numbers <= _MEMORY:
                kept.append(one)
            yield one
        if kept:
            self._key, self._kept = key, kept


def _strongest(
    net: Network, layer: Layer, units: list[int], images: _Once, batch: int, fixed: np.ndarray | None = None
) -> tuple[TopPatches, ClassMeans]:
    """Each unit's largest response, of all images or of a fixed one, and its mean responses to the classes."""
    probe, means, count = net.probe(layer.name), ClassMeans(len(units)), len(units)
    chosen = torch.tensor(units, device=net.device)
    values, indices, places = np.full(count, -np.inf), np.zeros(count, int), np.zeros(count, int)
    columns = 1
    for first, x, labels in images.batches(net, batch):
        with torch.no_grad():
            maps = as_maps(probe(net.feed(x))[layer.name], layer)[:, chosen]
        columns = maps.shape[3]
        means.add(maps, labels)
        peaks, flat = (one.cpu().numpy() for one in maps.flatten(2).float().max(2))
        if fixed is not None:  # only the fixed image of each unit counts
            peaks = np.where(np.arange(first, first + len(x))[:, None] == fixed, peaks, -np.inf)
        row = peaks.argmax(0)
        best = peaks[row, np.arange(count)]
        better = best > values
        values = np.where(better, best, values)
        indices = np.where(better, first + row, indices)
        places = np.where(better, flat[row, np.arange(count)], places)
    positions = np.stack([places // columns, places % columns], -1)[:, None]
    top = TopPatches(values[:, None], indices[:, None], positions, units, layer, net, images.images, len(images.images))
    return top, means


def _decoded(
    net: Network, layer: Layer, units: list[int], before: list[list[np.ndarray]]
) -> list[list[np.ndarray]] | None:
    """The decoded filters of this checkpoint after those before; None where a layer cannot be decoded."""
    try:
        return [*before, list(decode(net, layer.name, units, progress=False).pictures())]
    except LayerError:
        return None


def _words(net: Network, layer: Layer, units: list[int], concepts: Any) -> tuple[list[str], np.ndarray]:
    """The concept that each unit detects best, and its score; nothing without a data set."""
    if concepts is None:
        return [""] * len(units), np.full(len(units), np.nan)
    found = dissect(net, layer.name, concepts, k=1, progress=False)
    words = [found.words[unit] for unit in units]
    return [word.name for word in words], np.array([word.iou for word in words])
