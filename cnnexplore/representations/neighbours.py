"""The nearest neighbours of an image among many, by pixels and by a layer's activations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import checked, checked_integer, flag, optional, whole
from ..data.images import BATCH, Images, one_image
from ..errors import LayerError
from ..network import Network, features_layer
from ..network.arguments import layer_name, network
from ..results import Result, image_to_python, images_to_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Neighbours(Result):
    """The images nearest to one image, by Euclidean distance.

    Attributes
    ----------
    in_pixels, in_layer : np.ndarray
        (k,) int, the images' numbers, nearest first: by pixels, and by the layer's activations.
    pixel_distances, layer_distances : np.ndarray
        (k,) float, their distances.
    layer : str
        The layer's name.
    image : np.ndarray
        (H, W, 3) uint8, the image as the network saw it.
    net : Network
        The network.
    images : Images
        The images that were searched.
    python : str
        The call that makes this result again.
    """

    in_pixels: np.ndarray
    in_layer: np.ndarray
    pixel_distances: np.ndarray = field(repr=False)
    layer_distances: np.ndarray = field(repr=False)
    layer: str
    image: np.ndarray = field(repr=False)
    net: Network = field(repr=False)
    images: Images = field(repr=False)
    python: str = field(default="", repr=False)

    def plot(self) -> Figure:
        """A matplotlib figure: the image and its neighbours by pixels, and below by the layer."""
        pictures, titles = [], []
        for name, numbers in (("by pixels", self.in_pixels), (f"by {self.layer}", self.in_layer)):
            x = self.net.pixels_of([self.images[int(k)] for k in numbers])
            pictures += [self.image, *self.net.pixels.decode(x).cpu().numpy()]
            titles += [name, *(f"no. {k}" for k in numbers)]
        return drawing.picture_grid(pictures, titles, 1 + len(self.in_pixels), 1.3)


@checked(
    net=network,
    layer=optional(layer_name),
    batch=whole(1, 10_000, "how many images to compute at a time"),
    progress=flag,
)
def neighbours(
    net: Network,
    image: object,
    layer: str | None = None,
    images: object = None,
    *,
    k: int = 5,
    batch: int = BATCH,
    progress: bool = True,
) -> Neighbours:
    """Find the images nearest to one image: by its pixels, and by a layer's activations.

    Parameters
    ----------
    net : Network
        The network.
    image : array, PIL.Image.Image, str or os.PathLike
        One image, as `Network.pixels_of` takes it.
    layer : str, optional
        The layer of which activations are compared. Default: the one that the class scores are computed from.
    images : list, str, os.PathLike, torch data set or Images, optional
        The images to search: a list, a folder or a data set. Default: the bundled images.
    k : int
        How many neighbours to find, 1 or more.
    batch : int
        How many images to compute at a time.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Neighbours
        Numbers and distances, nearest first.

    Raises
    ------
    LayerNotFound
        If the network has no such layer.
    LayerError
        If an activation is not finite, or its shape depends on the image.
    SettingError
        If `k` is below 1, or several images were given as `image`.
    ImageError
        If an image cannot be read.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional neural networks, 2012, figure 4.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> net = cx.load("worldnet")
    >>> others = [cx.scene(k).image for k in range(4)]
    >>> found = cx.neighbours(net, others[2], "fc6", others, k=2, progress=False)
    >>> int(found.in_layer[0]), bool(found.layer_distances[0] < 1e-3)
    (2, True)
    """
    source = Images.of(net, images)
    count = checked_integer("k", k, 1, what="how many neighbours to keep")
    name = features_layer(net).name if layer is None else net.layers[layer].name
    x = one_image(net, image)
    probe = net.probe(name)
    with torch.no_grad():
        own = _rows(probe(net.feed(x))[name])
    by_pixels, by_layer = [], []
    with tqdm(total=len(source), desc=f"neighbours, {name}", unit="image", disable=not progress) as bar:
        for _, several in source.batches(net, batch):
            with torch.no_grad():
                activations = _rows(probe(net.feed(several))[name])
            by_pixels.append((several.flatten(1) - x.flatten(1)).norm(dim=1).cpu().numpy())
            if activations.shape[1] != own.shape[1]:
                raise LayerError(
                    f"the activation of {name} has another shape for one of the images; it depends on the image, so "
                    "take another layer."
                )
            by_layer.append((activations - own).norm(dim=1).cpu().numpy())
            bar.update(len(several))
    distances = [np.concatenate(parts) for parts in (by_pixels, by_layer)]
    if not np.isfinite(distances[1]).all():
        raise LayerError(f"the activation of {name} is not finite for one of the images; look at the weights.")
    (in_pixels, in_layer) = (one.argsort(kind="stable")[:count] for one in distances)
    python = (
        f"cx.neighbours({net.to_python()}, {image_to_python(image)}, {name!r}{images_to_python(images)}, k={count})"
    )
    return Neighbours(
        in_pixels, in_layer, distances[0][in_pixels], distances[1][in_layer], name, net.picture(x), net, source, python
    )


def _rows(activations: torch.Tensor) -> torch.Tensor:
    """(N, D) in which distances are exact enough: half precision would round them."""
    rows = activations.reshape(len(activations), -1)
    return rows.to(torch.promote_types(rows.dtype, torch.float32))
