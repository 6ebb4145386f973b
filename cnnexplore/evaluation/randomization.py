"""The sanity check of explanations: how similar a method's picture stays when the network's weights are made random."""

from __future__ import annotations

import csv
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import array, checked, flag, optional, output
from ..arguments import seed as any_seed
from ..attribution import attribution_methods
from ..attribution.method import with_registrations
from ..decoding import decode
from ..errors import LayerError, NetworkError, SettingError, brief, brief_value
from ..network import Network, last_map_layer
from ..network.arguments import network
from ..network.random_weights import randomized_networks
from ..preimage import invert, maximize
from ..results import Result, images_to_python, writing
from .methods import Method, attribution_method

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STEPS = 40  # of an inversion or a maximisation: enough to tell pictures apart
_WINDOW = 7  # pixels of the windows of the structural similarity
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C6D31")


def rank_correlation(one: Any, other: Any) -> float:
    """Spearman's rank correlation of two maps' absolute values; 0 if either is constant.

    Parameters
    ----------
    one, other : array_like
        Of one shape.

    Returns
    -------
    float
        -1 to 1; 1 if the pixels have the same order.

    References
    ----------
    Adebayo et al., Sanity checks for saliency maps, 2018, section 3.
    """
    from scipy.stats import spearmanr

    a, b = _two(one, other)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(spearmanr(a.ravel(), b.ravel()).statistic)


def structural_similarity(one: Any, other: Any) -> float:
    """The structural similarity index of two maps' absolute values, each scaled to 0..1; 0 if either is constant.

    Parameters
    ----------
    one, other : array_like
        (H, W), of one shape.

    Returns
    -------
    float
        -1 to 1, over windows of 7 x 7 pixels; 1 for the same map.

    References
    ----------
    Wang et al., Image quality assessment: from error visibility to structural similarity, 2004; Adebayo et al., Sanity
    checks for saliency maps, 2018, section 3.
    """
    from skimage.metrics import structural_similarity as similarity

    a, b = _two(one, other)
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    a, b = ((values - values.min()) / np.ptp(values) for values in (a, b))
    window = min(_WINDOW, *a.shape)
    return float(similarity(a, b, data_range=1.0, win_size=window - 1 + window % 2))


def _two(one: Any, other: Any) -> tuple[np.ndarray, np.ndarray]:
    a, b = (np.abs(array("a map", values, "a finite map (H, W)", dtype=np.float64)) for values in (one, other))
    if a.shape != b.shape or a.ndim != 2 or min(a.shape) < 3:
        raise SettingError(f"maps of shapes {a.shape} and {b.shape} were compared; expected two maps (H, W) of a size.")
    return a, b


