"""Inversions measured: how near an image is to the original, in pixels and in activations, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch

from ..errors import SettingError
from ..network import Network


def image_error(net: Network, image: Any, found: Any) -> float:
    """The relative error of an inversion in pixels.

    Parameters
    ----------
    net : Network
        The network, whose mean colour counts as zero.
    image : image
        The original.
    found : PreImage
        The inversion, whose values are cut to those that a picture can have.

    Returns
    -------
    float
        ||x' - x|| / ||x||; 1 for the mean colour.
    """
    x = net.pixels_of(image).cpu().double()
    mean = torch.tensor(net.pixels.mean, dtype=torch.float64).view(1, -1, 1, 1)
    made = torch.minimum(torch.maximum(found.x.double(), -mean), 255 - mean)
    return float((made - x).norm() / x.norm())


def measure_inversions(
    net: Network, methods: Mapping[str, Callable[..., Any]], images: Iterable[Any]
) -> dict[str, np.ndarray]:
    """The errors and the seconds of inversions.

    Parameters
    ----------
    net : Network
        The network.
    methods : mapping
        By name, ``f(net, image)``, which returns a `PreImage` of an inversion.
    images : iterable of image
        What is inverted, one after the other.

    Returns
    -------
    dict of str to np.ndarray
        By name, (images, 3): relative error in pixels, relative error of the activation, seconds.

    Raises
    ------
    SettingError
        If a method returns something else.
    """
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in methods}
    for image in images:
        for name, method in methods.items():
            begin = time.perf_counter()
            found = method(net, image)
            seconds = time.perf_counter() - begin
            if not hasattr(found, "x") or not hasattr(found, "error"):
                raise SettingError(f"the inversion {name!r} returned a {type(found).__name__}; expected a cx.PreImage.")
            rows[name].append((image_error(net, image, found), float(found.error), seconds))
    return {name: np.array(values) for name, values in rows.items()}
