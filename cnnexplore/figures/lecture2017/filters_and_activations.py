"""Filters, activation maps, neighbours and the strongest patches of a network's layers.

In all functions: image, images: anything that `Network.pixels_of` takes, or a data set where a figure searches many
images (default: images that come with the package). layers: names of layers (default: some from first to last).
target: the class, an int or a label (default: the predicted one).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ... import drawing, world
from ...network import Network
from ...representations.neighbours import neighbours
from ...units import activation_maps, top_patches
from ...units import filters as filters_of
from ...zoo import load
from ..sheet import Cell, Sheet
from .arguments import chosen_layers, data_set, image_list, maps_before_scores


def filters(net: Network, others: Sequence[Network | str] = (), columns: int = 8) -> Sheet:
    """The filters of the first layer, of this network and of others."""
    cells = []
    for one in (net, *others):
        one = load(one) if isinstance(one, str) else one
        found = filters_of(one)
        shape = " x ".join(map(str, found.weights.shape))
        cells.append(Cell(found.mosaic(columns), f"{one.name}\n{shape}", result=found))
    return Sheet("Filters at layer 1", [cells], inches=2.6)


def deeper_filters(net: Network, layers: Sequence[str] | None = None, units: int = 16, channels: int = 16) -> Sheet:
    """The filters of deeper layers: a row is a unit, a column an input channel."""
    names = layers or [n for n in maps_before_scores(net) if n.startswith("conv")][1:3]
    rows = []
    for name in names:
        found = filters_of(net, name)
        shape = " x ".join(map(str, found.weights.shape))
        rows.append([Cell(found.mosaic(units=units, channels=channels), f"{name}: {shape}", result=found)])
    return Sheet(f"Filters of {net.name} at layer 1+", rows, inches=5)


def activations(net: Network, image: Any = None, layers: Sequence[str] | None = None, units: int = 7) -> Sheet:
    """The most responsive activation maps of some layers for an image."""
    (image,) = image_list(image, ("cat",))
    rows = []
    for name in chosen_layers(net, layers, 4):
        found = activation_maps(net, image, name)
        chosen, signed = found.order[:units], bool((found.maps < 0).any())
        span = drawing.limits(found.maps[chosen], signed)
        cells = [Cell(drawing.heat(found.maps[k], signed, span), f"{name}, unit {k}", result=found) for k in chosen]
        rows.append([Cell(found.image, "image"), *cells])
    return Sheet(f"Activation maps of {net.name}", rows)


def nearest(
    net: Network, image: Any = None, images: Any = None, layer: str | None = None, k: int = 5, progress: bool = True
) -> Sheet:
    """Nearest neighbours of an image by pixels and by the last feature layer."""
    queries = [world.scene(400 + i).image for i in range(2)] if image is None else image_list(image)
    pool = [world.scene(i).image for i in range(200)] if images is None else images
    rows = []
    for query in queries:
        found = neighbours(net, query, layer, pool, k=k, progress=progress)
        for by, numbers in (("pixels", found.in_pixels), (found.layer, found.in_layer)):
            x = net.pixels_of([found.images[int(n)] for n in numbers])
            pictures = net.pixels.decode(x).cpu().numpy()
            cells = [Cell(picture, f"no. {n}", result=found) for picture, n in zip(pictures, numbers, strict=True)]
            rows.append([Cell(found.image, f"by {by}"), *cells])
    return Sheet(f"Nearest neighbours, {net.name}", rows)


def top9(
    net: Network, images: Any = None, layers: Sequence[str] | None = None, units: int = 3, rule: str = "deconvnet",
    progress: bool = True,
) -> Sheet:  # fmt: skip
    """The nine patches that excite units of some layers most, beside their projections by the deconvnet."""
    pool, rows = data_set(net, images), []
    for name in chosen_layers(net, layers, 4):
        found = top_patches(net, name, list(range(min(units, net.layers[name].channels))), pool, progress=progress)
        for unit in found.units:
            one = found.only(unit)
            back = drawing.tiles(one.projections(rule=rule), 3, gap=2)
            rows.append([
                Cell(back, f"{name}, unit {unit}: {rule.replace('_', ' ')}", result=one),
                Cell(drawing.tiles(one.patches(), 3, gap=2), f"{one.values.max():.3g} to {one.values.min():.3g}"),
            ])  # fmt: skip
    count = max(1, units)
    paired = [[cell for row in rows[k : k + count] for cell in row] for k in range(0, len(rows), count)]
    return Sheet(f"Largest responses in {net.name}", paired, inches=1.9)