@dataclass(frozen=True, eq=False)
class SanityCheck(Result):
    """How similar each method's picture stays to that of the trained network, as ever more weights become random.

    Attributes
    ----------
    methods : list of str
        The methods, M of them.
    layers : list of str
        P names: at point p the weights of ``layers[1]`` to ``layers[p]`` are random; ``layers[0]`` is "" (none is).
    rank : np.ndarray
        (M, P, N), Spearman's rank correlation of the absolute maps, for each of N images.
    ssim : np.ndarray
        (M, P, N), the structural similarity of the absolute maps.
    left_out : dict
        Methods that do not work on this network, each with the reason.
    net : Network
        The network.
    python : str
        The Python that makes it again.

    Examples
    --------
    >>> digits = [cx.digit(3), cx.digit(5)]
    >>> check = cx.sanity_check(cx.load("lenet"), digits, ["gradient"], progress=False)
    >>> check.layers, check.rank.shape
    (['', 'conv4', 'conv3', 'conv2', 'conv1'], (1, 5, 2))
    """

    methods: list[str]
    layers: list[str]
    rank: np.ndarray = field(repr=False)
    ssim: np.ndarray = field(repr=False)
    left_out: dict[str, str]
    net: Network = field(repr=False)
    python: str = field(default="", repr=False)

    def plot(self) -> Figure:
        """A matplotlib figure: the two similarities by how far down the weights are random, a line for each method."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(10.5, 4.2), layout="constrained", dpi=110)
        axes = figure.subplots(1, 2, sharex=True)
        ticks = ["trained", *self.layers[1:]]
        titles = ("rank correlation of absolute maps", "structural similarity of absolute maps")
        for axis, values, title in zip(axes, (self.rank, self.ssim), titles, strict=True):
            for k, (name, curve) in enumerate(zip(self.methods, values.mean(2), strict=True)):
                style = ("-", "--", ":")[k // len(_COLOURS) % 3]
                look = {"color": _COLOURS[k % len(_COLOURS)], "marker": "o", "ms": 3, "lw": 1.6}
                axis.plot(curve, style, label=drawing.printable(name), **look)
            axis.axhline(0, color="0.75", lw=0.8)
            axis.set_title(title, fontsize=10)
            axis.set_ylim(min(-0.25, float(values.mean(2).min()) - 0.05), 1.05)
            names = [drawing.printable(t) for t in ticks]
            axis.set_xticks(range(len(ticks)), names, rotation=40, ha="right", size=8, parse_math=False)
            axis.set_xlabel("weights that are random, from the scores down to this layer", fontsize=8)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0].set_ylabel("similarity to the trained network's map", fontsize=9)
        handles = axes[0].get_legend_handles_labels()
        legend = figure.legend(*handles, loc="outside right center", frameon=False, fontsize=8)
        for text in legend.get_texts():
            text.set_parse_math(False)
        name = drawing.printable(self.net.name)
        title = f"{name}: a map that explains the network must change with its weights (fall to 0)"
        if self.left_out:
            title += f"\nleft out, because they do not work on this network: {', '.join(self.left_out)}"
        figure.suptitle(title, fontsize=10, parse_math=False)
        return figure

    def save(self, path: str | os.PathLike) -> None:
        """Write the figure, or all numbers.

        Parameters
        ----------
        path : str or os.PathLike
            A name that ends in .csv (the columns are method, layer, image, rank correlation and structural similarity),
            or in a suffix of pictures.

        Raises
        ------
        SettingError
            If the suffix is none of these, or the file cannot be written.
        """
        if not str(path).lower().endswith(".csv"):
            return super().save(path)
        place = output({".csv"})("path", path)
        with writing(place), open(place, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["method", "layer", "image", "rank correlation", "structural similarity"])
            for m, method in enumerate(self.methods):
                for p, layer in enumerate(self.layers):
                    for n, pair in enumerate(zip(self.rank[m, p].tolist(), self.ssim[m, p].tolist(), strict=True)):
                        writer.writerow([method, layer, n, *pair])

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


def _of_class(make: Callable[[Network, int], Any]) -> Method:
    """A method whose map depends on the class only: it is made once for each network."""
    known: weakref.WeakKeyDictionary[Network, dict[int, Any]] = weakref.WeakKeyDictionary()

    def method(net: Network, image: Any, target: int) -> Any:
        made = known.setdefault(net, {})
        if target not in made:
            made[target] = make(net, target)
        return made[target]

    return method


def _invert(net: Network, image: Any, target: int) -> Any:
    layer = last_map_layer(net, net.scores, "invert").name
    return invert(net, image, layer, steps=_STEPS, refine=0, progress=False)


def _maximize(net: Network, target: int) -> Any:
    return maximize(net, net.scores.name, target, preset="paper2016", steps=_STEPS, progress=False)


def _decode(net: Network, target: int) -> np.ndarray:
    return decode(net, net.scores.name, target, progress=False).filters[0].mean(0)


def sanity_methods() -> dict[str, Method]:
    """What `sanity_check` and `score` can be given: every attribution method, and three kinds of pictures.

    Returns
    -------
    dict
        By name, ``f(net, image, target)``. "invert" is the pre-image of the deepest layer with a map, "maximize" that
        of the class, "decode" the class's decoded filter.
    """
    pictures = {"invert": _invert, "maximize": _of_class(_maximize), "decode": _of_class(_decode)}
    return {**{name: attribution_method(name) for name in attribution_methods()}, **pictures}


def edges(net: Network, image: Any, target: int) -> np.ndarray:
    """The size of the brightness's gradient, (H, W): a map that cannot change with the weights, for comparison."""
    from scipy.ndimage import sobel

    grey = net.picture(net.pixels_of(image)).astype(np.float64).mean(2)
    return np.hypot(sobel(grey, 0), sobel(grey, 1))


def _methods(name: str, value: Any) -> Mapping[str, Method]:
    """Functions by name, or names of `sanity_methods`."""
    known = sanity_methods()
    if isinstance(value, Mapping) and value and all(isinstance(k, str) and callable(v) for k, v in value.items()):
        return value
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, str) and one in known for one in value):
        return {one: known[one] for one in value}
    raise SettingError(
        f"{name} is {brief_value(value)}; expected functions by name, such as {{'mine': function}}, or names among "
        f"{', '.join(known)}."
    )


