"""The minimal image: segments are removed one by one for as long as the predicted class stays the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..arguments import checked, checked_integer, flag
from ..data.images import one_image
from ..errors import NetworkError
from ..network import Network, class_score_layer, unit_name
from ..network.arguments import network
from ..results import Result, image_to_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BATCH = 32


@dataclass(frozen=True, eq=False)
class MinimalImage(Result):
    """The part of an image that keeps its predicted class.

    Attributes
    ----------
    minimal : np.ndarray
        (H, W, 3) uint8, the image with the removed segments in the network's mean colour.
    mask : np.ndarray
        (H, W) bool, the pixels that were kept.
    image : np.ndarray
        (H, W, 3) uint8, the whole image as the network saw it.
    target : int
        The predicted class.
    label : str
        Its name.
    scores : list of float
        The class's score, before, and after each removal.
    segments : np.ndarray
        (H, W) int, each pixel's segment.
    removed : list of int
        The segments that were removed, in order.
    python : str
        The call that makes this result again.
    """

    minimal: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)
    image: np.ndarray = field(repr=False)
    target: int
    label: str
    scores: list[float] = field(repr=False)
    segments: np.ndarray = field(repr=False)
    removed: list[int] = field(repr=False)
    python: str = field(default="", repr=False)

    def plot(self) -> Figure:
        """A matplotlib figure: the image, its segments, the minimal image."""
        from skimage.segmentation import mark_boundaries

        lines = np.round(
            255 * mark_boundaries(self.image, drawing.repeated(self.segments, self.image), color=(1, 1, 0))
        ).astype(np.uint8)
        titles = [
            f"score {self.scores[0]:.3g}",
            f"{self.segments.max() + 1} segments",
            f"{self.mask.mean():.0%} is left, score {self.scores[-1]:.3g}",
        ]
        return drawing.picture_grid([self.image, lines, self.minimal], titles, 3, 2.2, f"still {self.label}")


@checked(net=network, progress=flag)
def minimal_image(net: Network, image: object, *, segments: int = 40, progress: bool = True) -> MinimalImage:
    """Find a small part of an image that keeps its predicted class, greedily.

    Each step removes the segment without which the class's lead over the best other class is largest, until the
    predicted class would change.

    Parameters
    ----------
    net : Network
        A classifier.
    image : array, PIL.Image.Image, str or os.PathLike
        One image, as `Network.pixels_of` takes it.
    segments : int
        About how many segments the image is cut into (by SLIC), 2 to 1000.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    MinimalImage
        The minimal image and the steps to it.

    Raises
    ------
    NetworkError
        If the network is not a classifier with two classes or more.
    SettingError
        If `segments` is out of range, or several images were given.
    ImageError
        If the image cannot be read.

    References
    ----------
    Zhou, Khosla, Lapedriza, Oliva and Torralba, Object detectors emerge in deep scene CNNs, 2015, section 3.1.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> found = cx.minimal_image(cx.load("worldnet"), cx.scene(2).image, segments=8, progress=False)
    >>> len(found.scores) == len(found.removed) + 1
    True
    """
    from skimage.segmentation import slic

    count = checked_integer("segments", segments, 2, 1000, what="about how many")
    layer = class_score_layer(net)
    x = one_image(net, image)
    picture = net.picture(x)
    parts = slic(_colours(net, x), count, compactness=10, start_label=0)
    probe, places = net.probe(layer.name), torch.from_numpy(parts).to(x.device)

    def leads(variants: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N,) the class's score, and its lead over the best other one."""
        with torch.no_grad():
            scores = probe(net.feed(variants))[layer.name].flatten(1).float()
        own = scores[:, target].clone()
        scores[:, target] = -torch.inf
        return own, own - scores.amax(1)

    with torch.no_grad():
        first = probe(net.feed(x))[layer.name].flatten()
    if len(first) < 2:
        raise NetworkError(f"{net.name} has {len(first)} score; expected two classes or more.")
    target = int(first.argmax())
    removed: list[int] = []
    left, scores = list(range(int(parts.max()) + 1)), [float(first[target])]
    with tqdm(total=len(left), desc="minimal image", unit="segment", disable=not progress) as bar:
        while len(left) > 1:
            found: list[tuple[float, float]] = []
            for k in range(0, len(left), _BATCH):
                variants = torch.cat(
                    [torch.where(places == part, torch.zeros_like(x), x) for part in left[k : k + _BATCH]]
                )
                found += list(zip(*(one.tolist() for one in leads(variants)), strict=True))
            score, lead, best = max(((s, lead, k) for k, (s, lead) in enumerate(found)), key=lambda one: one[1])
            if lead <= 0:
                break
            part = left.pop(best)
            x = torch.where(places == part, torch.zeros_like(x), x)
            removed.append(part)
            scores.append(score)
            bar.update()
    mask = np.isin(parts, left)
    label = unit_name(net, layer, target)
    python = f"cx.minimal_image({net.to_python()}, {image_to_python(image)}, segments={count})"
    return MinimalImage(net.picture(x), mask, picture, target, label, scores, parts, removed, python)


def _colours(net: Network, x: torch.Tensor) -> np.ndarray:
    """The picture of an image (1, C, H, W), (H, W, 3) uint8; the mean of the channels where they are no colours."""
    if net.pixels.order != "channels":
        return net.picture(x)
    grey = (x[0].cpu() + torch.tensor(net.pixels.mean, dtype=torch.float32).view(-1, 1, 1)).mean(0).clamp(0, 255)
    return np.repeat(grey.numpy().astype(np.uint8)[..., None], 3, -1)
