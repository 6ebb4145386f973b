"""The minimal image: what is left when segments are taken away, one by one, for as long as the class stays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from tqdm.auto import tqdm

from .. import drawing
from ..errors import NetworkError, SettingError
from ..network import Network, class_score_layer, unit_name

_BATCH = 32


@dataclass(frozen=True)
class MinimalImage:
    """What is left. picture: (H, W, 3) uint8, the rest in the network's mean colour; mask: (H, W) bool, what was kept.

    image: before; target: the class's number; scores: its score before, and after each removal; segments: (H, W) int;
    removed: their numbers in the order in which they went.
    """

    picture: np.ndarray = field(repr=False)
    mask: np.ndarray = field(repr=False)
    image: np.ndarray = field(repr=False)
    target: int
    label: str
    scores: list[float] = field(repr=False)
    segments: np.ndarray = field(repr=False)
    removed: list[int] = field(repr=False)

    def plot(self):
        """A matplotlib figure: the image, its segments, what is left of it."""
        from skimage.segmentation import mark_boundaries

        lines = np.round(255 * mark_boundaries(self.image, self.segments, color=(1, 1, 0))).astype(np.uint8)
        titles = [
            f"score {self.scores[0]:.3g}",
            f"{self.segments.max() + 1} segments",
            f"{self.mask.mean():.0%} is left, score {self.scores[-1]:.3g}",
        ]
        return drawing.panels([self.image, lines, self.picture], titles, 3, 2.2, f"still {self.label}")

    def _repr_png_(self) -> bytes:
        return drawing.shown(self.plot())


def minimal_image(net: Network, image, segments: int = 40, progress: bool = True) -> MinimalImage:
    """The least of an image that the network still gives the same class, found greedily.

    segments: about how many to cut the image into (SLIC). Each round takes away the segment whose absence leaves the
    class's lead over the others largest, until the class would change. Raises SettingError, NetworkError, ImageError.
    Source: Zhou et al., Object detectors emerge in deep scene CNNs, 2015, section 3.1.
    """
    from skimage.segmentation import slic

    if not isinstance(segments, int) or not 2 <= segments <= 1000:
        raise SettingError(f"segments is {segments!r}; expected about how many, 2 to 1000.")
    layer = class_score_layer(net)
    x = net.pixels_of(image)
    if len(x) != 1:
        raise SettingError(f"{len(x)} images were given; expected one.")
    picture = net.picture(x)
    parts = slic(picture, segments, compactness=10, start_label=0)
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
    left, removed, scores = list(range(int(parts.max()) + 1)), [], [float(first[target])]
    with tqdm(total=len(left), desc="minimal image", unit="segment", disable=not progress) as bar:
        while len(left) > 1:
            found = []
            for k in range(0, len(left), _BATCH):
                variants = torch.cat(
                    [torch.where(places == part, torch.zeros_like(x), x) for part in left[k : k + _BATCH]]
                )
                found += list(zip(*(one.tolist() for one in leads(variants)), strict=True))
            best = max(range(len(left)), key=lambda k: found[k][1])
            if found[best][1] <= 0:
                break
            part = left.pop(best)
            x = torch.where(places == part, torch.zeros_like(x), x)
            removed.append(part)
            scores.append(found[best][0])
            bar.update()
    mask = np.isin(parts, left)
    return MinimalImage(net.picture(x), mask, picture, target, unit_name(net, layer, target), scores, parts, removed)
