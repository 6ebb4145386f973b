"""Figures and tables of Mahendran and Vedaldi, Visualizing deep CNNs using natural pre-images, IJCV 2016."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ..network import Network
from ..preimage import caricature, invert, masks, maximize
from ..zoo import load
from .glyphs import descriptor_of, glyphs
from .parts import cell, chosen, in_rows, layers_of, middle, original, several, some_image, stretched, window_of
from .sheet import Cell, Sheet
from .table import Table, measured


def figure1(net: Network, image=None, layer: str | None = None, seeds: Sequence[int] = (0, 1, 2, 3), **run) -> Sheet:
    """Several reconstructions from the code of the last fully-connected layer."""
    image, layer = some_image(image), layer or layers_of(net, linear=True)[-1]
    results = invert(net, image, layer, seed=list(seeds), **run)
    cells = [cell(r, f"{layer}, seed {s}") for r, s in zip(results, seeds, strict=True)]
    return Sheet(f"Reconstructions from {layer} of {net.name}", [[*cells, original(net, image)]])


def figure2(
    net: Network,
    image=None,
    layer: str | None = None,
    weights: Sequence[float] = (1, 20, 100, 300),
    betas: Sequence[float] = (1, 1.5, 2, 2.5),
    **run,
) -> Sheet:
    """The effect of the weight C of the code, and of the exponent of total variation."""
    image, where = some_image(image), middle(net, layer).name
    by_C = [cell(invert(net, image, where, C=C, **run), f"C = {C:g}") for C in weights]
    by_beta = [cell(invert(net, image, where, beta=beta, **run), f"beta = {beta:g}") for beta in betas]
    rows = [[original(net, image), *by_C], [original(net, image), *by_beta]]
    return Sheet(f"C and beta at {where} of {net.name}", rows)


def figure3(net: Network, unit=0, layer: str | None = None, jitters: Sequence[int] = (0, 2, 4, 8, 16), **run) -> Sheet:
    """The effect of jitter in activation maximisation."""
    layer = layer or layers_of(net, linear=True)[-1]
    results = [maximize(net, layer, unit, jitter=jitter, **run) for jitter in jitters]
    cells = [cell(r, f"jitter {jitter}") for r, jitter in zip(results, jitters, strict=True)]
    return Sheet(f"{results[0].about} of {net.name}", [cells])


_CLASSICAL = {"hog": "HOG", "hog-bilinear": "HOGb", "dsift": "DSIFT"}


def figure4(net: Network | None = None, image=None, names: Sequence[str] = tuple(_CLASSICAL), **run) -> Sheet:
    """Inversions of HOG, HOG with bilinear orientations and dense SIFT, each under a picture of its descriptors.

    net: a HOG or dense SIFT of your own to show in place of `names`; another network is not needed.
    """
    image = some_image(image)
    nets = [net] if net is not None and descriptor_of(net) else [load(name) for name in names]
    described, inverted = [original(nets[0], image)], [original(nets[0], image)]
    for one in nets:
        name, layer = _CLASSICAL.get(one.name, one.name), descriptor_of(one)
        result = invert(one, image, layer.name, **run)
        described.append(
            Cell(glyphs(one, image), f"{name}: {layer.channels} numbers every {layer.rf_stride[0]:g} pixels")
        )
        said = f"from {name}, contrast stretched\nerror {result.error:.2f}"
        inverted.append(Cell(stretched(result.picture), said, result=result))
    return Sheet("Classical descriptors and what they keep", [described, inverted], inches=2.6)


def figure5(net: Network, image=None, layers: Sequence[str] | None = None, columns: int = 7, **run) -> Sheet:
    """Inversions of all layers, each at the paper's C."""
    image = some_image(image)
    cells = [cell(invert(net, image, name, **run), name) for name in chosen(net, layers)]
    return Sheet(f"Inversions of {net.name}", in_rows([original(net, image), *cells], columns))


def figure6(net: Network, image=None, layers: Sequence[str] | None = None, columns: int = 7, **run) -> Sheet:
    """Inversions of the convolutional and fully-connected layers (figure 7: VGG-VD-16)."""
    return figure5(net, image, chosen(net, layers, linear=True), columns, **run)


