"""Figures 2, 3 and 9 and table 1: colours that an activation does not determine, and the patch prior that does."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np
import torch

from ...data import Images
from ...errors import SettingError
from ...network import Network, last_map_layer
from ...preimage import Inversion, PreImage, invert, maximize
from ...styles import PatchDatabase
from ...styles.patch_index import no_norm
from ..parts import PAPER, image_or_default, input_cell, named_images, single
from ..sheet import Cell, Sheet
from ..table import Measurement, Table, measure_all, run_settings

ENOUGH = 0.01  # the squared relative distance of equation 1 below which two activations count as the same


def map_layer(net: Network, layer: str | None) -> str:
    """The layer asked for, or the last one with a map: pool5 of AlexNet. Raises LayerNotFound, LayerError."""
    return (last_map_layer(net, net.scores, "the patch prior") if layer is None else net.layers[layer]).name


def database_of(net: Network, patches: Any, layer: str | None, **more: Any) -> PatchDatabase:
    """The database given, or one of the images given or bundled."""
    if isinstance(patches, PatchDatabase):
        return patches
    return PatchDatabase(net, Images.of(net, patches), layer, **more)


def recoloured(net: Network, image: Any, layer: str, steps: int) -> list[PreImage]:
    """One image in six colours with nearly the same activation: inversions from its channels in all orders.

    Each runs until the activation differs by less than 1 % in the squared distance of equation 1, or for `steps` steps.
    """
    picture = net.picture(net.pixels_of(image))
    found = []
    for order in permutations(range(3)):
        init = np.ascontiguousarray(picture[..., order])
        run = Inversion(net, picture, layer, C=3000.0, jitter=1, steps=steps, refine=0, init=init)
        while run.step < steps and float(run.errors) ** 2 >= ENOUGH:
            for _ in range(min(5, steps - run.step)):
                run.advance()
        found.append(single(run.result()))
    return found


def figure2(
    net: Network, image: Any = None, layer: str | None = None, unit: int | str = 0, steps: int | None = None, **run: Any
) -> Sheet:
    """Colours that an activation does not determine: an inversion, a class, and one image in six colours.

    data: "differences", the squared relative distances of the activations of the six.
    """
    image, layer = image_or_default(image), map_layer(net, layer)
    inverted = single(invert(net, image, layer, steps=steps, **run))
    class_image = single(maximize(net, net.scores.name, unit, preset="paper2016", steps=steps, **run))
    six = recoloured(net, image, layer, 300 if steps is None else steps)
    top = [
        input_cell(net, image, "the image"),
        Cell(inverted.picture, f"(a) from {layer}\nerror {inverted.error:.2f}", result=inverted),
        Cell(class_image.picture, f"(b) {class_image.about}", result=class_image),
    ]
    cells = [Cell(one.picture, f"(c) activation differs by {100 * one.error**2:.1f} %", result=one) for one in six]
    data = {"differences": [one.error**2 for one in six]}
    return Sheet(f"Colours that {layer} of {net.name} does not determine", [top, cells[:3], cells[3:]], data)


def figure3(net: Network, image: Any = None, layer: str | None = None, patches: Any = None, **run: Any) -> Sheet:
    """Patches matched with an inversion, as they are and normalised, and the average patches of near activations.

    data: the relative pixel error of each picture.
    """
    image, layer = image_or_default(image), map_layer(net, layer)
    database = database_of(net, patches, layer)
    inverted = single(invert(net, image, layer, **run))
    stride, channels = database.matching.stride, database.pictures.shape[-1]
    estimate = inverted.picture[..., :channels]
    normalized = database.index(image).match(estimate, stride=stride, original_colours=True)
    as_is = no_norm(channels)
    plain = database.index(image, norm=as_is).match(estimate, stride=stride, original_colours=True, norm=as_is)
    pictures = {
        "inverted": inverted.picture,
        "as they are": _as_rgb(plain.mean),
        "normalised": _as_rgb(normalized.mean),
        "average": _as_rgb(database.average(image)),
    }
    titles = {
        "inverted": f"inverted\nfrom {layer}",
        "as they are": "matched patches,\nas they are",
        "normalised": "matched patches,\nnormalised",
        "average": f"average patch of the\n{database.matching.k} nearest activations",
    }
    results = {"inverted": inverted}
    cells = [Cell(picture, titles[name], result=results.get(name)) for name, picture in pictures.items()]
    truth = net.picture(net.pixels_of(image))
    data = {name: pixel_error(truth, picture) for name, picture in pictures.items()}
    return Sheet(f"Patches for {layer} of {net.name}", [[input_cell(net, image, "the image"), *cells]], data)


def figure9a(
    net: Network,
    images: Sequence[Any] | None = None,
    layer: str | None = None,
    patches: Any = None,
    gamma: float | None = None,
    **run: Any,
) -> Sheet:
    """Inversions without and with the patch prior."""
    layer = map_layer(net, layer)
    database = database_of(net, patches, layer)
    rows: list[list[Cell]] = [[], [], []]
    for image in named_images(images).values():
        without = single(invert(net, image, layer, **run))
        within = single(invert(net, image, layer, patches=database, gamma=gamma, init="patches", **run))
        truth = net.picture(net.pixels_of(image))
        rows[0].append(input_cell(net, image, ""))
        for row, one, name in ((rows[1], without, "without"), (rows[2], within, "with patches")):
            row.append(Cell(one.picture, f"{name}: pixel error {pixel_error(truth, one.picture):.2f}", result=one))
    return Sheet(f"Inversions of {layer} of {net.name}", rows)


def figure9b(
    net: Network,
    classes: Sequence[int | str] | None = None,
    patches: dict[int | str, Any] | None = None,
    gamma: float | None = None,
    **run: Any,
) -> Sheet:
    """Activation maximisation of classes without and with patches of photographs of the class.

    patches: class to its photographs, or to a database of them (default: the bundled ones that are predicted as the
    class, or all of them).
    """
    wanted: list[int | str] = list(classes) if classes is not None else list(range(min(4, net.scores.channels)))
    rows: list[list[Cell]] = [[], []]
    for unit in wanted:
        photographs = patches[unit] if patches is not None else _bundled_of_class(net, unit)
        database = database_of(net, photographs, None)
        name = net.scores.name
        without = single(maximize(net, name, unit, **PAPER | run))
        within = single(maximize(net, name, unit, patches=database, gamma=gamma, **PAPER | run))
        label = net.labels[unit] if isinstance(unit, int) and net.labels else str(unit)
        for row, one, way in ((rows[0], without, "without"), (rows[1], within, "with patches")):
            row.append(Cell(one.picture, f"{label},\n{way}: response {one.response:.1f}", result=one))
    return Sheet(f"Activation maximisation of classes of {net.name}", rows)


def _bundled_of_class(net: Network, unit: int | str) -> list[Any]:
    """The bundled images that are predicted as a class, or all of them if there are none."""
    images = Images.of(net, None)
    label = net.labels[unit] if isinstance(unit, int) and net.labels else unit
    known = [images[k] for k in range(len(images))]
    if not net.labels:
        return known
    return [image for image in known if net.predict(image, 1)[0][0] == label] or known


ROWS = ("random start", "average of patches", "patch prior", "own mean colour", "data set's mean colour")
_PUBLISHED = {(row, "pixels"): v for row, v in zip(ROWS, (51.0, 45.0, 32.0), strict=False)}  # CaffeNet, 100 images
_PUBLISHED_SOLVER = "adagrad"


def table1(
    net: Network,
    images: Sequence[Any] | None = None,
    layer: str | None = None,
    patches: Any = None,
    gamma: float | None = None,
    solvers: Sequence[str] = ("adagrad", "spectral"),
    log: str | os.PathLike[str] | None = None,
    executor: Any = None,
    progress: bool = True,
    **run: Any,
) -> Table:
    """Pixel and activation errors of inversions from noise, from the average of patches, and with the patch prior.

    The published numbers stand beside the published algorithm ("adagrad"); each other solver has columns of its own.
    A pixel error is ||I0 - I|| / ||I0|| with pixels in 0..255, no mean subtracted. The last two rows are pictures of
    one colour, the photograph's mean or the database's. patches: a database, or photographs to make one of; those that
    are among `images`, and their near-duplicates, are left out. C is the usual one of each row, which makes their
    activation errors similar. log: a file from which an interrupted measurement is resumed.
    executor: who computes the runs, such as a pool of processes.
    """
    if "solver" in run or isinstance(solvers, str) or not solvers:
        raise SettingError("a table takes a list of solvers, such as solvers=['adagrad', 'spectral'], and no solver=.")
    layer, photographs = map_layer(net, layer), named_images(images)
    database = database_of(net, patches, layer, exclude=list(photographs.values()), progress=progress)
    mean = database.pictures.mean((0, 1, 2), dtype=np.float64)
    options: dict[str, dict[str, Any]] = {
        ROWS[0]: {},
        ROWS[1]: {"patches": database, "gamma": 0, "init": "patches"},
        ROWS[2]: {"patches": database, "gamma": gamma, "init": "patches"},
    }
    by_solver = {
        solver: tuple(
            f"{name}{'' if solver == _PUBLISHED_SOLVER else f', {solver}'}" for name in ("pixels", "activation")
        )
        for solver in solvers
    }
    solver_of = {columns: solver for solver, columns in by_solver.items()}
    work = _Errors(net, layer, solver_of, options, mean, run)
    more = {"gamma": gamma, "patches": database.pictures, "matching": repr(database.matching)}
    settings = partial(run_settings, "intraclass2015.table1", {net.name: net}, [layer], run, **more)
    jobs = [(row, columns, key) for key in photographs for row in ROWS for columns in by_solver.values()]
    values = measure_all(jobs, work, log, settings, "table 1", photographs, progress, net.pixels.read, executor)
    is_alexnet = "norm1" in net.layers and net.layers["norm1"].channels == 96 and layer == "pool5"
    title = f"Relative error in % over {len(photographs)} images from {layer} of {net.name}"
    published = _PUBLISHED if is_alexnet and _PUBLISHED_SOLVER in solvers else {}
    return Table(title, list(ROWS), [column for columns in solver_of for column in columns], values, published)


@dataclass(frozen=True)
class _Errors(Measurement):
    """The runs of table 1: of an image the pixel error and the activation error.

    solvers: by the columns of a run; options: settings of `invert` by row; mean: the colour of the database.
    """

    net: Network
    layer: str
    solvers: dict[tuple[str, ...], str]
    options: dict[str, dict[str, Any]]
    mean: np.ndarray
    run: dict[str, Any]

    def measure(self, row: str, columns: tuple[str, ...], image: Any) -> tuple[float, float]:
        net, layer = self.net, self.layer
        truth = net.picture(net.pixels_of(image))
        if row in self.options:
            solver = self.solvers[columns]
            made = invert(net, image, layer, solver=solver, progress=False, **self.options[row], **self.run)
            result = single(made)
            return pixel_error(truth, result.picture), result.error
        colour = truth.mean((0, 1)) if row == ROWS[3] else self.mean
        flat = np.broadcast_to(colour, truth.shape[:2] + colour.shape).astype(np.float32)
        flat = flat.repeat(3, 2) if flat.shape[-1] == 1 else flat
        return pixel_error(truth, flat), activation_error(net, layer, image, flat)


def pixel_error(image: np.ndarray, other: np.ndarray) -> float:
    """||I0 - I|| / ||I0|| of pictures in 0..255."""
    mine = np.asarray(image, np.float64)
    return float(np.linalg.norm(mine - other) / np.linalg.norm(mine))


def activation_error(net: Network, layer: str, image: Any, other: Any) -> float:
    """||Phi(I) - Phi(I0)|| / ||Phi(I0)|| of two images."""
    mine, theirs = (net.activations(one, layer).double() for one in (image, other))
    return float(torch.linalg.vector_norm(theirs - mine) / torch.linalg.vector_norm(mine))


def _as_rgb(picture: np.ndarray) -> np.ndarray:
    """A picture (H, W, C) in 0..255 as (H, W, 3) uint8."""
    rounded = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    return rounded.repeat(3, 2) if rounded.shape[-1] == 1 else rounded


FIGURES: dict[str, Callable[..., Any]] = {
    "2": figure2, "3": figure3, "9a": figure9a, "9b": figure9b, "table1": table1,
}  # fmt: skip
