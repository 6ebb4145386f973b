"""Removing pixels in the order of a map: deletion, insertion and ROAD, which need no truth but the network itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..arguments import array, checked, number, several, small_seed, whole
from ..errors import SettingError
from ..network import Network, class_score_layer, resolve_unit
from ..network.arguments import network

SHARES = (0.2, 0.4, 0.6, 0.8)
_BLUR = 5 / 224  # standard deviation of the blur of insertion, as a share of the shorter side
_BATCH = 16
# What a removed pixel is made of: its neighbours at a side, and at a corner.
_WEIGHTS = {(r, c): 1 / 6 if r == 0 or c == 0 else 1 / 12 for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c}


def removal_order(attribution: Any, seed: int = 0) -> np.ndarray:
    """The pixels of a map from the largest value to the smallest; equal ones in random order.

    Parameters
    ----------
    attribution : array_like
        (H, W).
    seed : int
        Of the order of equal values.

    Returns
    -------
    np.ndarray
        (H W,) int, numbers of pixels, row by row.
    """
    values = array("an attribution", attribution, "a finite map (H, W)", dtype=np.float64)
    if values.ndim != 2:
        raise SettingError(f"an attribution of shape {values.shape} was given; expected a map (H, W).")
    mixed = np.random.RandomState(seed).permutation(values.size)
    return mixed[np.argsort(-values.ravel()[mixed], kind="stable")]


def _probabilities(net: Network, images: list[torch.Tensor], target: int) -> np.ndarray:
    """The probability of a class for each x (1, C, H, W)."""
    output, found = net._output, []
    probe = net.probe(output.layer)
    for first in range(0, len(images), _BATCH):
        with torch.no_grad():
            values = probe(net.feed(torch.cat(images[first : first + _BATCH])))[net.layers[output.layer].name]
        found += [float(net._probabilities(one.flatten().float(), output.ending)[target]) for one in values]
    return np.array(found)


def _prepared(net: Network, image: Any, target: Any, attribution: Any, seed: int) -> tuple[torch.Tensor, int, Any]:
    layer = class_score_layer(net)
    x = net.pixels_of(image)
    order = removal_order(attribution, seed)
    if len(x) != 1 or len(order) != x.shape[2] * x.shape[3]:
        raise SettingError(
            f"{len(x)} images and a map of {len(order)} pixels were given; expected one image, and a map of "
            f"{x.shape[2]} x {x.shape[3]}."
        )
    return x, resolve_unit(net, layer, target), order


def _mixed(x: torch.Tensor, other: torch.Tensor, order: np.ndarray, count: int) -> torch.Tensor:
    """x with its first pixels of an order taken from another image."""
    mixed = x.clone()
    which = torch.from_numpy(order[:count].copy()).to(x.device)
    mixed.flatten(2)[..., which] = other.flatten(2)[..., which]
    return mixed


def _curve(
    net: Network, unit: int, first: torch.Tensor, last: torch.Tensor, order: np.ndarray, steps: int
) -> np.ndarray:
    """The probability of a class as the pixels of one image become those of another, in equal parts of an order."""
    counts = [round(k * len(order) / steps) for k in range(steps + 1)]
    return _probabilities(net, [_mixed(first, last, order, count) for count in counts], unit)


_CURVE = {"net": network, "steps": whole(1, 10_000, "how many times pixels are changed"), "seed": small_seed}


@checked(**_CURVE)
def deletion(net: Network, image: Any, target: int | str, attribution: Any, *, steps: int = 28, seed: int = 0) -> Any:
    """The probability of a class as the pixels with the largest values of a map are replaced by the mean colour.

    Parameters
    ----------
    net : Network
        A classifier.
    image : image
        What `Network.pixels_of` takes; one.
    target : int or str
        The class.
    attribution : array_like
        (H, W), of the size of the network's input.
    steps : int
        Into how many equal parts the pixels are divided.
    seed : int
        Of the order of equal values.

    Returns
    -------
    np.ndarray
        (steps + 1,), from the whole image to none of it. The lower its mean, the better the map.

    Raises
    ------
    SettingError
        If the map is not finite or of another size.
    NetworkError
        If the network has no class scores.

    References
    ----------
    Petsiuk et al., RISE: randomized input sampling for explanation of black-box models, 2018, section 4.1.
    """
    x, unit, order = _prepared(net, image, target, attribution, seed)
    return _curve(net, unit, x, torch.zeros_like(x), order, steps)


@checked(**_CURVE)
def insertion(net: Network, image: Any, target: int | str, attribution: Any, *, steps: int = 28, seed: int = 0) -> Any:
    """The probability of a class as the pixels with the largest values of a map are put into the blurred image.

    Parameters
    ----------
    net : Network
        A classifier.
    image : image
        What `Network.pixels_of` takes; one.
    target : int or str
        The class.
    attribution : array_like
        (H, W), of the size of the network's input.
    steps : int
        Into how many equal parts the pixels are divided.
    seed : int
        Of the order of equal values.

    Returns
    -------
    np.ndarray
        (steps + 1,), from the blurred image to the sharp one. The higher its mean, the better the map. The blur is
        Gaussian, with a standard deviation of 5 pixels of 224.

    Raises
    ------
    SettingError
        If the map is not finite or of another size.
    NetworkError
        If the network has no class scores.

    References
    ----------
    Petsiuk et al., RISE: randomized input sampling for explanation of black-box models, 2018, section 4.1.
    """
    from scipy.ndimage import gaussian_filter

    x, unit, order = _prepared(net, image, target, attribution, seed)
    wide = _BLUR * min(x.shape[2:])
    blurred = torch.from_numpy(gaussian_filter(x.double().cpu().numpy(), (0, 0, wide, wide))).to(x)
    return _curve(net, unit, blurred, x, order, steps)


@checked(noise=number(0, 255, "the standard deviation of noise, in 0..255 units"), seed=small_seed)
def impute(x: torch.Tensor, missing: Any, noise: float = 0.6, seed: int = 0) -> torch.Tensor:
    """ROAD's noisy linear imputation: each missing pixel becomes the weighted mean of its eight neighbours, and noise.

    Neighbours at a side count 1/6, those at a corner 1/12; beyond the edge there are none. All missing pixels are
    solved for at once.

    Parameters
    ----------
    x : torch.Tensor
        (1, C, H, W), as `Network.pixels_of` gives it.
    missing : array_like
        (H, W) bool; at least one pixel stays.
    noise : float
        Standard deviation, in the units of x; the published one is 0.01 of the standard deviation of images.
    seed : int
        Of the noise.

    Returns
    -------
    torch.Tensor
        (1, C, H, W).

    Raises
    ------
    SettingError
        If no pixel stays.

    References
    ----------
    Rong et al., A consistent and efficient evaluation strategy for attribution methods, 2022, section 4.2.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import splu

    gone = np.asarray(missing, bool)
    if not gone.any():
        return x
    if gone.all():
        raise SettingError("all pixels are missing; expected at least one that stays.")
    values = x[0].double().cpu().numpy()
    number_of = np.full(gone.shape, -1)
    number_of[gone] = np.arange(gone.sum())
    rows, columns = np.nonzero(gone)
    own = np.arange(len(rows))
    weight_sum, right = np.zeros(len(rows)), np.zeros((len(rows), len(values)))
    entries = []
    for (down, across), weight in _WEIGHTS.items():
        r, c = rows + down, columns + across
        inside = (r >= 0) & (c >= 0) & (r < gone.shape[0]) & (c < gone.shape[1])
        weight_sum += weight * inside
        r, c, here = r[inside], c[inside], own[inside]
        known = ~gone[r, c]
        right[here[known]] += weight * values[:, r[known], c[known]].T
        entries.append((here[~known], number_of[r[~known], c[~known]], np.full((~known).sum(), -weight)))
    entries.append((own, own, weight_sum))
    i, j, v = (np.concatenate(part) for part in zip(*entries, strict=True))
    found = splu(coo_matrix((v, (i, j))).tocsc()).solve(right)
    found += noise * np.random.RandomState(seed).normal(size=found.shape)
    filled = values.copy()
    filled[:, gone] = found.T
    return torch.from_numpy(filled)[None].to(x)