def figure8(net: Network, images=None, layers: Sequence[str] | None = None, seeds=(0, 1, 2, 3), **run) -> Sheet:
    """What deep codes are blind to: several reconstructions from several layers."""
    images = images if isinstance(images, (list, tuple)) else [some_image(images)]
    names = chosen(net, layers, linear=True)[-3:] if layers is None else chosen(net, layers)
    rows = []
    for image in images:
        for name in names:
            results = invert(net, image, name, seed=list(seeds), **run)
            cells = [cell(r, f"{name}, seed {s}") for r, s in zip(results, seeds, strict=True)]
            rows.append([original(net, image), *cells])
    return Sheet(f"Several reconstructions of {net.name}", rows)


def figure9(net: Network, image=None, layers: Sequence[str] | None = None, window: int = 5, **run) -> Sheet:
    """Reconstructions from the central window of a layer's map, with its receptive field drawn."""
    image = some_image(image)
    found = chosen(net, layers) if layers else [n for n in layers_of(net) if min(net.layers[n].size) >= window]
    cells = []
    for name in found:
        result = invert(net, image, name, mask=masks.central(window), **run)
        cells.append(cell(result, name, box=window_of(net.layers[name], net.size, window)))
    return Sheet(f"From the central {window} x {window} of {net.name}", in_rows([original(net, image), *cells], 7))


def figure10(net: Network, image=None, layers: Sequence[str] | None = None, of: int = 2, **run) -> Sheet:
    """Reconstructions from either of two streams of channels."""
    image = some_image(image)
    names = chosen(net, layers) if layers else layers_of(net)[: layers_of(net).index(middle(net, None).name)]
    rows = [[original(net, image)] for _ in range(of)]
    for name in names:
        for k, row in enumerate(rows):
            row.append(cell(invert(net, image, name, mask=masks.groups(k + 1, of), **run), f"{name}, group {k + 1}"))
    return Sheet(f"Streams of {net.name}", rows)


def figure11(net: Network, units: int = 8, layers: Sequence[str] | None = None, **run) -> Sheet:
    """What the first units of each convolutional layer want (figure 12: VGG-VD-16)."""
    names = chosen(net, layers) if layers else [n for n in layers_of(net, linear=True) if n.startswith("conv")]
    rows = []
    for name in names:
        wanted = list(range(min(units, net.layers[name].channels)))
        results = maximize(net, name, wanted, **run)
        rows.append([cell(r, f"{name}, unit {k}") for r, k in zip(results, wanted, strict=True)])
    return Sheet(f"What units of {net.name} want", rows)


def figure13(net: Network, classes: Sequence[int | str] | None = None, layer: str | None = None, **run) -> Sheet:
    """What classes want."""
    layer = layer or layers_of(net, linear=True)[-1]
    wanted = list(classes) if classes is not None else list(range(min(10, net.layers[layer].channels)))
    results = maximize(net, layer, wanted, **run)
    names = [net.labels[k] if isinstance(k, int) and net.labels else str(k) for k in wanted]
    cells = [cell(r, name) for r, name in zip(results, names, strict=True)]
    return Sheet(f"What classes of {net.name} want", in_rows(cells, 5))


def figure14(net: Network, images=None, layers: Sequence[str] | None = None, **run) -> Sheet:
    """Caricatures from each convolutional and fully-connected layer (figure 15: of several images)."""
    images = images if isinstance(images, (list, tuple)) else [some_image(images)]
    names = chosen(net, layers, linear=True)
    rows = [
        [original(net, image), *[cell(caricature(net, image, name, **run), name) for name in names]] for image in images
    ]
    return Sheet(f"Caricatures of {net.name}", rows)


