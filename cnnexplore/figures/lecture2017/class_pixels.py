"""Backward rules, saliency, class activation maps, occlusion and minimal images of a class.

In all functions: image, images: anything that `Network.pixels_of` takes, or a data set where a figure searches many
images (default: images that come with the package). layers: names of layers (default: some from first to last).
target: the class, an int or a label (default: the predicted one).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import drawing
from ...attribution import Attribution, attribute
from ...network import Network
from ...units import minimal_image
from ..parts import single
from ..preimage2016 import figure13
from ..sheet import Cell, Sheet
from .arguments import image_list


def _heat_cell(a: Attribution, title: str, over: bool = False) -> Cell:
    """An attribution's map, or the map over its image."""
    return Cell(a.overlay() if over else a.picture, title, result=a)


def rules(
    net: Network, images: Any = None, target: int | str | None = None, layer: str | None = None, unit: int | None = None
) -> Sheet:
    """Plain backpropagation, the deconvnet and guided backpropagation of a class or a unit."""
    titles = {"gradient": "backprop", "deconvnet": "deconvnet", "guided_backprop": "guided backprop"}
    rows = []
    for image in image_list(images):
        found = [single(attribute(net, image, target, method=rule, layer=layer, unit=unit)) for rule in titles]
        patterns = [drawing.signed_picture(a.raw[::-1] if net.pixels.order == "BGR" else a.raw, 0.999) for a in found]
        cells = [Cell(p, title, result=a) for p, title, a in zip(patterns, titles.values(), found, strict=True)]
        rows.append([Cell(found[0].image, found[0].about), *cells])
    return Sheet(f"Backward rules, {net.name}", rows)


def class_model(net: Network, classes: Sequence[int | str] | None = None, **run: Any) -> Sheet:
    """Class models: images that maximise the classes' scores."""
    return figure13(net, classes, **run)


def saliency(net: Network, images: Any = None, target: int | str | None = None, method: str = "gradient") -> Sheet:
    """Pixel saliency of the class: the gradient, absolute, max over channels."""
    rows = []
    for image in image_list(images):
        a = single(attribute(net, image, target, method=method))
        rows.append(
            [Cell(a.image, a.about), _heat_cell(a, method.replace("_", " ")), _heat_cell(a, "over the image", True)]
        )
    return Sheet(f"Saliency, {net.name}", rows)


def saliency_segments(
    net: Network, images: Any = None, target: int | str | None = None, method: str = "gradient"
) -> Sheet:
    """Segmentation from pixel saliency by GrabCut, and its bounding box."""
    rows = []
    for image in image_list(images):
        a = single(attribute(net, image, target, method=method))
        mask, box = a.segment(), a.box()
        cut = np.where(mask[..., None], a.image, a.image // 5).astype(np.uint8)
        drawn = (box[0], box[1], box[2] - 1, box[3] - 1)
        rows.append(
            [Cell(a.image, a.about), _heat_cell(a, "saliency"), Cell(cut, "GrabCut"), Cell(a.image, "box", drawn)]
        )
    return Sheet(f"Segments from saliency, {net.name}", rows)


def cams(net: Network, images: Any = None, target: int | str | None = None, method: str = "cam") -> Sheet:
    """Class activation maps beside the gradient; for networks without global average pooling, method="gradcam"."""
    rows = []
    for image in image_list(images):
        map_, plain = single(attribute(net, image, target, method=method)), single(attribute(net, image, target))
        cells = [_heat_cell(map_, method), _heat_cell(map_, "over the image", True), _heat_cell(plain, "gradient")]
        rows.append([Cell(map_.image, map_.about), *cells])
    return Sheet(f"Class activation maps, {net.name}", rows)


def occlusion(
    net: Network,
    images: Any = None,
    target: int | str | None = None,
    window: int | tuple[int, int] | None = None,
    stride: int | tuple[int, int] | None = None,
    fill: Any = "mean",
) -> Sheet:
    """Occlusion heat maps: the fall of the score when a window is covered.

    window, stride, fill: as `cx.attribute` takes them.
    """
    rows = []
    for image in image_list(images):
        a = single(attribute(net, image, target, method="occlusion", window=window, stride=stride, fill=fill))
        rows.append([Cell(a.image, f"{a.about}, {a.score:.1f}"), _heat_cell(a, f"falls up to {a.map.max():.1f}"),
                     _heat_cell(a, "over the image", True)])  # fmt: skip
    return Sheet(f"Occlusion, {net.name}", rows)


def minimal(net: Network, images: Any = None, segments: int = 40) -> Sheet:
    """Minimal images: all segments removed that the predicted class does not need."""
    rows = []
    for image in image_list(images):
        found = minimal_image(net, image, segments=segments, progress=False)
        rows.append(
            [Cell(found.image, found.label), Cell(found.minimal, f"{found.mask.mean():.0%} left", result=found)]
        )
    return Sheet(f"Minimal images, {net.name}", [[cell for row in rows for cell in row]])
