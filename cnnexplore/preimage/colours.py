"""Colours of images: the mixtures of channels that are uncorrelated in them, and how much each varies."""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import torch

from ..data import Images
from ..network import Network

_LEAST_COLOUR = 1e-3  # of the variance of the strongest mixture of colours
_LEAST_SLOPE = 1.0  # in 0..255 units per pixel: what rounding to whole numbers makes, also of grey images
_MOST_IMAGES = 256


class Colours(NamedTuple):
    """The mixtures of colours that are uncorrelated in images; the one that varies most comes first.

    In photographs the first is grey, and the others are differences of colours.
    """

    directions: torch.Tensor  # (C, C) orthonormal columns, weights of the channels
    deviations: torch.Tensor  # (C,) standard deviations over all pixels, in 0..255 units
    slopes: torch.Tensor  # (C,) root mean squares of the length of the gradient, in 0..255 units per pixel


_BUNDLED: weakref.WeakKeyDictionary[Network, Colours] = weakref.WeakKeyDictionary()


def colours_of(net: Network, images: Any = None) -> Colours:
    """The mixtures of colours of images, as the network takes them.

    Parameters
    ----------
    net : Network
        Whose pixel convention and size the images have.
    images : list, folder, data set or Images, optional
        None for the bundled images; their colours are kept with the network, since each run asks for them.

    Returns
    -------
    Colours
        float64, on the CPU.
    """
    if images is not None:
        return _measured(net, images)
    if net not in _BUNDLED:
        _BUNDLED[net] = _measured(net, None)
    return _BUNDLED[net]


def _measured(net: Network, images: Any) -> Colours:
    x = photographs(net, images).double()
    pixels = x.transpose(0, 1).flatten(1)
    pixels = pixels - pixels.mean(1, keepdim=True)
    directions, variances, _ = torch.linalg.svd(pixels @ pixels.T / pixels.shape[1])
    variances = variances.clamp_min(float(variances.max()) * _LEAST_COLOUR + 1e-12)
    directions = directions * torch.where(directions.sum(0) < 0, -1.0, 1.0)  # the sign of a decomposition is any
    mixed = mixed_by(directions.T, x)
    squares = (mixed[..., 1:, :] - mixed[..., :-1, :]).square().sum((0, 2, 3))
    squares += (mixed[..., 1:] - mixed[..., :-1]).square().sum((0, 2, 3))
    slopes = squares / (len(x) * x.shape[2] * x.shape[3])
    return Colours(directions, variances.sqrt(), slopes.sqrt().clamp_min(_LEAST_SLOPE))


def colour_mixtures(net: Network, images: Any = None) -> torch.Tensor:
    """The mixtures of colours, as columns (C, C), each as long as its standard deviation; the longest of length 1."""
    found = colours_of(net, images)
    return (found.directions * (found.deviations / found.deviations.max())).float()


def mixed_by(weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Channels of images (N, C, H, W) as sums with weights (D, C), (N, D, H, W); an autocast does not round them."""
    total = weights[:, 0].view(1, -1, 1, 1) * x[:, :1]
    for channel in range(1, x.shape[1]):
        total = total + weights[:, channel].view(1, -1, 1, 1) * x[:, channel : channel + 1]
    return total


def photographs(net: Network, images: Any) -> torch.Tensor:
    """Images as the network takes them, (n, C, H, W) on the CPU."""
    chosen = Images.of(net, images)
    return net.pixels_of([chosen[k] for k in range(min(len(chosen), _MOST_IMAGES))]).cpu()
