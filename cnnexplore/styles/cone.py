"""The convex-cone fact: all activations between those of two images of one class have that class (section 4.2)."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..arguments import checked, instance, number, output, place, plain_number, several, small_seed, whole
from ..errors import LayerError, SettingError, brief_value
from ..network import Network
from ..representations.features import Features
from ..results import FORMATS, Result, writing
from .topics import features_to_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)
# Operations between a layer and the class scores that change no number.
_PASSING = (
    "view", "_unsafe_view", "reshape", "flatten", "dropout", "native_dropout", "clone", "detach", "alias", "squeeze",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Cone(Result):
    """The top-1 class of activations lambda ((1 - alpha) f1 + alpha f2) between pairs of images of one class.

    A class score is W f + b. Without b, all activations between two of one class would have that class, whatever
    lambda; with b this is certain at lambda = 1 only.

    Attributes
    ----------
    pairs : np.ndarray
        (P, 2) int, indices in the features.
    alphas : np.ndarray
        (A,), from 0 to 1.
    scales : np.ndarray
        (S,), the lambdas.
    held : np.ndarray
        (P, A, S) bool, whether the top-1 class is still that of the pair.
    least : np.ndarray
        (P, A), the smallest lambda at which it is.
    most : np.ndarray
        (P, A), the largest lambda at which it is, or infinity.
    python : str
        The Python that makes it again.
    """

    pairs: np.ndarray = field(repr=False)
    alphas: np.ndarray
    scales: np.ndarray
    held: np.ndarray = field(repr=False)
    least: np.ndarray = field(repr=False)
    most: np.ndarray = field(repr=False)
    python: str = field(default="", repr=False)

    @property
    def share(self) -> dict[float, float]:
        """For each lambda the share of activations that kept the class."""
        return {float(s): float(self.held[..., k].mean()) for k, s in enumerate(self.scales)}

    def plot(self) -> Figure:
        """A matplotlib figure of the share that kept the class, for each lambda."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4.5, 2.8), layout="constrained", dpi=110)
        axis = figure.subplots()
        share = dict(sorted(self.share.items()))
        axis.plot(list(share), list(share.values()), "o-")
        axis.set_xscale("log", base=2)
        axis.set_ylim(0, 1.05)
        axis.set_xticks(list(share), [f"{scale:g}" for scale in share])
        axis.set_xlabel("scale λ")
        axis.set_ylabel("share with the pair's class")
        axis.set_title(f"{len(self.pairs)} pairs, {len(self.alphas)} mixtures of each", fontsize=9)
        return figure

    def save(self, path: str | os.PathLike) -> None:
        """Write the share for each lambda as a .csv file, or the figure.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .csv, .png, .pdf, .svg or another suffix of an image format.
        """
        place = output(FORMATS | {".csv"})("path", path)
        if place.suffix.lower() != ".csv":
            return super().save(place)
        with writing(place), open(place, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("scale", "share"), *self.share.items()])


def _pairs(name: str, value: Any) -> int | list[tuple[int, int]]:
    """How many pairs, or a list of pairs of indices."""
    if plain_number(value) is not None or isinstance(value, (bool, np.bool_)):
        return whole(1, 100_000, "how many pairs, or a list of pairs")(name, value)
    return several(place, "how many pairs, or a list of pairs of indices of images")(name, value)