# Mean error in percent of AlexNet, by C and layer.
_LAYERS5 = (
    "conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2", "conv3", "relu3", "conv4", "relu4", "conv5",
    "relu5", "pool5", "fc6", "relu6", "fc7", "relu7", "fc8",
)  # fmt: skip
_PUBLISHED5 = {
    1: (69.5, 69.0, 61.4, 59.2, 57.0, 52.0, 50.4, 45.6, 37.3, 39.1, 32.2, 34.5, 24.9, 29.0, 26.4, 19.0, 24.6, 18.5,
        21.4, 13.6),
    20: (35.3, 34.9, 32.6, 28.5, 22.7, 23.0, 23.3, 20.4, 16.5, 17.5, 15.0, 16.6, 12.1, 17.3, 16.3, 12.4, 19.4, 15.1,
         17.0, 11.3),
    100: (21.1, 20.9, 19.9, 18.6, 13.2, 14.4, 14.9, 13.0, 11.3, 12.9, 11.6, 13.7, 9.6, 16.6, 16.3, 11.3, 19.7, 13.7,
          15.6, 9.6),
    300: (14.2, 14.1, 13.6, 14.5, 9.6, 11.1, 11.6, 10.6, 9.9, 12.0, 11.0, 13.4, 9.0, 17.3, 17.5, 11.2, 20.2, 12.9,
          14.9, 9.0),
}  # fmt: skip


def table5(
    net: Network,
    images: Sequence | None = None,
    layers: Sequence[str] | None = None,
    weights: Sequence[float] = (1, 20, 100, 300),
    kept: str | os.PathLike | None = None,
    progress: bool = True,
    **run,
) -> Table:
    """The mean error of inversions by layer and C over images, beside the published one of AlexNet.

    kept: a file from which a measurement that was killed goes on.
    """
    photographs = several(images)
    names = chosen(net, layers)
    rows = [f"C = {C:g}" for C in weights]
    by_row = dict(zip(rows, weights, strict=True))
    jobs = [(row, name, key) for name in names for row in rows for key in photographs]

    def measure(row: str, name: str, key: str) -> float:
        return invert(net, photographs[key], name, C=by_row[row], progress=False, **run).error

    settings = {"table": "preimage2016.table5", "net": net.to_python(), "run": {k: repr(v) for k, v in run.items()}}
    values = measured(jobs, measure, kept, settings, "table 5", progress)
    is_alexnet = "norm1" in net.layers and net.layers["norm1"].channels == 96
    lines = _PUBLISHED5.items() if is_alexnet else ()
    published = {(f"C = {C}", name): v for C, line in lines for name, v in zip(_LAYERS5, line, strict=True)}
    return Table(f"Relative error in % over {len(photographs)} images, {net.name}", rows, names, values, published)


_PUBLISHED4 = {"hog": 36.6, "hog-bilinear": 11.5, "dsift": 9.4}


def table4(
    net: Network | None = None,
    images: Sequence | None = None,
    names: Sequence[str] = ("hog", "hog-bilinear", "dsift"),
    kept: str | os.PathLike | None = None,
    progress: bool = True,
    **run,
) -> Table:
    """The mean error of inversions of HOG and dense SIFT over images, beside the published one.

    net: not needed, these are networks of their own. kept: as for `table5`.
    """
    photographs = several(images)
    nets = {name: load(name) for name in names}

    def measure(row: str, name: str, key: str) -> float:
        net = nets[name]
        return invert(net, photographs[key], list(net.layers)[-1], progress=False, **run).error

    settings = {"table": "preimage2016.table4", "run": {k: repr(v) for k, v in run.items()}}
    jobs = [("error", name, key) for name in names for key in photographs]
    values = measured(jobs, measure, kept, settings, "table 4", progress)
    published = {("error", name): value for name, value in _PUBLISHED4.items()}
    return Table(f"Relative error in % over {len(photographs)} images", ["error"], list(names), values, published)


FIGURES = {
    "1": figure1, "2": figure2, "3": figure3, "4": figure4, "5": figure5, "6": figure6, "7": figure6, "8": figure8,
    "9": figure9, "10": figure10, "11": figure11, "12": figure11, "13": figure13, "14": figure14, "15": figure14,
    "table4": table4, "table5": table5,
}  # fmt: skip
