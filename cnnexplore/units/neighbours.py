"""Nearest neighbours of an image in pixel space and in a layer's space, side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..data.images import BATCH, Images
from ..errors import SettingError
from ..network import Network
from .stream import largest


@dataclass(frozen=True)
class Neighbours:
    """The images nearest to one, by Euclidean distance. in_pixels, in_layer: (k,) the images' numbers, nearest first.

    pixel_distances, layer_distances: (k,) each.
    """

    in_pixels: np.ndarray
    in_layer: np.ndarray
    pixel_distances: np.ndarray = field(repr=False)
    layer_distances: np.ndarray = field(repr=False)
    layer: str
    image: np.ndarray = field(repr=False)
    net: Network = field(repr=False)
    images: Images = field(repr=False)

    def plot(self):
        """A matplotlib figure: the image and its neighbours by pixels, and below by the layer."""
        pictures, titles = [], []
        rows = (("by pixels", self.in_pixels), (f"by {self.layer}", self.in_layer))
        for said, numbers in rows:
            x = self.net.pixels_of([self.images[int(k)] for k in numbers])
            pictures += [self.image, *self.net.picture(x).reshape(len(x), *x.shape[-2:], 3)]
            titles += [said, *(f"no. {k}" for k in numbers)]
        return drawing.panels(pictures, titles, 1 + len(self.in_pixels), 1.3)

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


def neighbours(
    net: Network,
    image,
    images=None,
    layer: str | None = None,
    k: int = 5,
    batch: int = BATCH,
    progress: bool = True,
) -> Neighbours:
    """The k images of a data set nearest to an image: in pixels as the network is shown them, and in a layer's codes.

    images: a list, a folder or a data set (default: those at hand); layer: default the last one before the class
    scores that has no map, else the scores. Raises SettingError, LayerNotFound, ImageError.
    Source: lecture2017, the last feature layer.
    """
    source = Images.of(net, images)
    if not isinstance(k, int) or k < 1:
        raise SettingError(f"k is {k!r}; expected how many neighbours to keep, 1 or more.")
    name = _last_features(net) if layer is None else net.layers[layer].name
    x = net.pixels_of(image)
    if len(x) != 1:
        raise SettingError(f"{len(x)} images were given; expected one.")
    probe = net.probe(name)
    with torch.no_grad():
        code = probe(net.feed(x))[name].flatten(1)
    found: list = [None, None]
    with tqdm(total=len(source), desc=f"neighbours, {name}", unit="image", disable=not progress) as bar:
        for first, several in source.batches(net, batch):
            with torch.no_grad():
                codes = probe(net.feed(several))[name].flatten(1)
            numbers = torch.arange(first, first + len(several), device=x.device)[None]
            for j, (one, others) in enumerate(((x.flatten(1), several.flatten(1)), (code, codes))):
                found[j] = largest(found[j], (-(others - one).norm(dim=1)[None], numbers), k)
            bar.update(len(several))
    (near, in_pixels), (close, in_layer) = ([one[0].cpu().numpy() for one in pair] for pair in found)
    return Neighbours(in_pixels, in_layer, -near, -close, name, net.picture(x), net, source)


def _last_features(net: Network) -> str:
    """The last activation before the class scores: what the field calls the features."""
    names = list(net.layers)
    before = names[: net.layers.depth(net.scores)]
    flat = [n for n in before if max(net.layers[n].size) == 1 and net.layers[n].kind not in ("Dropout", "Flatten")]
    return flat[-1] if flat else net.scores.name
