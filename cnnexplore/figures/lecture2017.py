"""Pictures of Stella Yu, On visualizing and understanding CNN (lecture, UC Berkeley, 2017), on any network.

In all functions: image, images: anything that `Network.pixels_of` takes, or a data set where a figure searches many
images (default: images that come with the package). layers: names of layers (default: some from first to last).
target: the class, an int or a label (default: the predicted one).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import drawing, world
from ..attribution import Attribution, attribute
from ..data import bundled_images, photograph
from ..errors import SettingError
from ..network import Network, bottleneck_layers
from ..representations import neighbours
from ..units import activation_maps, minimal_image, receptive_field, top_patches, unit_segments
from ..units import filters as filters_of
from ..units.top import TopPatches
from ..zoo import load
from .parts import single
from .preimage2016 import figure13
from .sheet import Cell, Sheet


def _images(images: Any, default: Sequence[str] = ("cat", "astronaut", "coffee", "rocket")) -> list[Any]:
    """The images as a list, or bundled photographs for None."""
    if images is None:
        return [photograph(name) for name in default]
    several = list(images) if isinstance(images, (list, tuple)) else [images]
    if not several:
        raise SettingError("an empty list of images was given; expected at least one image.")
    return several


def _data_set(net: Network, images: Any) -> Any:
    """The images, or the bundled ones for None."""
    return bundled_images(net) if images is None else images


def _maps_before_scores(net: Network) -> list[str]:
    """The layers with a map that all paths to the class scores lead through."""
    return [layer.name for layer in bottleneck_layers(net, net.scores.name) if min(layer.size) > 1]


def _layers(net: Network, layers: Sequence[str] | None, count: int) -> list[str]:
    """The layers asked for, or `count` convolutions and poolings from the first to the last."""
    if layers is not None:
        return [net.layers[name].name for name in layers]
    maps = _maps_before_scores(net)
    linear = [name for name in maps if name.startswith(("conv", "pool"))] or maps
    return [linear[k] for k in sorted({round(i) for i in np.linspace(0, len(linear) - 1, count)})]


def _most_active(top: TopPatches, count: int) -> list[int]:
    """The units of which even the k-th best patch responds strongly, most active first."""
    return np.argsort(-top.values[:, -1], kind="stable")[:count].tolist()


def _heat_cell(a: Attribution, title: str, over: bool = False) -> Cell:
    """An attribution's map, or the map over its image."""
    return Cell(a.overlay() if over else a.picture, title, result=a)


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
    names = layers or [n for n in _maps_before_scores(net) if n.startswith("conv")][1:3]
    rows = []
    for name in names:
        found = filters_of(net, name)
        shape = " x ".join(map(str, found.weights.shape))
        rows.append([Cell(found.mosaic(units=units, channels=channels), f"{name}: {shape}", result=found)])
    return Sheet(f"Filters of {net.name} at layer 1+", rows, inches=5)


def activations(net: Network, image: Any = None, layers: Sequence[str] | None = None, units: int = 7) -> Sheet:
    """The most responsive activation maps of some layers for an image."""
    (image,) = _images(image, ("cat",))
    rows = []
    for name in _layers(net, layers, 4):
        found = activation_maps(net, image, name)
        chosen, signed = found.order[:units], bool((found.maps < 0).any())
        span = drawing.limits(found.maps[chosen], signed)
        cells = [Cell(drawing.heat(found.maps[k], signed, span), f"{name}, unit {k}", result=found) for k in chosen]
        rows.append([Cell(found.image, "image"), *cells])
    return Sheet(f"Activation maps of {net.name}", rows)


def nearest(
    net: Network, image: Any = None, images: Any = None, layer: str | None = None, k: int = 5, progress: bool = False
) -> Sheet:
    """Nearest neighbours of an image by pixels and by the last feature layer."""
    queries = [world.scene(400 + i).image for i in range(2)] if image is None else _images(image)
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
    progress: bool = False,
) -> Sheet:  # fmt: skip
    """The nine patches that excite units of some layers most, beside their projections by the deconvnet."""
    pool, rows = _data_set(net, images), []
    for name in _layers(net, layers, 4):
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


def rules(
    net: Network, images: Any = None, target: int | str | None = None, layer: str | None = None, unit: int | None = None
) -> Sheet:
    """Plain backpropagation, the deconvnet and guided backpropagation of a class or a unit."""
    titles = {"gradient": "backprop", "deconvnet": "deconvnet", "guided_backprop": "guided backprop"}
    rows = []
    for image in _images(images):
        found = [single(attribute(net, image, target, method=rule, layer=layer, unit=unit)) for rule in titles]
        patterns = [drawing.signed_picture(a.raw[::-1] if net.pixels.order == "BGR" else a.raw, 0.999) for a in found]
        cells = [Cell(p, title, result=a) for p, title, a in zip(patterns, titles.values(), found, strict=True)]
        rows.append([Cell(found[0].image, found[0].about), *cells])
    return Sheet(f"Backward rules, {net.name}", rows)


