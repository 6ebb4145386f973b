"""Figures and tables of Mahendran and Vedaldi, Visualizing deep CNNs using natural pre-images, IJCV 2016.

In all functions: image, images: anything that `Network.pixels_of` takes (default: photographs that come with the
package). layers: names of layers (default: the figure's own choice). run: settings of `cx.invert`, `cx.maximize` or
`cx.caricature`, such as steps, seed or progress.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..errors import SettingError
from ..network import Layer, Network
from ..preimage import caricature, invert, masks, maximize
from ..zoo import load
from .glyphs import descriptor_layer, glyphs, has_descriptors
from .parts import (
    PAPER,
    batch,
    figure_layers,
    image_or_default,
    in_rows,
    input_cell,
    named_images,
    result_cell,
    single,
    window_box,
    windowed_layers,
)
from .sheet import Cell, Sheet
from .table import Measurement, Table, measure_all, run_settings


def figure1(
    net: Network, image: Any = None, layer: str | None = None, seeds: Sequence[int] = (0, 1, 2, 3), **run: Any
) -> Sheet:
    """Several reconstructions from the activation of the last fully-connected layer."""
    image, layer = image_or_default(image), layer or figure_layers(net, linear=True)[-1]
    results = batch(invert(net, image, layer, seed=list(seeds), **run))
    cells = [result_cell(r, f"{layer}, seed {s}") for r, s in zip(results, seeds, strict=True)]
    return Sheet(f"Reconstructions from {layer} of {net.name}", [[*cells, input_cell(net, image)]])


def figure2(
    net: Network,
    image: Any = None,
    layer: str | None = None,
    weights: Sequence[float] = (1, 20, 100, 300),
    betas: Sequence[float] = (1, 1.5, 2, 2.5),
    **run: Any,
) -> Sheet:
    """The effect of the weight C of the data term, and of the exponent of total variation."""
    image, where = image_or_default(image), _middle_layer(net, layer).name
    by_C = [result_cell(single(invert(net, image, where, C=C, **run)), f"C = {C:g}") for C in weights]
    by_beta = [result_cell(single(invert(net, image, where, beta=beta, **run)), f"beta = {beta:g}") for beta in betas]
    rows = [[input_cell(net, image), *by_C], [input_cell(net, image), *by_beta]]
    return Sheet(f"C and beta at {where} of {net.name}", rows)


def figure3(
    net: Network, unit: int | str = 0, layer: str | None = None, jitters: Sequence[int] = (0, 2, 4, 8, 16), **run: Any
) -> Sheet:
    """The effect of jitter in activation maximisation."""
    layer = layer or figure_layers(net, linear=True)[-1]
    results = [single(maximize(net, layer, unit, jitter=jitter, **PAPER | run)) for jitter in jitters]
    cells = [result_cell(r, f"jitter {jitter}") for r, jitter in zip(results, jitters, strict=True)]
    return Sheet(f"{results[0].about} of {net.name}", [cells])


def _middle_layer(net: Network, layer: str | None) -> Layer:
    """The layer asked for, or relu3, or one in the middle."""
    if layer is not None:
        return net.layers[layer]
    names = figure_layers(net)
    return net.layers["relu3" if "relu3" in net.layers else names[len(names) // 2]]


_CLASSICAL = {"hog": "HOG", "hog-bilinear": "HOGb", "dsift": "DSIFT"}


def figure4(
    net: Network | None = None, image: Any = None, names: Sequence[str] = tuple(_CLASSICAL), **run: Any
) -> Sheet:
    """Inversions of HOG, HOG with bilinear orientations and dense SIFT, each under a picture of its descriptors.

    net: a HOG or dense SIFT network to show in place of `names`; any other network is not used.
    """
    image = image_or_default(image)
    nets = [net] if net is not None and has_descriptors(net) else [load(name) for name in names]
    described, inverted = [input_cell(nets[0], image)], [input_cell(nets[0], image)]
    for one in nets:
        name, layer = _CLASSICAL.get(one.name, one.name), descriptor_layer(one)
        result = single(invert(one, image, layer.name, **run))
        described.append(
            Cell(glyphs(one, image), f"{name}: {layer.channels} numbers every {layer.rf_stride[0]:g} pixels")
        )
        title = f"from {name}, contrast stretched\nerror {result.error:.2f}"
        inverted.append(Cell(_stretched(result.picture), title, result=result))
    return Sheet("Inversions of classical descriptors", [described, inverted], inches=2.6)


def _stretched(picture: np.ndarray) -> np.ndarray:
    """The picture stretched from black to white, but for its extremes: these descriptors ignore contrast."""
    low, high = np.quantile(picture, (0.005, 0.995))
    scaled = (picture - low) * (255 / max(float(high - low), 1.0))
    return np.clip(scaled + 0.5, 0, 255).astype(np.uint8)


def figure5(
    net: Network, image: Any = None, layers: Sequence[str] | None = None, columns: int = 7, **run: Any
) -> Sheet:
    """Inversions of all layers, each at the paper's C."""
    image = image_or_default(image)
    cells = [result_cell(single(invert(net, image, name, **run)), name) for name in figure_layers(net, layers)]
    return Sheet(f"Inversions of {net.name}", in_rows([input_cell(net, image), *cells], columns))


