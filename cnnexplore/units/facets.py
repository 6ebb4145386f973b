"""Facets of a unit: the different kinds of images that it responds to, each with a picture of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import Check, checked, choice, flag, number, optional, small_seed, whole
from ..data.images import BATCH, Images
from ..errors import SettingError
from ..network import Layer, Network, as_maps, resolve_units, unit_name
from ..network.arguments import layer_name, network
from ..preimage.maximization import Maximization
from ..preimage.multifaceted import Phase, ascend, phases_of, shortened
from ..representations.embedding import Embedding, embed_stream
from ..results import Result, images_to_python, unit_to_python, value_to_python
from .excited import LEAST, Excited, described_by, excited
from .number_of_facets import KS, FacetCurve, groups, measure
from .top import top_stream

if TYPE_CHECKING:
    from matplotlib.figure import Figure

METHODS = {
    "multifaceted2016": "gradient steps, each followed by TV denoising, on crops near the middle",
    "preimage2016": "the natural pre-image of cx.maximize",
    "none": "the mean image itself",
}
_EVERY = 10  # steps between two results of the stream
_EMBEDDING_STEPS = 500
_TILE = 64  # pixels of an image in a plot, at most
_COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7f7f7f",
    "#8c564b",
    "#bcbd22",
    "#17becf",
)


@dataclass(frozen=True, eq=False)
class Facets(Result):
    """The facets of a unit: groups of the images that excite it, and for each a picture that it responds to.

    Facets are numbered by their number of images, the largest first.

    Attributes
    ----------
    embedding : Embedding
        The N images, or patches, as points of a plane, with the activations that they were placed by.
    assignment : np.ndarray
        (N,) int, the facet of each of them.
    values : np.ndarray
        (N,), the unit's responses to them, the largest first.
    nearest : list of np.ndarray
        For each facet the images nearest to its centroid, of which it is the mean: indices below N, the nearest first.
    means : np.ndarray
        (k, C, H, W) float32, the mean images in the network's units: where each picture starts.
    x : np.ndarray
        (k, C, H, W) float32, the pictures in the network's units.
    responses : np.ndarray
        (k,), the unit's responses to the pictures.
    deviations : np.ndarray
        (k,), root mean squared difference of the images of a facet's mean from it, 0..255. A small one is a sharp mean.
    deviation : float
        The same of all N images from their own mean.
    history : np.ndarray
        (steps, k), the responses during the ascent.
    layer : Layer
        The unit's layer.
    unit : int
        The unit.
    net : Network
        The network.
    method : str
        How the pictures were made: "multifaceted2016", "preimage2016" or "none".
    curve : FacetCurve or None
        What k was chosen by, where it was not given.
    excited : Excited
        What excites the unit.
    step : int
        How many steps were taken.
    total : int
        How many steps there are.
    python : str
        The call that makes this result again.
    """

    embedding: Embedding = field(repr=False)
    assignment: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)
    nearest: list[np.ndarray] = field(repr=False)
    means: np.ndarray = field(repr=False)
    x: np.ndarray = field(repr=False)
    responses: np.ndarray
    deviations: np.ndarray
    deviation: float
    history: np.ndarray = field(repr=False)
    layer: Layer
    unit: int
    net: Network = field(repr=False)
    method: str
    curve: FacetCurve | None = field(default=None, repr=False)
    excited: Excited | None = field(default=None, repr=False)
    step: int = 0
    total: int = 0
    python: str = field(default="", repr=False)

    def __len__(self) -> int:
        return len(self.nearest)

    @property
    def sizes(self) -> np.ndarray:
        """(k,) int, how many images each facet has."""
        return np.bincount(self.assignment, minlength=len(self))

    @property
    def pictures(self) -> np.ndarray:
        """The facets' pictures, (k, H, W, 3) uint8."""
        return self.net.pixels.decode(torch.from_numpy(self.x)).numpy()

    @property
    def mean_pictures(self) -> np.ndarray:
        """The mean images, (k, H, W, 3) uint8."""
        return self.net.pixels.decode(torch.from_numpy(self.means)).numpy()

    @property
    def indices(self) -> np.ndarray:
        """(N,) int, the images' numbers in the data set."""
        return self.embedding.features.numbers

    def images(self, facet: int, k: int | None = None) -> np.ndarray:
        """What the unit saw of the images that a facet's mean is of, (n, H, W, 3) uint8; grey outside an image.

        Parameters
        ----------
        facet : int
            The number of the facet.
        k : int, optional
            Only the k nearest to the centroid.

        Raises
        ------
        SettingError
            If there is no such facet.
        """
        facet = whole(0, len(self) - 1, "the number of a facet")("facet", facet)
        k = optional(whole(1, what="how many images"))("k", k)
        assert self.excited is not None
        return self.excited.pictures(self.nearest[facet][:k].tolist())

    def __repr__(self) -> str:
        name = unit_name(self.net, self.layer, self.unit)
        counts = ", ".join(map(str, self.sizes))
        return f"<{len(self)} facets of {name} of {self.layer.name}, of {counts} images>"

    def plot(self, k: int = 5) -> Figure:
        """A matplotlib figure: the plane of images, and a row for each facet with its mean, its picture and its images.

        Parameters
        ----------
        k : int
            Images in a row.
        """
        from matplotlib.figure import Figure

        k = whole(1, 50, "images in a row")("k", k)
        rows, columns = len(self), 2 + min(k, max(len(one) for one in self.nearest))
        height = max(1.25 * rows + 0.75, 3.4 if self.curve is None else 5.2)
        figure = Figure(figsize=(3.3 + 1.05 * columns, height), layout="constrained", dpi=110)
        parts: Any = figure.subfigures(1, 2, width_ratios=(3.3, 1.05 * columns))
        left, right = parts
        axes = left.subplots(1 if self.curve is None else 2, 1, squeeze=False)[:, 0]
        self._draw_plane(axes[0])
        if self.curve is not None:
            self.curve.draw(axes[1])
        drawn = self.net.pixels.decode(torch.from_numpy(np.concatenate([self.means, self.x]))).numpy()
        for facet, line in enumerate(right.subplots(rows, columns, squeeze=False)):
            cells = [drawn[facet], drawn[rows + facet], *self.images(facet, k)]
            spread = f"mean of {len(self.nearest[facet])}\n± {self.deviations[facet]:.0f} of 255"
            titles = [spread, f"facet {facet}\nresponse {self.responses[facet]:.3g}"]
            titles += [f"{self.values[one]:.3g}" for one in self.nearest[facet][:k]]
            for n, axis in enumerate(line):
                axis.set_xticks([])
                axis.set_yticks([])
                if n >= len(cells):
                    axis.set_axis_off()
                    continue
                axis.imshow(cells[n], interpolation="nearest")
                axis.set_title(titles[n], fontsize=7, pad=2)
                for side in axis.spines.values():
                    side.set(color=_COLOURS[facet % len(_COLOURS)], linewidth=2 if n == 1 else 1, visible=n < 2)
        figure.suptitle(drawing.printable(self._title()), fontsize=9, parse_math=False)
        return figure

    def _title(self) -> str:
        name = unit_name(self.net, self.layer, self.unit)
        kind = "patches" if self.layer.has_map else "images"
        by = self.embedding.features.layer.name
        return f"{self.net.name}, {name} of {self.layer.name}: {len(self)} facets of {len(self.values)} {kind}, by {by}"

    def _draw_plane(self, axis: Any) -> None:
        points = self.embedding.points
        for facet in range(len(self)):
            of = points[self.assignment == facet]
            colour = _COLOURS[facet % len(_COLOURS)]
            axis.scatter(of[:, 0], of[:, 1], s=7, linewidths=0, color=colour, label=f"facet {facet}: {len(of)}")
            near = points[self.nearest[facet]]
            axis.scatter(near[:, 0], near[:, 1], s=14, linewidths=0.5, facecolors="none", edgecolors="black")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_title("t-SNE of the activations; circles: in a mean", fontsize=7)
        axis.legend(fontsize=6, markerscale=1.5, frameon=False, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3)


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
        run = Maximization(net, layer.name, unit, init=image, steps=steps, seed=seed, M=abs(scale))
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