def evolution(
    net: Network | None = None, layers: Sequence[str] = ("conv1", "conv2", "conv3"), units: int = 4,
    steps: Sequence[int] = (0, 50, 200, 500, 1000), images: Any = None, progress: bool = False,
) -> Sheet:  # fmt: skip
    """Projections of units' strongest activations during the training of worldnet, whose checkpoints are bundled."""
    pool, rows = (bundled_images(load("worldnet")) if images is None else images), []
    nets = {step: load(f"worldnet@{step}") for step in steps}
    for name in layers:
        for unit in range(units):
            cells = []
            for step, one in nets.items():
                found = top_patches(one, name, unit, pool, k=1, progress=progress)
                cells.append(Cell(found.projections()[0], f"{name}, unit {unit}, step {step}", result=found))
            rows.append(cells)
    return Sheet("Evolution of worldnet's units during training", rows)


def class_model(net: Network, classes: Sequence[int | str] | None = None, **run: Any) -> Sheet:
    """Class models: images that maximise the classes' scores."""
    return figure13(net, classes, **run)


def saliency(net: Network, images: Any = None, target: int | str | None = None, method: str = "gradient") -> Sheet:
    """Pixel saliency of the class: the gradient, absolute, max over channels."""
    rows = []
    for image in _images(images):
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
    for image in _images(images):
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
    for image in _images(images):
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
    for image in _images(images):
        a = single(attribute(net, image, target, method="occlusion", window=window, stride=stride, fill=fill))
        rows.append([Cell(a.image, f"{a.about}, {a.score:.1f}"), _heat_cell(a, f"falls up to {a.map.max():.1f}"),
                     _heat_cell(a, "over the image", True)])  # fmt: skip
    return Sheet(f"Occlusion, {net.name}", rows)


def minimal(net: Network, images: Any = None, segments: int = 40) -> Sheet:
    """Minimal images: all segments removed that the predicted class does not need."""
    rows = []
    for image in _images(images):
        found = minimal_image(net, image, segments=segments, progress=False)
        rows.append(
            [Cell(found.image, found.label), Cell(found.minimal, f"{found.mask.mean():.0%} left", result=found)]
        )
    return Sheet(f"Minimal images, {net.name}", [[cell for row in rows for cell in row]])


def fields(
    net: Network,
    images: Any = None,
    layers: Sequence[str] | None = None,
    units: int = 3,
    k: int = 5,
    progress: bool = False,
) -> Sheet:
    """Receptive fields of units of some layers by sliding-window discrepancy, beside the patches inside them."""
    pool, rows = _data_set(net, images), []
    for name in _layers(net, layers, 4):
        top = top_patches(net, name, None, pool, k=k, progress=progress)
        responsive = [unit for unit in _most_active(top, len(top.values)) if top.values[unit, 0] > 0]
        for unit in responsive[:units]:
            found = receptive_field(net, name, unit, top, progress=False)
            patches = [Cell(patch, "") for patch in top.patches(unit)]
            title = f"{name}, unit {unit}\n{found.size:.0f} of {found.theoretical[0]:g} px"
            rows.append([Cell(drawing.heat(found.map), title, result=found), *patches])
    return Sheet(f"Receptive fields in {net.name}", rows, inches=1.1)


def field_segments(
    net: Network, images: Any = None, layer: str | None = None, units: Sequence[int] | None = None, k: int = 5,
    estimate: bool = False, progress: bool = False,
) -> Sheet:  # fmt: skip
    """Segmentation by units' receptive fields: a row is a unit, with its most confident images."""
    name = layer or _layers(net, None, 1 + len(_maps_before_scores(net)))[-1]
    top = top_patches(net, name, None, _data_set(net, images), k=k, progress=progress)
    chosen = _most_active(top, 4) if units is None else list(units)
    rows = []
    for unit in chosen:
        field = receptive_field(net, name, unit, top, k=k, progress=False) if estimate else None
        found = unit_segments(net, name, unit, top, k=k, field=field)
        titles = [f"{name}, unit {unit}", *[""] * (k - 1)]
        rows.append([Cell(cut, title, result=found) for cut, title in zip(found.cutouts(), titles, strict=False)])
    return Sheet(f"Segments by units of {net.name}", rows)


FIGURES: dict[str, Callable[..., Any]] = {
    "filters": filters, "deeper-filters": deeper_filters, "activations": activations, "neighbours": nearest,
    "top9": top9, "rules": rules, "evolution": evolution, "class-model": class_model, "saliency": saliency,
    "saliency-segments": saliency_segments, "cams": cams, "occlusion": occlusion, "minimal": minimal,
    "fields": fields, "field-segments": field_segments,
}  # fmt: skip
