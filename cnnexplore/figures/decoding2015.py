"""Figures and the table of Rafegas and Vanrell, Understanding learned CNN features through filter decoding, 2015."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch
from tqdm.auto import tqdm

from ..data import digits, world
from ..decoding import (
    Decoding,
    by_class,
    by_shape,
    class_means,
    compare,
    decode,
    made_of,
    pictures,
    threshold,
)  # fmt: skip
from ..decoding.responses import codes, errors, filter_responses
from ..errors import SettingError
from ..network import Layer, Network
from .diagram import Diagram, Edge, Node
from .sheet import Cell, Sheet
from .table import Table

UNPOOLS = ("bicubic", "nearest", "bilinear")


def weighted(net: Network, layers: Sequence[str] | None = None) -> list[str]:
    """The layers asked for, or all with filters of their own."""
    if layers:
        return [net.layers[name].name for name in layers]
    found = [name for name, layer in net.layers.items() if layer.kind.lower().endswith(("conv2d", "linear"))]
    return found or list(net.layers)[-1:]


def labelled(net: Network, images=None) -> tuple[list, list[int]]:
    """Images and their classes: pairs as they are, a folder with MNIST, or what is always at hand for the network.

    Raises SettingError if nothing is at hand for it, or for anything else.
    """
    if isinstance(images, (list, tuple)) and len(images) == 1 and _is_folder(images[0]):
        images = images[0]
    if _is_folder(images):
        found, labels = digits(images)
    elif images is None and net.pixels.channels == 1 and net.size == (28, 28):
        found, labels = digits()
    elif images is None and net.labels == list(world.CLASSES):
        scenes = [(world.scene(seed, name).image, k) for k, name in enumerate(net.labels) for seed in range(10)]
        found, labels = zip(*scenes, strict=True)
    elif isinstance(images, (list, tuple)) and len(images) == 2 and len(images[0]) == len(images[1]) > 0:
        found, labels = images
    else:
        raise SettingError(
            f"figures of {net.name}'s classes need images and their classes: a pair (images, labels) of the same "
            "length, or a folder with MNIST in it."
        )
    return list(found), [int(k) for k in labels]


def _is_folder(value) -> bool:
    return isinstance(value, (str, os.PathLike)) and os.path.isdir(value)


def _named(net: Network, unit: int, layer: Layer) -> str:
    return net.labels[unit] if layer.channels == len(net.labels) and max(layer.size) == 1 else f"unit {unit}"


def _row(net: Network, name: str, units: Sequence[int], filters: torch.Tensor) -> list[Cell]:
    titles = [f"{name}\n{_named(net, u, net.layers[name])}" for u in units]
    return [Cell(p, title) for p, title in zip(pictures(filters, net.pixels), titles, strict=True)]


def figure1(
    net: Network, images=None, layer: str | None = None, unpool: str = "bilinear", share: float = 0.3, most: int = 10
) -> Sheet:
    """The classes' images that answer most to each decoded filter of the last layer, with their answers.

    A row per filter: where it is strong, the filter, then for each class the largest answer of any of its images, as a
    share of the largest of all classes; the largest is framed. data: "largest" and "means", (classes, filters).
    """
    images, labels = labelled(net, images)
    where = net.layers[layer or weighted(net)[-1]]
    units = list(range(min(most, where.channels)))
    found = compare(net, where.name, images, units, unpool)
    peaks = found.filters.flatten(2).amax(2)
    classes = sorted(set(labels))
    of = {k: [n for n, label in enumerate(labels) if label == k] for k in classes}
    best = [[of[k][int(peaks[of[k], u].argmax())] for k in classes] for u in units]
    largest = torch.stack([peaks[of[k]].amax(0) for k in classes])
    filters = decode(net, where.name, units, unpool)
    shown, strong = pictures(filters, net.pixels), pictures(threshold(filters, share), net.pixels)
    rows = []
    for u in units:
        name = _named(net, u, where)
        row = [Cell(strong[u], "strong"), Cell(shown[u], name)]
        for k, n in enumerate(best[u]):
            value = float(largest[k, u] / largest[:, u].abs().max())
            row.append(Cell(_picture(net, images[n]), f"{value:.2f}", framed=k == int(largest[:, u].argmax())))
        rows.append(row)
    data = {"largest": largest, "means": class_means(found.filters, labels)}
    return Sheet(f"Largest answers of images to the decoded filters of {where.name}, {net.name}", rows, data)


def _picture(net: Network, image) -> np.ndarray:
    return net.picture(net.pixels_of(image))


def _heat(maps: torch.Tensor) -> np.ndarray:
    """(h, w) in 0..1 -> (h, w, 3)."""
    from matplotlib import colormaps

    return (255 * colormaps["viridis"](maps.cpu().numpy())[..., :3]).round().astype(np.uint8)


def _arranged(values: torch.Tensor) -> torch.Tensor:
    """The answers of many units that have one position each, as a map of units."""
    columns = next(k for k in range(int(len(values) ** 0.5), 0, -1) if len(values) % k == 0)
    return values.view(columns, -1)


def figure3(
    net: Network, image=None, layers: Sequence[str] | None = None, unpool: str = "bilinear", columns: int = 5
) -> Sheet:
    """What units answer to an image, beside what their decoded filters do, layer by layer.

    The units that answer most; where they have one position only, all units as one map. The first layer's filters are
    their own decoded ones. data: the comparison of each layer.
    """
    if image is None:
        image = digits()[0][3] if net.pixels.channels == 1 else _example(net)
    names = weighted(net, layers)
    rows, data = [[Cell(_picture(net, image), "the image")]], {}
    for name in names[0 if layers else 1 :]:
        found = data[name] = compare(net, name, [image], None, unpool)
        one, other = (_unit_range(maps[0]) for maps in (found.network, found.filters))
        mean = float(found.errors[0])
        if one[0].numel() == 1:
            row = [Cell(_heat(_arranged(m.flatten())), said) for m, said in ((one, "network"), (other, "filters"))]
            row[0] = Cell(row[0].picture, f"{name}, all units\nnetwork")
            row[1] = Cell(row[1].picture, f"error {mean:.4f}\nfilters")
        else:
            row = []
            for unit in one.flatten(1).std(1).argsort(descending=True)[:columns].tolist():
                row.append(Cell(_heat(one[unit]), f"{name}, unit {unit}\nnetwork"))
                row.append(Cell(_heat(other[unit]), f"error {mean:.4f}\nfilter" if len(row) == 1 else "\nfilter"))
        rows.append(row)
    return Sheet(f"Responses of {net.name} and of its decoded filters", rows, data)


def _unit_range(maps: torch.Tensor) -> torch.Tensor:
    return (maps - maps.min()) / (maps.max() - maps.min()).clamp(min=1e-12)


def _example(net: Network):
    from ..data import photograph

    return world.scene(7, "church").image if net.labels == list(world.CLASSES) else photograph("cat")


def figure4(
    net: Network, images=None, layers: Sequence[str] | None = None, unpool: str = "bilinear", columns: int = 10,
    share: float = 0.3, about: int = 5,
) -> Sheet:  # fmt: skip
    """Decoded filters by layer; of the two deepest also where they are strong, and the images that answer most.

    Shallow layers in the order of their shapes; of the layer before the last, units that answer to class `about`.
    data: "comparisons" of the two deepest layers by name, "units" shown by layer.
    """
    names = weighted(net, layers)
    images, labels = labelled(net, images)
    rows, data = [], {"comparisons": {}, "units": {}}
    for name in names:
        where = net.layers[name]
        deep = name in names[-2:]
        if not deep:
            filters = decode(net, name, None, unpool)
            units = by_shape(filters)[: 5 * columns]
            cells = _row(net, name, units, filters[units])
            rows += [cells[k : k + columns] for k in range(0, len(cells), columns)]
        else:
            found = data["comparisons"][name] = compare(net, name, images, None, unpool)
            units = list(range(min(columns, where.channels)))
            if name != names[-1]:
                units = (by_class(found.network, labels)[about] or units)[:columns]
            rows += _deep(net, where, found, units, images, unpool, share, tops=1 if name != names[-1] else 4)
        data["units"][name] = units
    return Sheet(f"Decoded filters of {net.name}", rows, data)


def _deep(net: Network, where: Layer, found, units, images, unpool, share, tops: int) -> list[list[Cell]]:
    filters = decode(net, where.name, units, unpool)
    titles = [f"{where.name}\n{_named(net, u, where)}" for u in units]
    rows = [
        [Cell(p, title) for p, title in zip(pictures(threshold(filters, share), net.pixels), titles, strict=True)],
        [Cell(p, "decoded") for p in pictures(filters, net.pixels)],
    ]
    best = [found.top(u, tops) for u in units]
    for side, said in ((0, "network"), (1, "filter")):
        for k in range(tops if side == 0 else 1):
            rows.append([Cell(_picture(net, images[top[side][k]]), f"{said}'s top {k + 1}") for top in best])
    return rows


def figure5(
    net: Network, images=None, layers: Sequence[str] | None = None, unpool: str = "bilinear", columns: int = 14
) -> Sheet:
    """The family of decoded filters of each layer, and the filters they were decoded from.

    images: not needed. data: the decoded filters by layer.
    """
    rows, data = [], {}
    for name in weighted(net, layers):
        units = range(min(columns, net.layers[name].channels))
        filters = data[name] = decode(net, name, units, unpool)
        rows.append(_row(net, name, units, filters))
        weights = getattr(net.module.get_submodule(net.layers[name].path), "weight", None)
        if name != weighted(net)[0] and weights is not None and weights.dim() == 4:
            rows.append([Cell(_mosaic(weights[u].detach(), net.pixels), "its filter") for u in units])
    return Sheet(f"Decoded filters of {net.name}", rows, data)


def _mosaic(weights: torch.Tensor, pixels) -> np.ndarray:
    """The channels of one filter (C, k, k), up to 36 of the strongest, in a square with lines between."""
    if len(weights) > 36:
        weights = weights[weights.flatten(1).norm(dim=1).topk(36).indices.sort().values]
    side = int(np.ceil(len(weights) ** 0.5))
    tiles = pictures(weights[None].flatten(2)[:, None], pixels)[0].reshape(*weights.shape, 3)
    k = weights.shape[-1] + 1
    sheet = np.full((side * k - 1, side * k - 1, 3), 40, np.uint8)
    for n, tile in enumerate(tiles):
        row, column = n // side * k, n % side * k
        sheet[row : row + k - 1, column : column + k - 1] = tile
    return sheet


def figure6(
    net: Network, images=None, layer: str | None = None, units: Sequence[int] = (0, 1), unpool: str = "bilinear",
    strongest: int = 4,
) -> Diagram:  # fmt: skip
    """What units of the last layer are made of, down to the first: units, their weights, what they share.

    images: not needed. strongest: how many units of the layer below are followed from each.
    """
    where = net.layers[layer or weighted(net)[-1]].name
    levels: dict[str, list[int]] = {where: [int(u) for u in units]}
    edges: list[Edge] = []
    waiting = [(where, u) for u in levels[where]]
    for name, unit in waiting:  # grows while it is walked
        for made in made_of(net, name, unit, unpool)[:1]:
            own = made.strongest(strongest)
            strong = [(u, weight) for u, weight in own if abs(weight) >= 0.1 * abs(own[0][1])]
            for below, weight in strong:
                edges.append(Edge((name, unit), (made.layer, below), weight))
                if below not in levels.setdefault(made.layer, []):
                    levels[made.layer].append(below)
                    waiting.append((made.layer, below))
    order = sorted(levels, key=lambda name: net.layers.depth(net.layers[name]))
    nodes = []
    for name in order:
        found = sorted(levels[name])
        shown = pictures(decode(net, name, found, unpool), net.pixels)
        titles = [f"{name} {_named(net, u, net.layers[name])}" for u in found]
        nodes += [Node(name, u, title, p) for u, title, p in zip(found, titles, shown, strict=True)]
    return Diagram(f"What {where} of {net.name} is made of", order, nodes, edges)


def figure7(
    net: Network, images=None, layer: str | None = None, unit: int = 0, unpool: str = "bilinear", columns: int = 14
) -> Sheet:
    """All activation maps for a decoded filter that is fed back in, under the filters that they belong to.

    images: not needed. The range is that of each layer; the unit that answers most is framed. Of more than `columns`
    units, those that answer most. data: the code of each layer.
    """
    where = net.layers[layer or weighted(net)[-1]]
    decoding = Decoding(net, where.name, unit, unpool)
    filters = next(iter(decoding))[1]
    x = torch.zeros(1, net.pixels.channels, *net.size, device=net.device)
    top, left, bottom, right = decoding.box
    x[:, :, top : bottom + 1, left : right + 1] = filters
    names = [n for n in weighted(net) if net.layers.depth(net.layers[n]) <= net.layers.depth(where)]
    with torch.no_grad():
        data = net.probe(*names)(x)
    rows = [[Cell(pictures(x, net.pixels)[0], f"{where.name}\n{_named(net, unit, where)}")]]
    for name in names:
        code = data[name][0].float()
        maps = _unit_range(code if code.dim() == 3 else code.view(-1, 1, 1))
        peaks = maps.flatten(1).amax(1)
        units = list(range(len(maps)))
        if len(units) > columns:
            units = peaks.topk(columns).indices.tolist()
        rows.append(_row(net, name, units, decode(net, name, units, unpool)))
        rows.append(
            [Cell(_heat(maps[u]), f"{float(code[u].max()):.2g}", framed=u == int(peaks.argmax())) for u in units]
        )
    return Sheet(f"{net.name} answers to its own decoded filter", rows, data)


# Mean error in percent of LeNet's layers 3, 5 and 7, by unpooling.
_PUBLISHED1 = {
    "conv2": (0.20, 0.22, 0.30),
    "conv3": (1.2, 1.2, 1.3),
    "conv4": (7.8, 7.7, 8.1),
}


def table1(
    net: Network,
    images=None,
    layers: Sequence[str] | None = None,
    unpools: Sequence[str] = UNPOOLS,
    progress: bool = True,
) -> Table:
    """The mean square error of decoded filters' responses, by layer and unpooling, beside LeNet's published one.

    images: a list, or a folder with MNIST in it; default the digits at hand. Each response, the network's and the
    filters', is brought to the range 0 to 1 for itself: a unit's map, or all units where each has one position
    (decoding2015, equation 3).
    """
    several = images if isinstance(images, (list, tuple)) and not _is_folder(images[0]) else labelled(net, images)[0]
    names = weighted(net, layers)[0 if layers else 1 :]
    decoded = {}
    for name in names:
        for unpool in unpools:
            decoding = Decoding(net, name, None, unpool)
            decoded[name, unpool] = decoding, torch.cat([filters for _, filters in decoding])
    values: dict[tuple[str, str], list[float]] = {place: [] for place in decoded}
    with tqdm(total=len(several), desc="table 1", unit="image", disable=not progress) as bar:
        for x, code in codes(net, names, several):
            for (name, unpool), (decoding, filters) in decoded.items():
                found = errors(code[name], filter_responses(decoding, filters, x))
                values[name, unpool] += found.tolist()
            bar.update(len(x))
    is_lenet = [net.layers[n].channels for n in _PUBLISHED1 if n in net.layers] == [50, 500, 10]
    lines = _PUBLISHED1.items() if is_lenet else ()
    published = {(name, u): v for name, line in lines for u, v in zip(UNPOOLS, line, strict=True)}
    title = f"Mean square error in % over {len(several)} images, {net.name}"
    return Table(title, names, list(unpools), values, published, digits=2)


FIGURES = {
    "1": figure1, "3": figure3, "4": figure4, "5": figure5, "6": figure6, "7": figure7, "table1": table1,
}  # fmt: skip
