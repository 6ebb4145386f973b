"""The responses of units beside those of a convolution with their decoded filters (decoding2015, figure 3, table 1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from tqdm.auto import tqdm

from .. import drawing
from ..data import bundled_images
from ..errors import SettingError, brief_list, brief_value
from ..network import Layer, Network, as_maps
from ..network.precision import full_precision
from ..results import Result, images_to_python, unit_to_python
from .decoder import Decoder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCH = 100  # images at a time
_AT_ONCE = 1 << 24  # numbers that the windows of a convolution may take
_SHOWN = 8  # units in a figure
Batch = tuple[torch.Tensor, dict[str, torch.Tensor]]


@dataclass(frozen=True, eq=False)
class Comparison(Result):
    """Responses of a layer's units to images, and of their decoded filters.

    Attributes
    ----------
    layer : Layer
        The layer.
    units : list of int
        The U units.
    unpool : str
        How maps were carried up through poolings.
    network, filters : np.ndarray
        (N, U, h, w), the responses of the network's units and those of the filters; 1 x 1 for units without a map.
    python : str
        The call that makes this result again.
    """

    layer: Layer
    units: list[int]
    unpool: str
    network: np.ndarray = field(repr=False)
    filters: np.ndarray = field(repr=False)
    python: str = field(default="", repr=False)

    @property
    def errors(self) -> np.ndarray:
        """The mean square difference of each image's two responses, (N,), each with its contrast normalised."""
        return errors(self.network, self.filters)

    def top(self, unit: int, k: int = 4) -> tuple[list[int], list[int]]:
        """The images to which a unit, and its decoded filter, respond most (decoding2015, figure 4 d).

        Parameters
        ----------
        unit : int
            One of `units`.
        k : int
            How many images.

        Returns
        -------
        tuple of list of int
            The images' numbers, strongest first: by the unit, by the filter.

        Raises
        ------
        SettingError
            If the unit was not compared.
        """
        if unit not in self.units:
            raise SettingError(f"unit {brief_value(unit)} was not compared; expected one of {brief_list(self.units)}.")
        place = self.units.index(unit)
        unit_peaks, filter_peaks = (
            maps[:, place].reshape(len(maps), -1).max(1) for maps in (self.network, self.filters)
        )
        return tuple(np.argsort(-peaks, kind="stable")[:k].tolist() for peaks in (unit_peaks, filter_peaks))

    def plot(self) -> Figure:
        """A matplotlib figure for the first image: the first units' maps, and below them their filters'."""
        chosen = list(range(min(_SHOWN, len(self.units))))
        sides = [contrast(maps[:1])[0] for maps in (self.network, self.filters)]
        if sides[0][0].size == 1:
            pictures = [drawing.heat(side.reshape(1, -1), span=(0, 1)) for side in sides]
            return drawing.picture_grid(pictures, ["all units", "their filters"], 1, 4.0, self.layer.name)
        pictures = [drawing.heat(side[k], span=(0, 1)) for side in sides for k in chosen]
        titles = [f"unit {self.units[k]}" for k in chosen] + ["its filter" for _ in chosen]
        return drawing.picture_grid(
            pictures, titles, len(chosen), 1.2, f"{self.layer.name}, error {self.errors[0]:.4f}"
        )


def contrast(maps: np.ndarray) -> np.ndarray:
    """Normalise the contrast of each response: its range becomes 0 to 1.

    A response is a unit's map; for units without a map it is the row of all units.

    Parameters
    ----------
    maps : np.ndarray
        (N, U, h, w).

    Returns
    -------
    np.ndarray
        (N, U, h, w); 0 where a response is constant.

    Examples
    --------
    >>> import numpy as np
    >>> from cnnexplore.decoding import contrast
    >>> contrast(np.array([[[[2.0, 4.0, 3.0]]]])).tolist()
    [[[[0.0, 1.0, 0.5]]]]
    """
    axes = (2, 3) if maps.shape[2] * maps.shape[3] > 1 else (1, 2, 3)
    low, high = maps.min(axes, keepdims=True), maps.max(axes, keepdims=True)
    return (maps - low) / np.maximum(high - low, np.finfo(maps.dtype).tiny)


