"""The papers' choices of weight and jitter for a layer (preimage2016, sections 5 and 6)."""

from __future__ import annotations

import math

from ..network import Layer

# The classical representations have settings of their own: C as in the authors' experiments (their text says 20).
_CLASSICAL = {"HogDescriptor", "SiftDescriptor"}
_UNIT = 1e4  # weight of a unit against the priors, which are summed over its receptive field


def paper_C(layer: Layer, size: tuple[int, int]) -> float:
    """The paper's weight of the data term of an inversion (preimage2016, section 5.2).

    One rule in receptive field and stride relative to the input gives the published choices for all layers of
    AlexNet, VGG-M and VGG-VD-16, and extends them to other networks: 300, 100, 20, then 1. Descriptors of HOG and
    DSIFT: 100.

    Parameters
    ----------
    layer : Layer
        The layer that is inverted.
    size : tuple of int
        (H, W) of the network's input.

    Returns
    -------
    float
        The weight.

    Examples
    --------
    >>> from cnnexplore.preimage import paper_C
    >>> net = cx.load("worldnet")
    >>> [paper_C(net.layers[name], net.size) for name in ("conv1", "fc8")]
    [300.0, 1.0]
    """
    if layer.kind in _CLASSICAL:
        return 100.0
    field = max(rf / side for rf, side in zip(layer.rf_size, size, strict=True))
    coarse = max(stride / side for stride, side in zip(layer.rf_stride, size, strict=True)) >= 1 / 8
    if coarse or field > 0.88:
        return 1.0
    return 300.0 if field <= 0.45 else 100.0 if field <= 0.6 else 20.0


def paper_weight(layer: Layer, size: tuple[int, int]) -> float:
    """The paper's weight of a unit: 1e4 over the area of its receptive field (preimage2016, section 6).

    Parameters
    ----------
    layer : Layer
        The unit's layer.
    size : tuple of int
        (H, W) of the network's input.

    Returns
    -------
    float
        The weight.

    Examples
    --------
    >>> from cnnexplore.preimage import paper_weight
    >>> net = cx.load("lenet")
    >>> round(paper_weight(net.layers["conv1"], net.size))
    400
    """
    return _UNIT / math.prod(min(rf, side) for rf, side in zip(layer.rf_size, size, strict=True))


def paper_jitter(layer: Layer) -> int:
    """The paper's jitter: a quarter of the layer's stride, at least 1; none for HOG and DSIFT (sections 5.1, 5.2).

    Parameters
    ----------
    layer : Layer
        The layer of the data term.

    Returns
    -------
    int
        The jitter in pixels.

    Examples
    --------
    >>> from cnnexplore.preimage import paper_jitter
    >>> paper_jitter(cx.load("worldnet").layers["conv5"])
    2
    """
    return 1 if layer.kind in _CLASSICAL else max(int(max(layer.rf_stride) / 4 + 0.5), 1)