def figure6(
    net: Network, image: Any = None, layers: Sequence[str] | None = None, columns: int = 7, **run: Any
) -> Sheet:
    """Inversions of the convolutional and fully-connected layers (figure 7: VGG-VD-16)."""
    return figure5(net, image, figure_layers(net, layers, linear=True), columns, **run)


def figure8(
    net: Network,
    images: Any = None,
    layers: Sequence[str] | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3),
    **run: Any,
) -> Sheet:
    """The invariances of deep layers: several reconstructions from several layers."""
    images = images if isinstance(images, (list, tuple)) else [image_or_default(images)]
    names = figure_layers(net, layers) if layers else figure_layers(net, linear=True)[-3:]
    rows = []
    for image in images:
        for name in names:
            results = batch(invert(net, image, name, seed=list(seeds), **run))
            cells = [result_cell(r, f"{name}, seed {s}") for r, s in zip(results, seeds, strict=True)]
            rows.append([input_cell(net, image), *cells])
    return Sheet(f"Several reconstructions of {net.name}", rows)


def figure9(net: Network, image: Any = None, layers: Sequence[str] | None = None, window: int = 5, **run: Any) -> Sheet:
    """Reconstructions from the central window of a layer's map, with its receptive field drawn."""
    image = image_or_default(image)
    found = windowed_layers(net, layers, window)
    cells = []
    for name in found:
        result = single(invert(net, image, name, mask=masks.central(window), **run))
        cells.append(result_cell(result, name, box=window_box(net.layers[name], net.size, window)))
    return Sheet(f"From the central {window} x {window} of {net.name}", in_rows([input_cell(net, image), *cells], 7))


def figure10(net: Network, image: Any = None, layers: Sequence[str] | None = None, of: int = 2, **run: Any) -> Sheet:
    """Reconstructions from either of two streams of channels."""
    image = image_or_default(image)
    named = figure_layers(net)
    names = figure_layers(net, layers or named[: named.index(_middle_layer(net, None).name)])
    rows = [[input_cell(net, image)] for _ in range(of)]
    for name in names:
        for k, row in enumerate(rows):
            result = single(invert(net, image, name, mask=masks.groups(k + 1, of), **run))
            row.append(result_cell(result, f"{name}, group {k + 1}"))
    return Sheet(f"Streams of {net.name}", rows)


def figure11(net: Network, units: int = 8, layers: Sequence[str] | None = None, **run: Any) -> Sheet:
    """Activation maximisation of the first units of each convolutional layer (figure 12: VGG-VD-16)."""
    names = (
        figure_layers(net, layers) if layers else [n for n in figure_layers(net, linear=True) if n.startswith("conv")]
    )
    rows = []
    for name in names:
        wanted = list(range(min(units, net.layers[name].channels)))
        results = batch(maximize(net, name, wanted, **PAPER | run))
        rows.append([result_cell(r, f"{name}, unit {k}") for r, k in zip(results, wanted, strict=True)])
    return Sheet(f"Activation maximisation of units of {net.name}", rows)


def figure13(net: Network, classes: Sequence[int | str] | None = None, layer: str | None = None, **run: Any) -> Sheet:
    """Activation maximisation of classes."""
    layer = layer or figure_layers(net, linear=True)[-1]
    wanted = list(classes) if classes is not None else list(range(min(10, net.layers[layer].channels)))
    results = batch(maximize(net, layer, wanted, **PAPER | run))
    names = [net.labels[k] if isinstance(k, int) and net.labels else str(k) for k in wanted]
    cells = [result_cell(r, name) for r, name in zip(results, names, strict=True)]
    return Sheet(f"Activation maximisation of classes of {net.name}", in_rows(cells, 5))


