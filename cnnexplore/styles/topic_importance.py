"""What topics matter for a class, and where: Sobol and gradient importance of topics, and their maps over an image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import checked, flag, instance, small_seed, whole
from ..data.images import one_image
from ..errors import LayerError
from ..network import as_maps, class_score_layer, input_gradient, resolve_unit, unit_name
from ..network.probe import Replacement
from ..results import Result
from .topics import Topics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCH = 64


@dataclass(frozen=True, eq=False)
class TopicImportance(Result):
    """How much a class score depends on each topic.

    Attributes
    ----------
    topics : Topics
        The k topics.
    target : int
        The class.
    about : str
        Its label.
    sobol : np.ndarray
        (N, k), the total Sobol index for each image: the share of the score's variance in which a topic takes part, as
        the weights of the image's topics are scaled by random factors in 0..1.
    gradient : np.ndarray
        (N, k), the topic's weight times the derivative of the score with respect to it.
    python : str
        The Python that makes it again.
    """

    topics: Topics = field(repr=False)
    target: int
    about: str
    sobol: np.ndarray = field(repr=False)
    gradient: np.ndarray = field(repr=False)
    python: str = field(default="", repr=False)

    def plot(self) -> Figure:
        """A matplotlib figure: both importances, averaged over the images, with their standard errors."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7.5, 2.8), layout="constrained", dpi=110)
        kinds = (
            (self.sobol, "total Sobol index", "share of the score's variance"),
            (self.gradient, "weight x derivative", "part of the score"),
        )
        for axis, (values, title, unit) in zip(figure.subplots(1, 2), kinds, strict=True):
            error = values.std(0) / np.sqrt(len(values))
            axis.bar(np.arange(values.shape[1]), values.mean(0), yerr=error, color="#0072B2", ecolor="0.4")
            axis.axhline(0, color="0.6", lw=0.8)
            axis.set_xticks(np.arange(values.shape[1]))
            axis.set_xlabel("topic", fontsize=9)
            axis.set_ylabel(unit, fontsize=9)
            axis.set_title(title, fontsize=10)
            axis.spines[["top", "right"]].set_visible(False)
        title = f"what {self.about} depends on, {len(self.sobol)} images"
        figure.suptitle(drawing.printable(title), fontsize=10, parse_math=False)
        return figure

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


