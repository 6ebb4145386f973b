"""The convex-cone fact: between the codes of two images of one class all codes have that class (section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from ..errors import LayerError, SettingError
from ..network import Network
from ..representations.features import Features

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, eq=False)
class Cone:
    """What the codes lambda ((1 - alpha) f1 + alpha f2) of pairs with the same top-1 class are taken for.

    pairs: (P, 2), places in the features; alphas: (A,); scales: (S,), the lambdas. held: (P, A, S) bool, whether the
    top-1 class is still the same. least, most: (P, A), the lambdas between which it is: a score is W f + b, so that it
    is certain at lambda = 1 only, and the biases may win elsewhere.
    """

    pairs: np.ndarray = field(repr=False)
    alphas: np.ndarray
    scales: np.ndarray
    held: np.ndarray = field(repr=False)
    least: np.ndarray = field(repr=False)
    most: np.ndarray = field(repr=False)

    @property
    def share(self) -> dict[float, float]:
        """lambda -> the share of codes that kept the class."""
        return {float(s): float(self.held[..., k].mean()) for k, s in enumerate(self.scales)}


def cone(
    features: Features,
    pairs: int | Sequence[tuple[int, int]] = 200,
    *,
    scales: Sequence[float] = SCALES,
    steps: int = 9,
    seed: int = 0,
) -> Cone:
    """Checks the fact of section 4.2 on pairs of images with the same top-1 class.

    features: of the layer that the class scores are a linear function of. pairs: how many are drawn, or the pairs
    themselves. scales: the lambdas; steps: how many alphas from 0 to 1. At lambda = 1 the fact is a theorem: between
    f1 and f2 each score is linear. Raises LayerError if the scores are no linear function of the layer, SettingError
    for pairs of different classes.
    """
    weight, bias = readout(features.net, features.layer.name)
    scales, alphas = np.asarray(scales, np.float64), np.linspace(0, 1, steps)
    if scales.ndim != 1 or not (scales > 0).all() or steps < 1:
        raise SettingError(f"scales are {scales.tolist()}; expected numbers above 0.")
    if isinstance(pairs, (int, np.integer)):
        chosen = _drawn(features, weight, bias, int(pairs), seed)
    else:
        chosen = np.asarray(pairs, np.int64).reshape(-1, 2)
    first, second = (np.asarray(features[chosen[:, k]], np.float64) for k in (0, 1))
    classes = [(codes @ weight.T + bias).argmax(1) for codes in (first, second)]
    if not len(chosen) or (classes[0] != classes[1]).any():
        raise SettingError("the two images of a pair must have the same top-1 class; there was none, or one without.")
    linear = [codes @ weight.T for codes in (first, second)]  # scores without biases
    mixed = (1 - alphas)[None, :, None] * linear[0][:, None] + alphas[None, :, None] * linear[1][:, None]
    scores = scales[None, None, :, None] * mixed[:, :, None, :] + bias
    top = np.take_along_axis(scores, classes[0][:, None, None, None], -1)[..., 0]
    return Cone(chosen, alphas, scales, top >= scores.max(-1), *_interval(mixed, bias, classes[0]))


def _interval(mixed: np.ndarray, bias: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Between which lambdas a class wins against every other: lambda (s_c - s_j) >= b_j - b_c for all j."""
    own = np.take_along_axis(mixed, classes[:, None, None], -1)
    ahead, needed = own - mixed, np.broadcast_to(bias - bias[classes][:, None], (len(classes), len(bias)))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = needed / ahead
    return np.where(ahead > 0, bound, 0.0).max(-1).clip(0), np.where(ahead < 0, bound, np.inf).min(-1)


def _drawn(features: Features, weight: np.ndarray, bias: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Pairs of different images with one top-1 class."""
    random = np.random.default_rng(seed)
    some = np.sort(random.permutation(len(features))[: max(8 * count, 200)])
    classes = (np.asarray(features[some], np.float64) @ weight.T + bias).argmax(1)
    groups = [some[classes == c] for c in np.unique(classes)]
    groups = [group for group in groups if len(group) > 1]
    if count < 1 or not groups:
        raise SettingError("no two of the images have the same top-1 class; give more images.")
    sizes = np.array([len(group) for group in groups], float)
    picked = random.choice(len(groups), count, p=sizes / sizes.sum())
    return np.array([random.choice(groups[g], 2, replace=False) for g in picked])


def readout(net: Network, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """W (K, D) and b (K,) of the class scores W f + b, float64, for the codes f of a layer. Raises LayerError.

    They are measured on the network as it is: f may pass dropout and reshaping on its way, which do nothing.
    """
    operations = net.operations()
    scores, where = operations[net.scores.name], operations[net.layers[layer].name]
    path = [scores]
    while path[-1] is not where and path[-1].inputs:
        path.append(path[-1].inputs[0])
    linear = [one for one in path[:-1] if one.name not in _PASSING]
    if path[-1] is not where or len(linear) != 1 or linear[0].name not in ("addmm", "mm", "linear"):
        raise LayerError(
            f"the scores of {net.name} are no linear function of {layer!r}; take the features of the layer before them."
        )
    tensors = [t.detach().double().cpu() for t in linear[0].args if isinstance(t, torch.Tensor)]
    weight = next(t for t in tensors if t.dim() == 2)
    weight = weight if linear[0].name == "linear" else weight.T
    bias = next((t for t in tensors if t.dim() == 1), torch.zeros(len(weight), dtype=torch.float64))
    return weight.numpy(), bias.numpy()


_PASSING = (
    "view",
    "_unsafe_view",
    "reshape",
    "flatten",
    "dropout",
    "native_dropout",
    "clone",
    "detach",
    "alias",
    "squeeze",
)
