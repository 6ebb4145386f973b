"""Figures 1, 3, 7 and table 1: responses of decoded filters beside those of the units they are decoded from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from ... import drawing, world
from ...data import digits, photograph
from ...decoding import Decoder, class_means, compare, decode
from ...decoding.filters import in_rgb
from ...decoding.responses import activations, errors, filter_responses
from ...network import Network, as_maps, unit_name
from ..sheet import Cell, Sheet
from ..table import Table
from .parts import filter_cells, input_picture, is_folder, labelled_images, layers_with_filters, wrapped

UNPOOLS = ("bicubic", "nearest", "bilinear")


def figure1(
    net: Network,
    images: Any = None,
    layer: str | None = None,
    unpool: str = "bilinear",
    share: float = 0.3,
    most: int = 10,
) -> Sheet:
    """The image of each class with the largest response to each decoded filter of the last layer.

    A row per filter: its strong part (above `share` of its largest value), the filter, then the image of each class
    with the largest response, as a share of the largest of all classes, which is framed. images: a pair (images,
    labels), or a folder with MNIST. most: how many filters. data: "largest" and "means", (classes, filters).
    """
    images, labels = labelled_images(net, images)
    where = net.layers[layer or layers_with_filters(net)[-1]]
    units = list(range(min(most, where.channels)))
    found = compare(net, where.name, units, images, unpool=unpool, progress=False)
    peaks = found.filters.max((2, 3))
    classes = sorted(set(labels))
    of = {k: [n for n, label in enumerate(labels) if label == k] for k in classes}
    best = [[of[k][int(peaks[of[k], u].argmax())] for k in classes] for u in units]
    largest = np.stack([peaks[of[k]].max(0) for k in classes])
    filters = decode(net, where.name, units, unpool=unpool, progress=False)
    shown, strong = filters.pictures(), filters.threshold(share).pictures()
    rows = []
    for u in units:
        name = unit_name(net, where, u)
        row = [Cell(strong[u], "strong"), Cell(shown[u], name)]
        for k, n in enumerate(best[u]):
            value = float(largest[k, u] / np.abs(largest[:, u]).max())
            row.append(Cell(input_picture(net, images[n]), f"{value:.2f}", framed=k == int(largest[:, u].argmax())))
        rows.append(row)
    data = {"largest": largest, "means": class_means(found.filters, labels)}
    return Sheet(f"Largest responses of images to the decoded filters of {where.name}, {net.name}", rows, data)


def figure3(
    net: Network, image: Any = None, layers: Sequence[str] | None = None, unpool: str = "bilinear", columns: int = 5
) -> Sheet:
    """Responses of units to an image beside the responses of their decoded filters, layer by layer.

    Shown are the units whose maps vary most, or all units as one map where each has one position. The first layer is
    left out unless asked for: its filters are their own decoded ones. data: the comparison of each layer.
    """
    if image is None:
        image = digits()[0][3] if net.pixels.channels == 1 else _example(net)
    names = layers_with_filters(net, layers)
    rows = [[Cell(input_picture(net, image), "the image")]]
    data: dict[str, Any] = {}
    for name in names[0 if layers else 1 :]:
        found = data[name] = compare(net, name, None, [image], unpool=unpool, progress=False)
        one, other = (_unit_range(maps[0]) for maps in (found.network, found.filters))
        mean = float(found.errors[0])
        if one[0].size == 1:
            titles = f"{name}, all units\nnetwork", f"error {mean:.4f}\nfilters"
            row = [Cell(_heat(_as_map(m.flatten())), title) for m, title in zip((one, other), titles, strict=True)]
        else:
            row = []
            for unit in np.argsort(-one.reshape(len(one), -1).std(1), kind="stable")[:columns].tolist():
                row.append(Cell(_heat(one[unit]), f"{name}, unit {unit}\nnetwork"))
                row.append(Cell(_heat(other[unit]), f"error {mean:.4f}\nfilter" if len(row) == 1 else "\nfilter"))
        rows.append(row)
    return Sheet(f"Responses of {net.name} and of its decoded filters", rows, data)


def figure7(
    net: Network,
    images: Any = None,
    layer: str | None = None,
    unit: int = 0,
    unpool: str = "bilinear",
    columns: int = 14,
) -> Sheet:
    """All activation maps for a decoded filter that is fed back in, under the filters that they belong to.

    images: not used. The colours span the range of each layer; the unit with the largest response is framed. At most
    `columns` units are shown, those with the largest responses. data: the activation of each layer.
    """
    where = net.layers[layer or layers_with_filters(net)[-1]]
    decoder = Decoder(net, where.name, unit, unpool)
    x = torch.zeros(1, net.pixels.channels, *net.size, device=net.device)
    top, left, bottom, right = decoder.box
    x[:, :, top : bottom + 1, left : right + 1] = decoder.filters()
    names = [n for n in layers_with_filters(net) if net.layers.depth(net.layers[n]) <= net.layers.depth(where)]
    with torch.no_grad():
        data = net.probe(*names)(x)
    rows = [[Cell(drawing.signed_picture(in_rgb(x, net.pixels))[0], f"{where.name}\n{unit_name(net, where, unit)}")]]
    for name in names:
        activation = as_maps(data[name], net.layers[name])[0].float().cpu().numpy()
        maps = _unit_range(activation)
        peaks = maps.max((1, 2))
        units = list(range(len(maps)))
        if len(units) > columns:
            units = np.argsort(-peaks, kind="stable")[:columns].tolist()
        decoded = filter_cells(net, name, units, decode(net, name, units, unpool=unpool, progress=False).filters)
        found = [Cell(_heat(maps[u]), f"{activation[u].max():.2g}", framed=u == int(peaks.argmax())) for u in units]
        rows += wrapped(decoded, found)
    return Sheet(f"{net.name} responds to its own decoded filter", rows, data)


def _heat(maps: np.ndarray) -> np.ndarray:
    """A map (h, w) in 0..1 in colours, (h, w, 3)."""
    return drawing.heat(maps, span=(0, 1))


def _as_map(values: np.ndarray) -> np.ndarray:
    """The responses of units that have one position each, as a map of units."""
    columns = next(k for k in range(int(len(values) ** 0.5), 0, -1) if len(values) % k == 0)
    return values.reshape(columns, -1)


def _unit_range(maps: np.ndarray) -> np.ndarray:
    """The maps scaled to 0..1 together."""
    return (maps - maps.min()) / max(maps.max() - maps.min(), 1e-12)


def _example(net: Network) -> np.ndarray:
    return world.scene(7, "church").image if net.labels == list(world.CLASSES) else photograph("cat")


# Mean error in percent of LeNet's layers 3, 5 and 7, by unpooling.
_PUBLISHED1 = {
    "conv2": (0.20, 0.22, 0.30),
    "conv3": (1.2, 1.2, 1.3),
    "conv4": (7.8, 7.7, 8.1),
}


def table1(
    net: Network,
    images: Any = None,
    layers: Sequence[str] | None = None,
    unpools: Sequence[str] = UNPOOLS,
    progress: bool = True,
) -> Table:
    """The mean square error of decoded filters' responses, by layer and unpooling, beside LeNet's published one.

    images: a list, or a folder with MNIST in it (default: the bundled digits). Each response, the network's and the
    filter's, is scaled to 0..1 separately: a unit's map, or all units where each has one position (decoding2015,
    equation 3).
    """
    several = (
        images if isinstance(images, (list, tuple)) and not is_folder(images[0]) else labelled_images(net, images)[0]
    )
    names = layers_with_filters(net, layers)[0 if layers else 1 :]
    decoded = {}
    for name in names:
        for unpool in unpools:
            decoder = Decoder(net, name, None, unpool)
            decoded[name, unpool] = decoder, decoder.filters()
    values: dict[tuple[str, str], list[float]] = {place: [] for place in decoded}
    with tqdm(total=len(several), desc="table 1", unit="image", disable=not progress) as bar:
        for x, found in activations(net, names, several):
            network = {name: one.cpu().numpy() for name, one in found.items()}
            for (name, unpool), (decoder, filters) in decoded.items():
                convolved = filter_responses(decoder, filters, x).cpu().numpy()
                values[name, unpool] += errors(network[name], convolved).tolist()
            bar.update(len(x))
    is_lenet = [net.layers[n].channels for n in _PUBLISHED1 if n in net.layers] == [50, 500, 10]
    lines = _PUBLISHED1.items() if is_lenet else ()
    published = {(name, u): v for name, line in lines for u, v in zip(UNPOOLS, line, strict=True)}
    title = f"Mean square error in % over {len(several)} images, {net.name}"
    return Table(title, names, list(unpools), values, published, digits=2)