@checked(
    topics=instance(lambda: Topics, "topics, as cx.topics gives them"),
    count=whole(1, 100_000, "how many images"),
    designs=whole(2, 65_536, "how many random factors"),
    seed=small_seed,
    progress=flag,
)
def topic_importance(
    topics: Topics,
    target: int | str,
    *,
    count: int = 8,
    designs: int = 32,
    seed: int = 0,
    progress: bool = True,
) -> TopicImportance:
    """How much a class score depends on each topic of a layer.

    The activations of an image are put together again from its topics, ``weights @ components``, and the rest of the
    network is run on them.

    Parameters
    ----------
    topics : Topics
        Of a layer before the class scores.
    target : int or str
        The class, by number or label.
    count : int
        How many of the images, the first ones.
    designs : int
        How many pairs of random factors for each image; (k + 2) times as many passes are made.
    seed : int
        Of the random factors.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    TopicImportance
        Both importances, by image and topic.

    Raises
    ------
    LayerError
        If the topics are not of the activations that a layer computes.
    SettingError
        If there is no such class.

    References
    ----------
    Fel et al., CRAFT: concept recursive activation factorization for explainability, 2023, section 3.3; Jansen,
    Analysis of variance designs for model output, 1999 (the estimator of the total index).

    Examples
    --------
    >>> from cnnexplore.styles import topic_importance
    >>> net = cx.load("worldnet")
    >>> features = cx.features(net, cx.world.dataset(12, 1, 96, names=["boat"]), "relu6", cache=False, progress=False)
    >>> found = topic_importance(cx.topics(features, 2), "boat", count=2, designs=8, progress=False)
    >>> found.sobol.shape
    (2, 2)
    """
    from scipy.stats.qmc import Sobol

    features = topics.features
    net, layer = features.net, features.layer
    scores = class_score_layer(net)
    unit = resolve_unit(net, scores, target)
    probe = net.probe(layer.name, scores.name)
    components = torch.from_numpy(topics.components).to(net.device)
    shift = np.random.default_rng(seed).random(2 * len(topics))
    factors = (Sobol(2 * len(topics), scramble=False).fast_forward(1).random(designs) + shift) % 1  # evenly spread
    first, second = np.split(factors, 2, axis=1)
    count = min(count, len(features))
    sobol, slopes = np.zeros((count, len(topics))), np.zeros((count, len(topics)))
    for n in tqdm(range(count), "topics", unit="image", disable=not progress):
        x = net.pixels_of(features.source[int(features.numbers[n])])

        def score(weights: torch.Tensor, x: torch.Tensor = x) -> torch.Tensor:
            fed = net.feed(x.expand(len(weights), -1, -1, -1))
            found = probe(fed, {layer.name: _composed(weights.to(components) @ components, layer.name)})
            return as_maps(found[scores.name], scores)[:, unit, 0, 0]

        weights = torch.from_numpy(topics.weights[n]).to(net.device)
        mixed = [first, second, *(np.where(np.arange(len(topics)) == k, second, first) for k in range(len(topics)))]
        designs_of_all = torch.from_numpy(np.concatenate(mixed)).to(weights) * weights
        with torch.no_grad():
            values = torch.cat([score(part) for part in designs_of_all.split(_BATCH)]).double().cpu().numpy()
        one, _, *others = values.reshape(-1, designs)
        variance = one.var()
        sobol[n] = [((one - other) ** 2).mean() / (2 * variance) if variance > 0 else 0.0 for other in others]
        with torch.inference_mode(False), torch.enable_grad():
            leaf = weights[None].clone().requires_grad_()
            (slope,) = torch.autograd.grad(score(leaf).sum(), leaf)
        slopes[n] = (slope * leaf).detach()[0].double().cpu().numpy()
    python = f"cnnexplore.styles.topic_importance(topics, {unit}, count={count}, designs={designs}, seed={seed})"
    return TopicImportance(topics, unit, unit_name(net, scores, unit), sobol, slopes, python)


def _composed(rows: torch.Tensor, name: str) -> Replacement:
    """A replacement of a layer's activations by rows of numbers (N, D)."""

    def replace(activations: torch.Tensor) -> torch.Tensor:
        if rows.shape[1] != activations[0].numel():
            raise LayerError(
                f"the topics have {rows.shape[1]} numbers, and {name} has {activations[0].numel()}; make the features "
                "of the whole layer."
            )
        return rows.to(activations.dtype).view(activations.shape)

    return replace


@checked(topics=instance(lambda: Topics, "topics, as cx.topics gives them"))
def topic_map(topics: Topics, topic: int, image: Any) -> np.ndarray:
    """Where an image shows a topic: each pixel's part of the topic's response to first order.

    The response is the product of the topic's component with the layer's activations.

    Parameters
    ----------
    topics : Topics
        The topics.
    topic : int
        Number of the topic.
    image : image
        What `Network.pixels_of` takes; one.

    Returns
    -------
    np.ndarray
        (H, W), x times the derivative, summed over the channels; signed.

    Raises
    ------
    SettingError
        If there is no such topic.
    """
    net, layer = topics.features.net, topics.features.layer
    component = torch.from_numpy(topics.components[topics.number_of(topic)]).to(net.device)

    def response(activations: torch.Tensor) -> torch.Tensor:
        return (activations.flatten(1) * component).sum(1)

    x = one_image(net, image)
    slope = input_gradient(net, layer.name, x, response)
    return (x * slope).sum(1)[0].double().cpu().numpy()
