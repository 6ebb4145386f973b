"""The kinds of images that a unit responds to, each with a picture of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...data import bundled_images
from ...network import Network, class_score_layer, unit_name
from ...units import Facets, facets
from ...world import CLASSES, dataset
from ..sheet import Cell, Sheet


def facet_pictures(
    net: Network, images: Any = None, classes: Sequence[int | str] | None = None, layer: str | None = None,
    units: Sequence[int] | None = None, facet_count: int | None = None, k: int = 4, method: str = "multifaceted2016",
    steps: int | None = None, seed: int = 0, progress: bool = True,
) -> Sheet:  # fmt: skip
    """Facets of units: the mean of the nearest images, the picture that is maximised from it, and the images.

    classes: by default two; layer, units: other units in their place; images: by default 120 scenes of each class that
    is shown, or the bundled images; facet_count: None for the number that the curve suggests; k: images beside a
    picture.
    """
    where = class_score_layer(net) if layer is None else net.layers[layer]
    chosen = classes if units is None else units
    chosen = list(range(where.channels))[1:3] if chosen is None else list(chosen)
    rows = []
    for unit in chosen:
        found = facets(
            net, where.name, unit, _images(net, unit) if images is None else images, k=facet_count, method=method,
            steps=steps, seed=seed, progress=progress,
        )  # fmt: skip
        assert isinstance(found, Facets)  # of one unit
        name = unit_name(net, where, found.unit)
        for facet in range(len(found)):
            title = f"{name}, facet {facet}: {found.sizes[facet]} of {len(found.values)}"
            pictures = (found.mean_pictures[facet], found.pictures[facet], *found.images(facet, k))
            titles = [f"mean of {len(found.nearest[facet])}, ± {found.deviations[facet]:.0f}", title, *[""] * k]
            rows.append([Cell(p, t, result=found) for p, t in zip(pictures, titles, strict=False)])
    return Sheet(f"Facets of units of {where.name}, {net.name}", rows)


def _images(net: Network, unit: int | str) -> Any:
    """Scenes of a class of the world, or the bundled images for any other unit."""
    name = unit if isinstance(unit, str) else net.labels[unit] if unit < len(net.labels) else ""
    return dataset(120, 1, net.size[0], [name]) if name in CLASSES else bundled_images(net)