def errors(network: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Mean(|| CNN(I, l, k) - I * df ||^2) over all units and positions, after `contrast` of each side: (N,).

    network, filters: (N, U, h, w). Source: decoding2015, equation 3.
    """
    return np.square(contrast(network) - contrast(filters)).reshape(len(network), -1).mean(1)


def compare(
    net: Network,
    layer: str,
    unit: object = None,
    images: object = None,
    *,
    unpool: str = "bilinear",
    progress: bool = True,
) -> Comparison:
    """Compare the responses of units to images with those of their decoded filters.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer's name.
    unit : int, str, list, integer array or None
        The units: numbers, class labels where the layer is the class scores, or None (default) for all.
    images : array, PIL.Image.Image, str, os.PathLike or list, optional
        One image or several, as `Network.pixels_of` takes them. Default: the bundled images.
    unpool : {"bilinear", "nearest", "bicubic"}
        How a map is carried up through a pooling.
    progress : bool
        Whether to show a progress bar if it takes longer than 2 seconds.

    Returns
    -------
    Comparison
        Both responses, position by position.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer cannot be decoded.
    SettingError
        If the layer has no such unit, `unpool` is unknown, or there is no image.
    ImageError
        If an image cannot be read.

    References
    ----------
    Rafegas and Vanrell, Understanding learned CNN features through filter decoding with substitution, 2015, section 4.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> from cnnexplore.decoding import compare
    >>> found = compare(cx.load("lenet-smooth"), "conv2", [0, 7], cx.digit(3))
    >>> found.network.shape, found.filters.shape
    ((1, 2, 8, 8), (1, 2, 8, 8))
    """
    decoder = Decoder(net, layer, unit, unpool)
    batches = activations(net, [layer], bundled_images(net) if images is None else images, progress=progress)
    found = compare_filters(decoder, decoder.filters(), batches)
    units = unit_to_python(unit, decoder.units)
    python = f"compare({net.to_python()}, {decoder.layer.name!r}, {units}{images_to_python(images)}, unpool={unpool!r})"
    return Comparison(found.layer, found.units, unpool, found.network, found.filters, python)


def compare_filters(decoder: Decoder, filters: torch.Tensor, batches: Iterable[Batch]) -> Comparison:
    """The comparison for filters (U, C, h, w) that are decoded already; batches: of `activations`."""
    name = decoder.layer.name
    network, convolved = [], []
    for x, found in batches:
        network.append(found[name][:, decoder.units].cpu().numpy())
        convolved.append(filter_responses(decoder, filters, x).cpu().numpy())
    sides = np.concatenate(network), np.concatenate(convolved)
    return Comparison(decoder.layer, decoder.units, decoder.unpool, *sides)


def activations(net: Network, layers: Sequence[str], images: Any, *, progress: bool = False) -> Iterator[Batch]:
    """For a batch of images at a time: what the module takes (N, C, H, W), and by layer name its maps (N, U, h, w)."""
    probe = net.probe(*layers)
    where = {net.layers[name].name: net.layers[name] for name in layers}
    several = images if isinstance(images, (list, tuple)) or getattr(images, "ndim", 0) == 4 else [images]
    bar = {"desc": "responses", "unit": "image", "disable": not progress, "delay": 2}
    with tqdm(total=len(several), **bar) as shown:
        for first in range(0, max(1, len(several)), _BATCH):  # an empty list gets the error of `pixels_of`
            with torch.no_grad():
                x = net.feed(net.pixels_of(several[first : first + _BATCH]))
                found = probe(x)
            yield x, {name: as_maps(one.float(), where[name]) for name, one in found.items()}
            shown.update(len(x))


@full_precision()
@torch.no_grad()
def filter_responses(decoder: Decoder, filters: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The convolution of images with decoded filters at the positions of the layer's units: (N, U, *layer.size).

    filters: (U, C, h, w), those of the decoder; x: (N, C, H, W), what the module takes.
    """
    layer, (h, w) = decoder.layer, filters.shape[2:]
    stride = [max(1, round(s)) if n > 1 else 1 for s, n in zip(layer.rf_stride, layer.size, strict=True)]
    first = [decoder.box[a] - (layer.size[a] // 2) * stride[a] for a in (0, 1)]  # where unit (0, 0)'s filter begins
    last = [first[a] + (layer.size[a] - 1) * stride[a] + (h, w)[a] for a in (0, 1)]
    x = x.to(torch.promote_types(x.dtype, torch.float32))  # numpy has no bfloat16
    padded = F.pad(x, (-first[1], last[1] - x.shape[3], -first[0], last[0] - x.shape[2]))
    windows = layer.size[0] * layer.size[1] * filters[0].numel()  # of one image
    step = max(1, _AT_ONCE // windows)
    return torch.cat([F.conv2d(some, filters.to(x), stride=stride) for some in padded.split(step)])