@checked(net=network, shares=several(number(0, 1, "a share of the pixels"), "shares of the pixels"), seed=small_seed)
def road(
    net: Network,
    image: Any,
    target: int | str,
    attribution: Any,
    *,
    shares: Sequence[float] = SHARES,
    seed: int = 0,
) -> np.ndarray:
    """The probability of a class as pixels are removed by ROAD: those with the largest values, and the smallest.

    A removed pixel is filled from its neighbours, so that the image stays one, and the shape of what was removed tells
    the network nothing.

    Parameters
    ----------
    net : Network
        A classifier.
    image : image
        What `Network.pixels_of` takes; one.
    target : int or str
        The class.
    attribution : array_like
        (H, W), of the size of the network's input.
    shares : sequence of float
        Shares of the pixels that are removed, below 1.
    seed : int
        Of the noise, and of the order of equal values.

    Returns
    -------
    np.ndarray
        (2, shares): the most relevant removed first, and the least relevant. Half of the mean difference, second minus
        first, is the score; the higher, the better the map.

    Raises
    ------
    SettingError
        If the map is not finite or of another size, or a share leaves no pixel.
    NetworkError
        If the network has no class scores.

    References
    ----------
    Rong et al., A consistent and efficient evaluation strategy for attribution methods, 2022, section 4.
    """
    x, unit, order = _prepared(net, image, target, attribution, seed)
    images = []
    for first in (order, order[::-1]):
        for share in shares:
            gone = np.zeros(len(order), bool)
            gone[first[: round(share * len(order))]] = True
            images.append(impute(x, gone.reshape(tuple(x.shape[2:])), seed=seed))
    return _probabilities(net, images, unit).reshape(2, -1)


def removal_scores(net: Network, image: Any, target: int, attribution: Any) -> tuple[float, float, float]:
    """The mean of the curve of deletion, that of insertion, and ROAD's score.

    Parameters
    ----------
    net : Network
        A classifier.
    image : image
        One.
    target : int
        The class.
    attribution : array_like
        (H, W).

    Returns
    -------
    tuple of float
        Areas by the trapezoidal rule, 0 to 1, and half of the mean difference, -0.5 to 0.5.
    """
    areas = (f(net, image, target, attribution) for f in (deletion, insertion))
    deleted, inserted = (float((curve[1:] + curve[:-1]).mean() / 2) for curve in areas)
    most, least = road(net, image, target, attribution)
    return deleted, inserted, float((least - most).mean() / 2)