def figure14(net: Network, images: Any = None, layers: Sequence[str] | None = None, **run: Any) -> Sheet:
    """Caricatures from each convolutional and fully-connected layer (figure 15: of several images)."""
    images = images if isinstance(images, (list, tuple)) else [image_or_default(images)]
    names = figure_layers(net, layers, linear=True)
    rows = [
        [input_cell(net, image), *[result_cell(single(caricature(net, image, name, **run)), name) for name in names]]
        for image in images
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
    images: Sequence[Any] | None = None,
    layers: Sequence[str] | None = None,
    weights: Sequence[float] = (1, 20, 100, 300),
    solvers: Sequence[str] = ("adagrad", "spectral"),
    log: str | os.PathLike[str] | None = None,
    executor: Any = None,
    progress: bool = True,
    **run: Any,
) -> Table:
    """The mean error of inversions by layer and C over images, beside the published one of AlexNet.

    The published numbers stand beside the paper's Algorithm 1 ("adagrad"); each other solver has columns of its own.
    log: a file from which an interrupted measurement is resumed. executor: who computes the runs, such as a pool of
    processes.
    """
    photographs, names = named_images(images), figure_layers(net, layers)
    columns = {_column(f"C = {C:g}", solver): (C, solver) for solver in _checked(solvers, run) for C in weights}
    jobs = [(name, (column,), key) for name in names for column in columns for key in photographs]
    work = _Errors(
        dict.fromkeys(names, net), {column: {"C": C, "solver": s} for column, (C, s) in columns.items()}, run
    )
    settings = partial(run_settings, "preimage2016.table5", {net.name: net}, names, run)
    values = measure_all(jobs, work, log, settings, "table 5", photographs, progress, net.pixels.read, executor)
    is_alexnet = "norm1" in net.layers and net.layers["norm1"].channels == 96
    lines = _PUBLISHED5.items() if is_alexnet else ()
    published = {(name, f"C = {C}"): v for C, line in lines for name, v in zip(_LAYERS5, line, strict=True)}
    title = f"Relative error in % over {len(photographs)} images, {net.name}"
    return Table(title, names, list(columns), values, published)


# Mean error in percent, by descriptor.
_PUBLISHED4 = {"hog": 36.6, "hog-bilinear": 11.5, "dsift": 9.4}


def table4(
    net: Network | None = None,
    images: Sequence[Any] | None = None,
    names: Sequence[str] = ("hog", "hog-bilinear", "dsift"),
    solvers: Sequence[str] = ("adagrad", "spectral"),
    log: str | os.PathLike[str] | None = None,
    executor: Any = None,
    progress: bool = True,
    **run: Any,
) -> Table:
    """The mean error of inversions of HOG and dense SIFT over images, beside the published one.

    net: not used, these are networks of their own. solvers, log, executor: as in `table5`.
    """
    photographs = named_images(images)
    nets = {name: load(name) for name in names}
    columns = {_column("error", solver): solver for solver in _checked(solvers, run)}
    work = _Errors(nets, {column: {"solver": solver} for column, solver in columns.items()}, run, last=True)
    settings = partial(run_settings, "preimage2016.table4", nets, [], run)
    jobs = [(name, (column,), key) for name in names for column in columns for key in photographs]
    values = measure_all(jobs, work, log, settings, "table 4", photographs, progress, executor=executor)
    published = {(name, "error"): value for name, value in _PUBLISHED4.items()}
    return Table(f"Relative error in % over {len(photographs)} images", list(names), list(columns), values, published)


def _column(name: str, solver: str) -> str:
    """A column's name: the paper's algorithm is not mentioned, another one is."""
    return name if solver == _PAPERS_SOLVER else f"{name}, {solver}"


_PAPERS_SOLVER = "adagrad"


def _checked(solvers: Sequence[str], run: dict[str, Any]) -> list[str]:
    if "solver" in run or isinstance(solvers, str) or not solvers:
        raise SettingError("a table takes a list of solvers, such as solvers=['adagrad', 'spectral'], and no solver=.")
    return list(solvers)


@dataclass(frozen=True)
class _Errors(Measurement):
    """The runs of a table: by row a network, by column settings of `invert`.

    last: whether the last layer is inverted; else the row's name is that of the layer.
    """

    nets: dict[str, Network]
    columns: dict[str, dict[str, Any]]
    run: dict[str, Any]
    last: bool = False

    def measure(self, row: str, columns: tuple[str, ...], image: Any) -> list[float]:
        net = self.nets[row]
        layer = list(net.layers)[-1] if self.last else row
        made = (invert(net, image, layer, progress=False, **self.columns[one], **self.run) for one in columns)
        return [single(one).error for one in made]


FIGURES: dict[str, Callable[..., Any]] = {
    "1": figure1, "2": figure2, "3": figure3, "4": figure4, "5": figure5, "6": figure6, "7": figure6, "8": figure8,
    "9": figure9, "10": figure10, "11": figure11, "12": figure11, "13": figure13, "14": figure14, "15": figure14,
    "table4": table4, "table5": table5,
}  # fmt: skip
