"""The canvas of a unit: an image of about its receptive field, on which it responds as it does in the network."""

from __future__ import annotations

import math
import weakref

import numpy as np
import torch

from ..network import Layer, Network, as_maps, dependent_positions, rounding

Pair = tuple[int, int]

_TOLERANCE = 1e-3  # largest difference of the responses, relative to how much they differ from image to image
_KNOWN: weakref.WeakKeyDictionary[Network, dict[str, tuple[Pair, Pair]]] = weakref.WeakKeyDictionary()


def unit_canvas(net: Network, layer: Layer) -> tuple[Pair, Pair]:
    """The size of the image on which a layer's units are maximised, and the position of a unit on it.

    The image is the smaller one of `field_canvas`, a little larger where the receptive field would leave it. That the
    units respond on it as they do in the middle of the network's input is measured. Where they do not, as after a
    normalisation or a gate over the whole map, or where the module does not take such an image, it is the network's
    input, with the unit in the middle.

    Parameters
    ----------
    net : Network
        The network.
    layer : Layer
        The layer.

    Returns
    -------
    size : tuple of int
        (H, W) of the image.
    position : tuple of int
        (row, column) of the unit on the layer's map for such an image; (0, 0) where there is no map.
    """
    known = _KNOWN.setdefault(net, {})
    if layer.name not in known:
        known[layer.name] = _found(net, layer)
    return known[layer.name]


def _found(net: Network, layer: Layer) -> tuple[Pair, Pair]:
    middle = middle_position(layer, net.size)
    if field_canvas(layer, net.size) != net.size:
        fitted = [_fitted(layer, net.size, a) for a in (0, 1)]
        size, position = ((fitted[0][k], fitted[1][k]) for k in (0, 1))
        try:
            if size != net.size and _responds_alike(net, layer, size, position, middle):
                return size, position
        except Exception:  # the module may raise anything for an image of another size
            pass
    return net.size, middle


def middle_position(layer: Layer, size: Pair) -> Pair:
    """The (row, column) whose receptive field is nearest to the middle of the image; (0, 0) where there is no map."""
    if not layer.has_map:
        return 0, 0
    row, column = (int(np.argmin(np.abs(layer.centres(a) - (size[a] - 1) / 2))) for a in (0, 1))
    return row, column


def _fitted(layer: Layer, whole: Pair, axis: int) -> Pair:
    """The side of the canvas along an axis, and the place nearest to its middle whose receptive field is inside."""
    side = field_canvas(layer, whole)[axis]
    if side == whole[axis]:
        return side, middle_position(layer, whole)[axis]
    field, stride, offset = layer.rf_size[axis], layer.rf_stride[axis], layer.rf_offset[axis]
    first = math.ceil(((field - 1) / 2 - offset) / stride - 1e-6)  # the first place whose field begins inside
    start = offset + first * stride - (field - 1) / 2
    side = min(max(side, math.ceil(start + field - 1e-6)), whole[axis])
    room = max(math.floor((side - field - start) / stride + 1e-6), 0)
    middle = ((side - 1) / 2 - offset) / stride
    return side, min(max(round(middle), first), first + room)


@torch.inference_mode(False)
def _responds_alike(net: Network, layer: Layer, size: Pair, position: Pair, middle: Pair) -> bool:
    """Whether all units respond to two images on the canvas as to the same amid others, and to nothing around it."""
    start = [(middle[a] - position[a]) * layer.rf_stride[a] if size[a] < net.size[a] else 0 for a in (0, 1)]
    top, left = (round(v) for v in start)
    fits = 0 <= top <= net.size[0] - size[0] and 0 <= left <= net.size[1] - size[1]
    if not fits or max(abs(top - start[0]), abs(left - start[1])) > 1e-6:
        return False
    random = torch.Generator().manual_seed(0)
    shape = (2, net.pixels.channels, *net.size)
    amid = net.feed(net.pixels.norm * (torch.rand(shape, generator=random, dtype=torch.float32) - 0.5).to(net.device))
    box = (..., slice(top, top + size[0]), slice(left, left + size[1]))
    alone = amid[box].contiguous(memory_format=net.memory_format)
    probe = net.probe(layer.name)
    with torch.no_grad():
        maps = as_maps(probe(alone)[layer.name], layer)
        whole = as_maps(probe(amid)[layer.name], layer)
    here, there = maps[:, :, position[0], position[1]], whole[:, :, middle[0], middle[1]]
    varies = (there[0] - there[1]).abs().amax()
    if not bool((here - there).abs().amax() <= _TOLERANCE * varies + rounding(whole)):
        return False
    around = torch.ones(1, *net.size, dtype=torch.bool)
    around[box] = False
    return not bool(dependent_positions(net, amid[:1], [layer.name], around)[layer.name][0, middle[0], middle[1]])


def field_canvas(layer: Layer, whole: Pair) -> Pair:
    """The size of an image for one unit: 1.1 times its receptive field, an odd number of strides.

    Parameters
    ----------
    layer : Layer
        The unit's layer; units without a position, that see everything, or of tokens get the whole input.
    whole : tuple of int
        (H, W) of the network's input, which the image does not exceed.

    Returns
    -------
    tuple of int
        (H, W).
    """
    if not layer.has_map or layer.sees_all or layer.layout.order is not None or min(layer.rf_stride) <= 0:
        return whole
    sides = []
    for rf, stride, side in zip(layer.rf_size, layer.rf_stride, whole, strict=True):
        cells = round(1.1 * rf / stride)
        cells += cells % 2 == 0
        sides.append(min(side, max(math.ceil(rf), round(cells * stride))))
    return sides[0], sides[1]