@checked(
    features=instance(lambda: Features, "what cx.features gives"),
    pairs=_pairs,
    scales=several(number(0, 1e9, "a lambda", above=True), "a list of numbers above 0", 1000),
    steps=whole(1, 10_000, "how many mixtures of each pair"),
    seed=small_seed,
)
def cone(
    features: Features,
    *,
    pairs: int | Sequence[tuple[int, int]] = 200,
    scales: Sequence[float] = SCALES,
    steps: int = 9,
    seed: int = 0,
) -> Cone:
    """Check the convex-cone fact of section 4.2 on pairs of images with the same top-1 class.

    Parameters
    ----------
    features : Features
        Activations of the layer that the class scores are a linear function of, such as fc7 after its relu.
    pairs : int or sequence of (int, int)
        How many pairs are drawn, or the pairs themselves as indices in the features.
    scales : sequence of float
        The lambdas, above 0. At 1 the fact is a theorem.
    steps : int
        How many alphas from 0 to 1.
    seed : int
        Seed of the drawn pairs.

    Returns
    -------
    Cone
        Which of the mixtures have the class of their pair.

    Raises
    ------
    LayerError
        If the class scores are not a linear function of the layer.
    SettingError
        If the images of a pair have different classes, no two images have the same class, or a scale is not above 0.

    References
    ----------
    Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015, section 4.2.

    Examples
    --------
    >>> net = cx.load("worldnet-styles")
    >>> churches = cx.world.dataset(24, 1, 96, ["church"])
    >>> cx.cone(cx.features(net, churches, cache=False, progress=False), pairs=20).share[1.0]
    1.0
    """
    weight, bias = score_weights(features.net, features.layer.name)
    lambdas = np.asarray(scales, np.float64)
    if not len(lambdas):
        raise SettingError("scales is empty; expected numbers above 0.")
    alphas = np.linspace(0, 1, steps)
    if isinstance(pairs, int):
        chosen = _draw_pairs(features, weight, bias, pairs, seed)
    else:
        chosen = np.asarray(pairs, np.int64).reshape(-1, 2)
        if chosen.max(initial=0) >= len(features):
            raise SettingError(f"pairs has the image {chosen.max()}; there are images 0 to {len(features) - 1}.")
    first, second = (np.asarray(features[chosen[:, k]], np.float64) for k in (0, 1))
    classes = [(activations @ weight.T + bias).argmax(1) for activations in (first, second)]
    if not len(chosen) or (classes[0] != classes[1]).any():
        raise SettingError("a pair has two different top-1 classes, or there is no pair; give pairs of one class.")
    linear = [activations @ weight.T for activations in (first, second)]  # scores without biases
    mixed = (1 - alphas)[None, :, None] * linear[0][:, None] + alphas[None, :, None] * linear[1][:, None]
    scores = lambdas[None, None, :, None] * mixed[:, :, None, :] + bias
    top = np.take_along_axis(scores, classes[0][:, None, None, None], -1)[..., 0]
    held, (least, most) = top >= scores.max(-1), _interval(mixed, bias, classes[0])
    return Cone(chosen, alphas, lambdas, held, least, most, _python(features, pairs, lambdas, steps, seed))


def _python(features: Features, pairs: int | Sequence, lambdas: np.ndarray, steps: int, seed: int) -> str:
    """The Python of a `cone` call, without what has its default."""
    chosen = int(pairs) if isinstance(pairs, (int, np.integer)) else np.asarray(pairs).tolist()
    given = {"pairs": chosen, "scales": lambdas.tolist(), "steps": int(steps), "seed": int(seed)}
    usual = {"pairs": 200, "scales": list(SCALES), "steps": 9, "seed": 0}
    more = "".join(f", {name}={value!r}" for name, value in given.items() if value != usual[name])
    return f"cx.cone({features_to_python(features)}{more})"


def _interval(mixed: np.ndarray, bias: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Between which lambdas a class wins against every other: lambda (s_c - s_j) >= b_j - b_c for all j."""
    score = np.take_along_axis(mixed, classes[:, None, None], -1)
    ahead, needed = score - mixed, np.broadcast_to(bias - bias[classes][:, None], (len(classes), len(bias)))[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = needed / ahead
    return np.where(ahead > 0, bound, 0.0).max(-1).clip(0), np.where(ahead < 0, bound, np.inf).min(-1)


def _draw_pairs(features: Features, weight: np.ndarray, bias: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Pairs of different images with one top-1 class, (count, 2)."""
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


def score_weights(net: Network, layer: str) -> tuple[np.ndarray, np.ndarray]:
    """W (K, D) and b (K,) of the class scores W f + b, float64, for the activations f of a layer. Raises LayerError.

    They are read from the network's operations. Dropout and reshaping between f and the scores change nothing.
    """
    operations = net.operations()
    scores, where = operations[net.scores.name], operations[net.layers[layer].name]
    path = [scores]
    while path[-1] is not where and path[-1].inputs:
        path.append(path[-1].inputs[0])
    linear = [one for one in path[:-1] if one.name not in _PASSING]
    if path[-1] is not where or len(linear) != 1 or linear[0].name not in ("addmm", "mm", "linear"):
        raise LayerError(
            f"the scores of {net.name} are no linear function of {brief_value(layer)}; take the features of the "
            "layer before them."
        )
    tensors = [t.detach().double().cpu() for t in linear[0].args if isinstance(t, torch.Tensor)]
    weight = next(t for t in tensors if t.dim() == 2)
    weight = weight if linear[0].name == "linear" else weight.T
    bias = next((t for t in tensors if t.dim() == 1), torch.zeros(len(weight), dtype=torch.float64))
    return weight.numpy(), bias.numpy()