@checked(net=network, methods=optional(_methods), seed=any_seed, progress=flag)
def sanity_check(
    net: Network,
    images: Any,
    methods: Mapping[str, Method] | Sequence[str] | None = None,
    *,
    seed: int = 0,
    progress: bool = True,
) -> SanityCheck:
    """Whether methods explain the network: their pictures must change when its weights are made random.

    The weights become random one module after another, from the class scores down to the image. After each, every
    method explains the same class of the same image again, and its map is compared with that of the trained network.
    A map that stays the same, such as one of the image's edges, says nothing of what the network learnt.

    Parameters
    ----------
    net : Network
        The network. Its module is not changed.
    images : image or list of images
        What `Network.pixels_of` takes.
    methods : mapping or sequence of str, optional
        By name, ``f(net, image, target)`` that returns a map (H, W), a picture (H, W, 3) or an `Attribution`; or names
        among `attribution_methods()`, "invert" (the deepest layer with a map), "maximize" and "decode" (the class). By
        default all attribution methods that work on the network.
    seed : int
        Of the random weights.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    SanityCheck
        The similarity of each method's map by layer and image.

    Raises
    ------
    NetworkError
        If the network has no weights, or none of the methods works on it.
    SettingError
        If a method fails, or returns no map.
    ImageError
        If an image cannot be read.

    References
    ----------
    Adebayo et al., Sanity checks for saliency maps, 2018, section 3 (cascading randomisation, rank correlation and
    structural similarity of absolute maps); Geirhos et al., Don't trust your eyes, 2024 (why pictures need such
    checks).

    Examples
    --------
    >>> check = cx.sanity_check(cx.load("lenet"), cx.digit(3), ["gradient"], progress=False)
    >>> check.rank[0, 0].round(3)
    array([1.])
    >>> bool(check.rank[0, -1] < 0.9)
    True
    """
    given = list(images) if isinstance(images, (list, tuple)) else [images]
    targets = [int(scores.argmax()) for scores in net.activations(given, net.scores.name).flatten(1)]
    known = sanity_methods()
    wanted = methods if isinstance(methods, Mapping) else {name: known[name] for name in attribution_methods()}
    check = compare(net, given, targets, wanted, seed=seed, progress=progress)
    words = [net.to_python(), images_to_python(images).removeprefix(", ")]
    if methods is not None:
        words.append(repr([*methods]) if all(name in known for name in methods) else "methods")
    words.append(f"seed={seed}")
    return replace(check, python=with_registrations(f"cx.sanity_check({', '.join(words)})", wanted))


def compare(
    net: Network,
    images: Sequence[Any],
    targets: Sequence[int],
    methods: Mapping[str, Method],
    *,
    seed: int = 0,
    progress: bool = True,
) -> SanityCheck:
    """`sanity_check` of given classes. Raises NetworkError if no method works, SettingError if one fails."""
    left_out: dict[str, str] = {}
    trained: dict[str, list[np.ndarray]] = {}
    found: dict[str, list[list[tuple[float, float]]]] = {}
    layers: list[str] = []
    with tqdm(desc="sanity check", unit="map", disable=not progress) as bar:
        for layer, random in randomized_networks(net, list(images), seed=seed):
            layers.append(layer)
            for name, method in methods.items():
                if name in left_out:
                    continue
                try:
                    if name not in trained:
                        trained[name] = [_map(method(net, *pair)) for pair in zip(images, targets, strict=True)]
                    # The first copy has the trained weights: that its maps are the same is measured, not assumed.
                    maps = [_map(method(random, *pair)) for pair in zip(images, targets, strict=True)]
                except (LayerError, NetworkError) as error:
                    left_out[name] = str(error)
                    found.pop(name, None)
                    continue
                except Exception as error:
                    raise SettingError(f"the method {name!r} failed ({brief(error)}); mend it.") from error
                pairs = zip(trained[name], maps, strict=True)
                found.setdefault(name, []).append(
                    [(rank_correlation(a, b), structural_similarity(a, b)) for a, b in pairs]
                )
                bar.update(len(maps))
    if not found:
        raise NetworkError(f"no method works on {net.name}: {next(iter(left_out.values()))}")
    both = np.array(list(found.values()), np.float64)
    return SanityCheck(list(found), layers, both[..., 0], both[..., 1], left_out, net)


def _map(result: Any) -> np.ndarray:
    """A map (H, W) of what a method returned: of a picture, its mean over the colours."""
    values = np.asarray(getattr(result, "map", getattr(result, "picture", result)), np.float64)
    if values.ndim == 3 and values.shape[2] == 3:
        values = values.mean(2)
    if values.ndim != 2 or not np.isfinite(values).all():
        raise SettingError(f"it returned values of shape {values.shape}; expected a finite map (H, W) or a picture")
    return values
