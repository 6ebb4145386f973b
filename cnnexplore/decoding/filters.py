"""Decoded filters: each unit of a layer as a filter in the space of the image (decoding2015, section 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import checked, choice, flag, fraction
from ..network import Layer, Network, Pixels, unit_name
from ..network.arguments import layer_name, network
from ..results import Result, unit_to_python
from .decoder import Decoder
from .unpooling import METHODS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PARTS = ("both", "positive", "negative")
_SHOWN = 64  # filters in a picture


@dataclass(frozen=True, eq=False)
class Decoding(Result):
    """Decoded filters of a layer's units.

    Attributes
    ----------
    filters : np.ndarray
        (U, 3 or 1, h, w) float32, in RGB order. A filter's convolution with an image, as the module takes it (centred
        and divided by the std of `Network.pixels`), estimates the unit's responses; biases are left out.
    units : list of int
        The units.
    layer : Layer
        Their layer.
    names : list of str
        The units' names: class labels, or "unit 7".
    box : tuple of int
        (top, left, bottom, right), the pixels of the network's input that the filters cover, both ends included, for a
        unit in the middle of its map.
    unpool : str
        How maps were carried up through poolings.
    python : str
        The call that makes this result again.
    """

    filters: np.ndarray = field(repr=False)
    units: list[int]
    layer: Layer
    names: list[str] = field(repr=False)
    box: tuple[int, int, int, int]
    unpool: str
    python: str = field(default="", repr=False)

    def __len__(self) -> int:
        return len(self.units)

    def pictures(self) -> np.ndarray:
        """Each filter as a picture, (U, h, w, 3) uint8; zero in middle grey, each to its own range."""
        return drawing.signed_picture(self.filters)

    @property
    def picture(self) -> np.ndarray:
        """The first 64 filters in one picture, (H, W, 3) uint8."""
        shown = self.pictures()[:_SHOWN]
        return drawing.tiles(shown, math.ceil(math.sqrt(len(shown))))

    def plot(self) -> Figure:
        """A matplotlib figure of the first 64 filters, each with the unit's name."""
        title = f"{self.layer.name}: decoded filters"
        if len(self) > _SHOWN:
            title += f" ({_SHOWN} of {len(self)})"
        return drawing.picture_grid(list(self.pictures()[:_SHOWN]), self.names[:_SHOWN], 8, 1.1, title)

    def threshold(self, share: float = 0.3, part: str = "both") -> Decoding:
        """Only where the filters are strong: 1, -1 and elsewhere 0, as in the paper's figure 4.

        Parameters
        ----------
        share : float
            How strong, 0 to 1: a part of the filter's largest magnitude.
        part : {"both", "positive", "negative"}
            Which sign is kept.

        Returns
        -------
        Decoding
            The same units, with filters of 1, -1 and 0.

        Raises
        ------
        SettingError
            If `share` is outside 0 to 1 or `part` is unknown.
        """
        share = fraction("a part of the largest magnitude")("share", share)
        part = choice(PARTS)("part", part)
        python = f"{self.python}.threshold({share:g}, {part!r})" if self.python else ""
        return replace(self, filters=threshold(self.filters, share, part), python=python)


@checked(net=network, layer=layer_name, unpool=choice(METHODS), progress=flag)
def decode(
    net: Network, layer: str, unit: object = None, *, unpool: str = "bilinear", progress: bool = True
) -> Decoding:
    """Decode units to filters in the space of the image, from the weights alone.

    A unit stands in the middle of its map. Each of its weights is replaced by the filter of the unit below, times the
    weight, down to the image. A filter is as large as the unit's receptive field, or as the part of it inside the
    image.

    Parameters
    ----------
    net : Network
        The network.
    layer : str
        The layer's name.
    unit : int, str, list, integer array or None
        The units: numbers, class labels where the layer is the class scores, or None (default) for all.
    unpool : {"bilinear", "nearest", "bicubic"}
        How a map is carried up through a pooling.
    progress : bool
        Whether to show a progress bar if it takes longer than 2 seconds.

    Returns
    -------
    Decoding
        The filters, (U, 3 or 1, h, w), with their picture.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If the layer cannot be decoded, because it is computed with an operation that has no rule.
    SettingError
        If the layer has no such unit, or `unpool` is unknown.

    References
    ----------
    Rafegas and Vanrell, Understanding learned CNN features through filter decoding with substitution, 2015, section 3.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> net = cx.load("lenet-smooth")
    >>> found = cx.decode(net, "conv2", [0, 7])
    >>> found.filters.shape, found.picture.shape
    ((2, 1, 14, 14), (14, 29, 3))
    """
    decoder = Decoder(net, layer, unit, unpool)
    parts = []
    bar = {"desc": f"decoding, {decoder.layer.name}", "unit": "filter", "disable": not progress, "delay": 2}
    with tqdm(total=len(decoder), **bar) as shown:
        for units, filters in decoder:
            parts.append(in_rgb(filters, net.pixels))
            shown.update(len(units))
    where = decoder.layer
    names = [unit_name(net, where, one) for one in decoder.units]
    python = f"cx.decode({net.to_python()}, {where.name!r}, {unit_to_python(unit, decoder.units)}, unpool={unpool!r})"
    return Decoding(np.concatenate(parts), decoder.units, where, names, decoder.box, unpool, python)


def in_rgb(filters: torch.Tensor, pixels: Pixels) -> np.ndarray:
    """Filters (..., C, h, w) in the network's channel order as a numpy array in RGB order."""
    found = filters.float().cpu().numpy()
    return np.ascontiguousarray(found[..., ::-1, :, :]) if pixels.order == "BGR" else found


def threshold(filters: np.ndarray, share: float = 0.3, part: str = "both") -> np.ndarray:
    """1 where a filter is strongly positive, -1 where it is strongly negative, 0 elsewhere.

    Parameters
    ----------
    filters : np.ndarray
        (U, C, h, w).
    share : float
        How strong, 0 to 1: a part of the filter's largest magnitude.
    part : {"both", "positive", "negative"}
        Which sign is kept.

    Returns
    -------
    np.ndarray
        (U, C, h, w) of 1, -1 and 0.

    Raises
    ------
    SettingError
        If `share` is outside 0 to 1 or `part` is unknown.

    References
    ----------
    Rafegas and Vanrell, Understanding learned CNN features through filter decoding with substitution, 2015, figure 4.

    Examples
    --------
    >>> import numpy as np
    >>> from cnnexplore.decoding import threshold
    >>> threshold(np.array([[[[0.1, -0.5, 1.0]]]]), 0.3).tolist()
    [[[[0.0, -1.0, 1.0]]]]
    """
    share = fraction("a part of the largest magnitude")("share", share)
    part = choice(PARTS)("part", part)
    size = np.abs(filters)
    strong = np.where(size >= share * size.max((1, 2, 3), keepdims=True), np.sign(filters), 0)
    low, high = {"both": (-1, 1), "positive": (0, 1), "negative": (-1, 0)}[part]
    return strong.clip(low, high).astype(filters.dtype)
