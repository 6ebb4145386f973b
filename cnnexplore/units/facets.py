"""Facets of a unit: the different kinds of images that it responds to, each with a picture of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ..arguments import Check, checked, choice, flag, number, optional, small_seed, whole
from ..data.images import BATCH, Images
from ..errors import SettingError
from ..network import Layer, Network, as_maps, resolve_units, unit_name
from ..network.arguments import layer_name, network
from ..preimage.maximization import Maximization
from ..preimage.multifaceted import Phase, ascend, phases_of, shortened
from ..representations.embedding import embed_stream
from ..results import images_to_python, unit_to_python, value_to_python
from .excited import LEAST, Excited, described_by, excited
from .facet_result import Facets
from .number_of_facets import KS, groups, measure
from .top import top_stream

METHODS = {
    "multifaceted2016": "gradient steps, each followed by TV denoising, on crops near the middle",
    "preimage2016": "the natural pre-image of cx.maximize",
    "none": "the mean image itself",
}
_EVERY = 10  # steps between two results of the stream
_EMBEDDING_STEPS = 500


def _schedule(name: str, value: Any) -> Any:
    """A schedule as it was given, once its phases are known to exist."""
    phases_of(name, value)
    return value


_CHECKS: dict[str, Check] = {
    "net": network,
    "layer": layer_name,
    "k": optional(whole(1, 100, "how many facets")),
    "count": whole(LEAST, 100_000, "how many images to group"),
    "nearest": whole(1, 10_000, "how many images a mean is of"),
    "by": optional(layer_name),
    "method": choice(METHODS),
    "schedule": _schedule,
    "steps": optional(whole(1, 100_000, "how many steps")),
    "perplexity": number(1, 1e6, "how many neighbours count as near"),
    "seed": small_seed,
    "batch": whole(1, 10_000, "how many images to compute at a time"),
    "progress": flag,
}


@checked(**_CHECKS)
def facets(
    net: Network,
    layer: str,
    unit: object,
    images: object = None,
    *,
    k: int | None = None,
    count: int = 200,
    nearest: int = 15,
    by: str | None = None,
    method: str = "multifaceted2016",
    schedule: str | Sequence[Phase] = "mean",
    steps: int | None = None,
    perplexity: float = 30,
    seed: int = 0,
    batch: int = BATCH,
    progress: bool = True,
) -> Facets | list[Facets]:
    """Find the facets of a unit: the kinds of images that it responds to, with a picture of each.

    The activations of the images that excite the unit are reduced to 50 principal components, placed in a plane by
    t-SNE, and grouped there by k-means. The mean of the images nearest to a group's centroid is where the unit is
    maximised from. Of a unit with a position on a map, the images are the patches that it sees.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The unit's layer.
    unit : int, str, list, integer array or None
        A number, or a class by its label; a list, or None for all units, gives a list back.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images: a list, a folder or a data set. Default: the bundled images, which are few.
    k : int, optional
        How many facets. None: as many as the curve of agreement and separation suggests; it is in the result.
    count : int
        How many images to group, at most: those with the largest responses, one patch of each. Of a class, only
        images that the network takes for it.
    nearest : int
        How many images a mean is of, at most.
    by : str, optional
        The layer whose activations are grouped. Default: the unit's own, or for a class the layer that the class
        scores are computed from. Of a patch, all units at its position.
    method : {"multifaceted2016", "preimage2016", "none"}
        How a picture is made from the mean: by the published gradient steps that are each followed by denoising, as
        the pre-image of `maximize`, or not at all.
    schedule : {"mean", "centre"} or sequence of Phase
        The phases of "multifaceted2016": those published for a mean, or those for a whole class, which push harder.
    steps : int, optional
        How many steps in all. None: 370 of "mean", 530 of "centre", 200 of "preimage2016".
    perplexity : float
        How many neighbours count as near, for t-SNE; fewer where there are few images.
    seed : int
        Of t-SNE, k-means and the ascent.
    batch : int
        How many images to compute at a time.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Facets or list of Facets
        Groups, means, pictures and responses; a list for several units.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer `by` has no map and the unit has one, or no gradient flows to the image.
    SettingError
        If the layer has no such unit, a setting is out of its range, or fewer than three images excite the unit.
    ImageError
        If an image cannot be read.

    References
    ----------
    Nguyen, Yosinski and Clune, Multifaceted feature visualization, 2016. The phases are those of the authors' public
    programs; weights of the denoising are scaled by 227 pixels over the side of the image.

    Examples
    --------
    >>> net = cx.load("worldnet-styles")
    >>> churches = cx.world.dataset(40, 1, 96, ["church"])
    >>> found = cx.facets(net, "fc8", "church", churches, k=3, steps=4, progress=False)
    >>> len(found), found.pictures.shape
    (3, (3, 96, 96, 3))
    """
    units = resolve_units(net, net.layers[layer], unit)
    options: dict[str, Any] = {
        "k": k, "count": count, "nearest": nearest, "by": by, "method": method, "schedule": schedule, "steps": steps,
        "perplexity": perplexity, "seed": seed, "batch": batch,
    }  # fmt: skip
    found = []
    for one in units:
        with tqdm(desc=f"facets, {unit_name(net, net.layers[layer], one)}", disable=not progress) as bar:
            last: Any = None
            for last in facet_stream(net, layer, one, images, **options):
                what, done, total = last if isinstance(last, tuple) else ("step", last.step, last.total)
                bar.unit, bar.total, bar.n = what, total, done
                bar.refresh()
        assert isinstance(last, Facets)  # a stream ends with them
        python = _python(net, layer, unit if isinstance(unit, str) else one, images, options)
        curve = None if last.curve is None else replace(last.curve, python=f"{python}.curve")
        plane = replace(last.embedding, python=f"{python}.embedding")
        found.append(replace(last, python=python, curve=curve, embedding=plane))
    several = unit is None or np.ndim(unit) > 0  # type: ignore[arg-type]
    return found if several else found[0]


def _python(net: Network, layer: str, unit: Any, images: object, options: dict[str, Any]) -> str:
    usual = {"k": None, "count": 200, "nearest": 15, "by": None, "method": "multifaceted2016", "schedule": "mean",
             "steps": None, "perplexity": 30, "seed": 0}  # fmt: skip
    changed = {name: options[name] for name, value in usual.items() if options[name] != value}
    words = [f"{name}={value if name == 'schedule' and not isinstance(value, str) else value_to_python(value)}"
             for name, value in changed.items()]  # fmt: skip
    shown = unit_to_python(unit, [unit])
    return f"cx.facets({', '.join([net.to_python(), repr(layer), shown + images_to_python(images), *words])})"


@checked(**{name: check for name, check in _CHECKS.items() if name != "progress"})
def facet_stream(
    net: Network,
    layer: str,
    unit: object,
    images: object = None,
    *,
    k: int | None = None,
    count: int = 200,
    nearest: int = 15,
    by: str | None = None,
    method: str = "multifaceted2016",
    schedule: str | Sequence[Phase] = "mean",
    steps: int | None = None,
    perplexity: float = 30,
    seed: int = 0,
    batch: int = BATCH,
) -> Iterator[tuple[str, int, int] | Facets]:
    """`facets` of one unit as a stream: what is being done, then the facets every 10 steps, at first the mean images.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The unit's layer.
    unit : int or str
        A number, or a class by its label.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images: a list, a folder or a data set. Default: the bundled images.
    k : int, optional
        How many facets. None: as many as the curve of agreement and separation suggests.
    count : int
        How many images to group, at most.
    nearest : int
        How many images a mean is of, at most.
    by : str, optional
        The layer whose activations are grouped.
    method : {"multifaceted2016", "preimage2016", "none"}
        How a picture is made from the mean.
    schedule : {"mean", "centre"} or sequence of Phase
        The phases of "multifaceted2016".
    steps : int, optional
        How many steps in all.
    perplexity : float
        How many neighbours count as near, for t-SNE.
    seed : int
        Of t-SNE, k-means and the ascent.
    batch : int
        How many images to compute at a time.

    Yields
    ------
    tuple of str, int and int, or Facets
        ("image" or "step of t-SNE", how many are done, how many there are); then the facets.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer `by` has no map and the unit has one, or no gradient flows to the image.
    SettingError
        If the layer has no such unit, a setting is out of its range, or fewer than three images excite the unit.
    ImageError
        If an image cannot be read.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.units import facet_stream
    >>> digits = [cx.digit(value, which) for value in (3, 7) for which in range(6)]
    >>> *_, last = facet_stream(cx.load("lenet"), "conv2", 7, digits, k=2, method="none")
    >>> last.sizes.sum() == len(last.values)
    True
    """
    where = net.layers[layer]
    (number_,) = resolve_units(net, where, [unit])
    phases = shortened(phases_of("schedule", schedule), steps) if method == "multifaceted2016" else ()
    describing, source = described_by(net, where, by), Images.of(net, images)
    for top in top_stream(net, layer, [number_], source, k=count, batch=batch):
        yield "image", top.seen, len(source)
    what: Any = None
    for what in excited(top, describing, batch):
        if isinstance(what, tuple):
            yield "image", *what
    assert isinstance(what, Excited)
    features = what.features
    embedding: Any = None
    for step, embedding in embed_stream(features, perplexity=perplexity, steps=_EMBEDDING_STEPS, seed=seed):  # noqa: B007
        yield "step of t-SNE", step, _EMBEDDING_STEPS
    points = embedding.points
    distinct = len(np.unique(points, axis=0))
    curve = None
    if k is None and min(distinct, len(points) // 4) >= KS[0]:
        ks = [one for one in KS if one <= min(distinct, len(points) // 4)]
        curve = measure(features, points, ks, perplexity, _EMBEDDING_STEPS, seed)
        k = curve.suggested
    k = k or 1  # of a handful of images
    if k > distinct:
        raise SettingError(
            f"k is {k}, and the {len(points)} images that excite the unit are {distinct} points; lower k."
        )
    assignment, centroids = groups(points, k, seed)
    chosen = [_nearest(points, assignment, centroids, facet, nearest) for facet in range(k)]
    means, deviations = zip(*(what.mean(one.tolist()) for one in chosen), strict=True)
    start = torch.stack(means)
    made = Facets(
        embedding, assignment, what.top.values[0], chosen, start.cpu().numpy(), start.cpu().numpy(),
        _responses(net, where, number_, start, what), np.array(deviations), what.deviation, np.zeros((0, k)),
        where, number_, net, method, curve, what,
    )  # fmt: skip
    yield made
    if method == "multifaceted2016":
        yield from _ascended(made, start, phases, seed)
    elif method == "preimage2016":
        yield from _maximized(made, start, steps, seed)


def _nearest(points: np.ndarray, assignment: np.ndarray, centroids: np.ndarray, facet: int, count: int) -> np.ndarray:
    """The images of a facet that are nearest to its centroid."""
    of = np.flatnonzero(assignment == facet)
    distance = np.linalg.norm(points[of] - centroids[facet], axis=1)
    return of[np.argsort(distance, kind="stable")[:count]]


def _responses(net: Network, layer: Layer, unit: int, x: torch.Tensor, what: Excited) -> np.ndarray:
    with torch.no_grad():
        maps = as_maps(net.probe(layer.name)(net.feed(x))[layer.name], layer)
    return maps[:, unit, what.position[0], what.position[1]].float().cpu().numpy()


def _ascended(made: Facets, start: torch.Tensor, phases: Sequence[Phase], seed: int) -> Iterator[Facets]:
    what, history = made.excited, []
    assert what is not None
    for frame in ascend(made.net, made.layer, made.unit, start, phases, position=what.position, seed=seed):
        history.append(frame.responses.cpu().numpy())
        if frame.step % _EVERY == 0 or frame.step == frame.total:
            responses = _responses(made.net, made.layer, made.unit, frame.x, what)
            x, steps = frame.x.cpu().numpy(), (frame.step, frame.total)
            yield replace(made, x=x, responses=responses, history=np.array(history), step=steps[0], total=steps[1])


def _maximized(made: Facets, start: torch.Tensor, steps: int | None, seed: int) -> Iterator[Facets]:
    """The pre-images of the facets, one after the other."""
    net, layer, unit, what = made.net, made.layer, made.unit, made.excited
    assert what is not None
    x, histories = start.clone(), []
    scale = float(made.values[0]) or 1.0  # the response that counts as 1
    for facet in range(len(made)):
        image = _image(net, start[facet])
        run = Maximization(net, layer.name, unit, preset="paper2016", init=image, steps=steps, seed=seed, M=abs(scale))
        total = run.total * len(made)
        for frame in run.frames():
            if frame.step % _EVERY == 0 or frame.step == run.total:
                x[facet] = frame.x[0]
                responses = _responses(net, layer, unit, x, what)
                step = run.total * facet + frame.step
                yield replace(made, x=x.cpu().numpy().copy(), responses=responses, step=step, total=total)
        histories.append(run.records()["response"][:, 0] * abs(scale))
    if histories:
        yield replace(
            made, x=x.cpu().numpy(), responses=responses, history=np.stack(histories, 1), step=total, total=total
        )


def _image(net: Network, x: torch.Tensor) -> np.ndarray:
    """An image in the network's units, (C, H, W), as one that it reads: (H, W, C) uint8, RGB where it has colours."""
    mean = torch.tensor(net.pixels.mean, dtype=torch.float32, device=x.device).view(-1, 1, 1)
    levels = (x + mean).round().clamp(0, 255).to(torch.uint8)
    levels = levels.flip(0) if net.pixels.order == "BGR" else levels
    image = levels.permute(1, 2, 0).cpu().numpy()
    return image[..., 0] if net.pixels.order == "grey" else image
