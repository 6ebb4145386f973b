"""Figures and tables of Mahendran and Vedaldi, Understanding deep image representations by inverting them, 2015."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..errors import DivergedError, SettingError
from ..network import Network
from ..preimage import PreImage, invert, masks
from .parts import (
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
from .sheet import Sheet
from .table import Measurement, Table, measure_all, run_settings

VARIANT = "inverting2015"


def inverted(
    net: Network,
    image: Any,
    layer: str,
    variation: float | None = None,
    steps: int = 400,
    rate: float = 0.05,
    **run: Any,
) -> PreImage:
    """Invert by the method of 2015.

    variation: weight of the total variation (default: the published one for that depth). steps: with fewer than the
    published 400, the rate falls after half and three quarters of them at the latest. rate: the published one suits
    AlexNet. Where the gradient is steeper, so that the run diverges or ends further away than an activation of zeros,
    a quarter of it is tried.
    """
    variant = VARIANT if variation is None else f"{VARIANT}:{variation:g}"
    result: PreImage | None = None
    while True:
        try:
            schedule = _shortened(steps, rate)
            found = invert(net, image, layer, variant=variant, steps=steps, rate=rate, schedule=schedule, **run)
            result = single(found)
            if result.error < 1:
                return result
        except DivergedError:
            if rate < 1e-5:
                raise
        if result is not None and rate < 0.005:
            return result
        rate /= 4


def _shortened(steps: int, rate: float) -> dict[int, dict[str, float]]:
    """The schedule with which the rate falls within `steps`: none for 400 steps or more."""
    published = (100, 300)  # where the variant lets it fall
    falls = (min(100, steps // 2), min(300, 3 * steps // 4))
    due = {step: sum(step >= f for f in falls) - sum(step >= f for f in published) for step in (*falls, *published)}
    return {} if falls == published else {k: {"rate": rate * 0.1 ** due[k]} for k in sorted(due) if 0 < k < steps}


def figure6(
    net: Network, image: Any = None, layers: Sequence[str] | None = None, columns: int = 7, **run: Any
) -> Sheet:
    """Inversions of all layers by the method of 2015, with total variation 1, 10 or 100 by depth."""
    image = image_or_default(image)
    cells = [result_cell(inverted(net, image, name, **run), name) for name in figure_layers(net, layers)]
    return Sheet(f"Inversions of {net.name}, as in 2015", in_rows([input_cell(net, image), *cells], columns))


def figure9(
    net: Network,
    image: Any = None,
    layers: Sequence[str] | None = None,
    window: int = 5,
    variation: float = 100,
    columns: int = 7,
    **run: Any,
) -> Sheet:
    """Reconstructions from the central window of each layer's map, with its receptive field in white.

    variation: the weight of the total variation, the same for all layers, so that the rest of the image stays grey.
    """
    image = image_or_default(image)
    found = windowed_layers(net, layers, window)
    cells = []
    for name in found:
        result = inverted(net, image, name, variation, mask=masks.central(window), **run)
        cells.append(result_cell(result, name, box=window_box(net.layers[name], net.size, window)))
    title = f"From the central {window} x {window} of {net.name}, as in 2015"
    return Sheet(title, in_rows([input_cell(net, image), *cells], columns))


# Mean error in percent of CNN-A (CaffeNet) over 100 images, by layer and lambda.
_LAYERS3 = (
    "conv1", "relu1", "pool1", "norm1", "conv2", "relu2", "pool2", "norm2", "conv3", "relu3", "conv4", "relu4", "conv5",
    "relu5", "pool5", "fc6", "relu6", "fc7", "relu7", "fc8",
)  # fmt: skip
_PUBLISHED3 = {
    1: (10.0, 11.3, 21.9, 20.3, 12.4, 12.9, 15.5, 15.9, 14.5, 16.5, 14.9, 13.8, 12.6, 15.6, 16.6, 12.4, 15.8, 12.8,
        10.5, 5.3),
    10: (20.2, 22.4, 30.3, 28.2, 20.0, 17.4, 18.2, 18.4, 14.4, 15.1, 13.3, 14.0, 15.4, 13.9, 15.5, 14.2, 13.7, 15.4,
         10.8, 5.9),
    100: (40.8, 45.2, 54.1, 48.1, 39.7, 32.8, 32.7, 32.4, 25.6, 26.9, 23.3, 23.9, 25.7, 20.1, 19.0, 18.6, 18.7, 17.1,
          15.5, 8.5),
}  # fmt: skip


def table3(
    net: Network,
    images: Sequence[Any] | None = None,
    layers: Sequence[str] | None = None,
    variations: Sequence[float] = (1, 10, 100),
    log: str | os.PathLike[str] | None = None,
    executor: Any = None,
    progress: bool = True,
    **run: Any,
) -> Table:
    """The trade-off: mean error by layer and weight of the total variation, beside the published one of CaffeNet.

    All runs use the published algorithm, gradient descent with momentum. As in the paper, an error is
    ||Phi(x) - Phi0|| over the mean distance between the activations of two of the images, so at least two are needed;
    its lambda is half of a weight. log: a file from which an interrupted measurement is resumed. executor: who computes
    the runs, such as a pool of processes.
    """
    photographs = named_images(images)
    if len(photographs) < 2:
        raise SettingError("errors are in units of the distance between images; give a list of two images or more.")
    names = figure_layers(net, layers)
    by_row = {f"TV {weight:g}": weight for weight in variations}
    jobs = [(row, (name,), key) for name in names for row in by_row for key in photographs]
    settings = partial(run_settings, "inverting2015.table3", {net.name: net}, names, run)
    work = _Errors(net, by_row, run)
    relative = measure_all(jobs, work, log, settings, "table 3", photographs, progress, net.pixels.read, executor)
    units = {name: _units(net, list(photographs.values()), name) for name in names}
    values = {(row, name): [e * u for e, u in zip(v, units[name], strict=True)] for (row, name), v in relative.items()}
    is_caffe = "norm1" in net.layers and net.layers["norm1"].channels == 96
    lines = _PUBLISHED3.items() if is_caffe else ()
    published = {(f"TV {w}", name): v for w, line in lines for name, v in zip(_LAYERS3, line, strict=True)}
    title = f"Error in % of the distance between two images' activations, over {len(photographs)} images, {net.name}"
    return Table(title, list(by_row), names, values, published)


@dataclass(frozen=True)
class _Errors(Measurement):
    """The runs of table 3."""

    net: Network
    variations: dict[str, float]
    run: dict[str, Any]

    def measure(self, row: str, columns: tuple[str, ...], image: Any) -> list[float]:
        weight = self.variations[row]
        return [inverted(self.net, image, name, weight, progress=False, **self.run).error for name in columns]


def _units(net: Network, images: list[Any], layer: str) -> list[float]:
    """||Phi0|| of each image over the mean distance between the activations of two of them: N_Phi of the paper."""
    activations = torch.cat([net.activations(image, layer).flatten(1).double().cpu() for image in images])
    apart = float(torch.pdist(activations).mean())
    if apart == 0:
        raise SettingError(f"the images have the same activation at {layer}; give images that differ.")
    return (activations.norm(dim=1) / apart).tolist()


FIGURES: dict[str, Callable[..., Any]] = {"6": figure6, "9": figure9, "table3": table3}
