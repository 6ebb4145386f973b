"""The responses of units to images: the scale by which a response is measured (M of preimage2016, section 4.2)."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch

from ..data import Images
from ..network import Network, as_maps
from .pathways import PassModifier, Pathways

_KNOWN: weakref.WeakKeyDictionary[Network, dict] = weakref.WeakKeyDictionary()
_BATCH = 16
_TOP = 8  # images that a pathway is measured by


def response_scales(
    net: Network,
    layer: str,
    units: Sequence[int],
    pathway: PassModifier | Sequence[PassModifier | None] | None = None,
    images: Any = None,
) -> torch.Tensor:
    """M of units: the response that counts as 1, each through its pathway if there are any.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer of the units.
    units : sequence of int
        One unit, or one per image of the batch.
    pathway : Pathway or list of Pathway, optional
        One for all, or one per image of the batch.
    images : list, folder, data set or Images, optional
        What `Images` takes; None for the bundled images.

    Returns
    -------
    torch.Tensor
        As many as there are units or pathways.
    """
    pathways, usual = Pathways(net, layer, pathway), largest_responses(net, layer, images)
    scales = []
    known: dict[tuple[int, int | None], float] = {(unit, None): float(usual[unit]) for unit in units}
    for k in range(max(len(units), len(pathways.each))):
        unit, one = units[k % len(units)], pathways.each[k % len(pathways.each)]
        key = unit, None if one is None else id(one)
        if key not in known:
            known[key] = response_through(net, layer, unit, pathways.item(k), images)
        scales.append(known[key])
    return torch.tensor(scales, dtype=torch.float32)


def largest_responses(net: Network, layer: str, images: Any = None) -> torch.Tensor:
    """The scale of each unit of a layer: its largest response, at least the median of the units that respond.

    A unit that no image excites still has a scale.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer.
    images : list, folder, data set or Images, optional
        What `Images` takes; None for the bundled images.

    Returns
    -------
    torch.Tensor
        (C,).

    Examples
    --------
    >>> from cnnexplore.preimage import largest_responses
    >>> largest_responses(cx.load("lenet"), "conv2").shape
    torch.Size([50])
    """
    return _at_least_usual(best_responses(net, layer, images))


def _at_least_usual(best: torch.Tensor) -> torch.Tensor:
    alive = best[best > 0]
    usual = alive.median() if len(alive) else best.new_ones(())
    return torch.maximum(best, usual)


def best_responses(net: Network, layer: str, images: Any = None) -> torch.Tensor:
    """The largest response of each unit of a layer to some images, over all positions.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer.
    images : list, folder, data set or Images, optional
        What `Images` takes; None for the bundled images, whose answer is kept while the weights stay.

    Returns
    -------
    torch.Tensor
        (C,).

    Examples
    --------
    >>> from cnnexplore.preimage import best_responses
    >>> best_responses(cx.load("lenet"), "conv2", [cx.digit(3)]).shape
    torch.Size([50])
    """
    if images is not None:
        return _responses(net, layer, Images.of(net, images)).amax(0)
    known, key = _KNOWN.setdefault(net, {}), ("best", *_key(net, layer))
    if key not in known:
        known[key] = _bundled(net, layer).amax(0)
    return known[key]


def response_through(
    net: Network, layer: str, unit: int, pathway: Callable[[], AbstractContextManager], images: Any = None
) -> float:
    """The scale of a unit through a pathway: its largest response, at least a tenth of that without the pathway.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer.
    unit : int
        The unit.
    pathway : callable
        Gives the context of one pass.
    images : list, folder, data set or Images, optional
        What `Images` takes; None for the bundled images. Only those to which the unit responds most pass
        through the pathway.

    Returns
    -------
    float
        The response that counts as 1.

    Examples
    --------
    >>> from cnnexplore.preimage import response_through
    >>> from contextlib import nullcontext
    >>> response_through(cx.load("lenet"), "conv2", 7, nullcontext, [cx.digit(3)]) > 0
    True
    """
    chosen = Images.of(net, images)
    rows = _bundled(net, layer) if images is None else _responses(net, layer, chosen)
    top = rows[:, unit].argsort(descending=True, stable=True)[:_TOP].tolist()
    probe, fed = net.probe(layer), net.feed(net.pixels_of([chosen[k] for k in top]))
    with torch.no_grad(), pathway():
        activation = probe(fed)[net.layers[layer].name].float()
    return max(
        float(as_maps(activation, net.layers[layer])[:, unit].amax()), float(_at_least_usual(rows.amax(0))[unit]) / 10
    )


def _bundled(net: Network, layer: str) -> torch.Tensor:
    """The responses to the bundled images, kept while the weights stay, (n, C)."""
    known, key = _KNOWN.setdefault(net, {}), _key(net, layer)
    if key not in known:
        known[key] = _responses(net, layer, Images.of(net, None))
    return known[key]


def _key(net: Network, layer: str) -> tuple[str, int]:
    return net.layers[layer].name, sum(p._version for p in net.module.parameters())


def _responses(net: Network, layer: str, images: Images) -> torch.Tensor:
    """The largest response of each unit to each image, (n, C)."""
    rows = []
    for first in range(0, len(images), _BATCH):
        some = [images[k] for k in range(first, min(first + _BATCH, len(images)))]
        activation = net.activations(some, layer).float()
        rows.append(as_maps(activation, net.layers[layer]).flatten(2).amax(2))
    return torch.cat(rows)
