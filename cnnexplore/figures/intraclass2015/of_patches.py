"""Figures 2, 3 and 9 and table 1: colours that a code leaves open, and the patch prior that gives them back."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import torch

from ...data import Images
from ...errors import LayerError
from ...network import Network
from ...preimage import Inversion, PreImage, invert, maximize
from ...styles import PatchDatabase
from ...styles.patch_index import no_norm
from ..parts import image_or_default, input_cell, named_images
from ..sheet import Cell, Sheet
from ..table import Table, measure_all

ENOUGH = 0.01  # by how much codes may differ: the squared relative distance of equation 1


def last_map(net: Network, layer: str | None) -> str:
    """The layer asked for, or the last one with a map: pool5 of AlexNet. Raises LayerNotFound, LayerError."""
    if layer is not None:
        return net.layers[layer].name
    maps = [name for name, one in net.layers.items() if max(one.size) > 1 and one.kind != "Dropout"]
    if not maps:
        raise LayerError(f"{net.name} has no layer with a map; its patches cannot be told by codes.")
    return maps[-1]


def database_of(net: Network, patches, layer: str | None, **more) -> PatchDatabase:
    """The database given, or one of the images given or at hand."""
    if isinstance(patches, PatchDatabase):
        return patches
    return PatchDatabase(net, Images.of(net, patches), layer, **more)


def colourings(net: Network, image, layer: str, steps: int = 300) -> list[PreImage]:
    """One image in six colours with nearly the same code: from its channels in all orders, each drawn to its code.

    Runs until the code differs by less than 1 % in the squared distance of equation 1, at most `steps` steps.
    """
    picture = net.picture(net.pixels_of(image))
    found = []
    for order in permutations(range(3)):
        begin = np.ascontiguousarray(picture[..., order])
        run = Inversion(net, picture, layer, C=3000.0, jitter=1, steps=steps, refine=0, init=begin)
        while run.step < steps and float(run.errors) ** 2 >= ENOUGH:
            for _ in range(min(5, steps - run.step)):
                run.advance()
        found.append(run.result())
    return found


def figure2(net: Network, image=None, layer: str | None = None, unit=0, **run) -> Sheet:
    """The colours that a code leaves open: an inversion, a class, and six colourings of one image."""
    image, layer = image_or_default(image), last_map(net, layer)
    inverted = invert(net, image, layer, **run)
    wanted = maximize(net, net.scores.name, unit, **run)
    six = colourings(net, image, layer, **{k: v for k, v in run.items() if k == "steps"})
    top = [
        input_cell(net, image, "the image"),
        Cell(inverted.picture, f"(a) from {layer}\nerror {inverted.error:.2f}", result=inverted),
        Cell(wanted.picture, f"(b) {wanted.about}", result=wanted),
    ]
    cells = [Cell(one.picture, f"(c) code differs by {100 * one.error**2:.1f} %", result=one) for one in six]
    data = {"differences": [one.error**2 for one in six]}
    return Sheet(f"Colours that {layer} of {net.name} leaves open", [top, cells[:3], cells[3:]], data)


def figure3(net: Network, image=None, layer: str | None = None, patches=None, **run) -> Sheet:
    """Patches matched with an inversion, as they are and normalised, and the averaged patches of near codes."""
    image, layer = image_or_default(image), last_map(net, layer)
    database = database_of(net, patches, layer)
    inverted = invert(net, image, layer, **run)
    index, m = database.index(image), database.matching
    channels = database.pictures.shape[-1]
    estimate = inverted.picture[..., :channels]
    shown = index.match(estimate, stride=m.stride, original_colours=True)
    as_is = no_norm(channels)
    unlike = database.index(image, norm=as_is).match(estimate, stride=m.stride, original_colours=True, norm=as_is)
    average = database.average(image)
    cells = [
        input_cell(net, image, "the image"),
        Cell(inverted.picture, f"inverted\nfrom {layer}", result=inverted),
        Cell(_shown(unlike.mean), "warped patches,\nmatched as they are"),
        Cell(_shown(shown.mean), "warped patches,\nmatched normalised"),
        Cell(_shown(average), f"the average of\n{m.k} near codes' patches"),
    ]
    mine = net.picture(net.pixels_of(image))
    names = ("inverted", "as they are", "normalised", "average")
    pictures = (inverted.picture, _shown(unlike.mean), _shown(shown.mean), _shown(average))
    data = {name: pixel_error(mine, p) for name, p in zip(names, pictures, strict=True)}
    return Sheet(f"Patches for {layer} of {net.name}", [cells], data)


def figure9a(
    net: Network, images=None, layer: str | None = None, patches=None, gamma: float | None = None, **run
) -> Sheet:
    """Inversions without and with the patch prior."""
    layer, images = last_map(net, layer), named_images(images)
    database = database_of(net, patches, layer)
    rows = [[], [], []]
    for image in images.values():
        without = invert(net, image, layer, **run)
        within = invert(net, image, layer, patches=database, gamma=gamma, init="patches", **run)
        mine = net.picture(net.pixels_of(image))
        rows[0].append(input_cell(net, image, ""))
        for row, one, said in ((rows[1], without, "without"), (rows[2], within, "with patches")):
            row.append(Cell(one.picture, f"{said}: pixels {pixel_error(mine, one.picture):.2f}", result=one))
    return Sheet(f"Inversions of {layer} of {net.name}", rows)


def figure9b(
    net: Network,
    classes: Sequence[int | str] | None = None,
    patches: dict | None = None,
    gamma: float | None = None,
    **run,
) -> Sheet:
    """What classes want, without and with patches of photographs of the class.

    patches: class -> its photographs, or a database of them (default: those at hand that the network takes for it, or
    all of them).
    """
    wanted = list(classes) if classes is not None else list(range(min(4, net.scores.channels)))
    rows = [[], []]
    for unit in wanted:
        known = patches[unit] if patches is not None else _of_class(net, unit)
        database = database_of(net, known, None)
        name = net.scores.name
        without = maximize(net, name, unit, **run)
        within = maximize(net, name, unit, patches=database, gamma=gamma, **run)
        label = net.labels[unit] if isinstance(unit, int) and net.labels else str(unit)
        for row, one, said in ((rows[0], without, "without"), (rows[1], within, "with patches")):
            row.append(Cell(one.picture, f"{label},\n{said}: response {one.response:.1f}", result=one))
    return Sheet(f"What classes of {net.name} want", rows)


def _of_class(net: Network, unit) -> list:
    images = Images.of(net, None)
    label = net.labels[unit] if isinstance(unit, int) and net.labels else unit
    known = [images[k] for k in range(len(images))]
    if not net.labels:
        return known
    return [image for image in known if net.predict(image, 1)[0][0] == label] or known


ROWS = ("random start", "average of patches", "patch prior", "own mean colour", "data set's mean colour")
_PUBLISHED = {(row, "pixels"): v for row, v in zip(ROWS, (51.0, 45.0, 32.0), strict=False)}


def table1(
    net: Network,
    images: Sequence | None = None,
    layer: str | None = None,
    patches=None,
    gamma: float | None = None,
    log: str | os.PathLike | None = None,
    progress: bool = True,
    **run,
) -> Table:
    """Pixel and code errors of inversions from noise, from the average of patches, and with the patch prior.

    ||I0 - I|| / ||I0|| with pixels in 0..255, no mean subtracted; beside the paper's, and what an image of one colour
    has: the photograph's own mean, or the database's. patches: a database, or what to make one of: photographs that
    are none of `images`, nor near-duplicates of them. C is each row's usual one, with which their codes err alike.
    log: a file from which an interrupted measurement is resumed.
    """
    layer, photographs = last_map(net, layer), named_images(images)
    database = database_of(net, patches, layer, exclude=list(photographs.values()), progress=progress)
    mean = database.pictures.mean((0, 1, 2), dtype=np.float64)
    options = {
        ROWS[0]: {},
        ROWS[1]: {"patches": database, "gamma": 0, "init": "patches"},
        ROWS[2]: {"patches": database, "gamma": gamma, "init": "patches"},
    }
    done: dict[tuple[str, str], tuple[float, float]] = {}

    def both(row: str, key: str) -> tuple[float, float]:
        mine = net.picture(net.pixels_of(photographs[key]))
        if row in options:
            result = invert(net, photographs[key], layer, progress=False, **options[row], **run)
            return pixel_error(mine, result.picture), result.error
        colour = mine.mean((0, 1)) if row == ROWS[3] else mean
        flat = np.broadcast_to(colour, mine.shape[:2] + colour.shape).astype(np.float32)
        flat = flat.repeat(3, 2) if flat.shape[-1] == 1 else flat
        return pixel_error(mine, flat), code_error(net, layer, photographs[key], flat)

    def measure(row: str, column: str, key: str) -> float:
        if (row, key) not in done:
            done[row, key] = both(row, key)
        return done[row, key][column == "code"]

    settings = {
        "table": "intraclass2015.table1", "net": net.to_python(), "layer": layer, "gamma": gamma,
        "patches": repr(database), "matching": repr(database.matching), "run": {k: repr(v) for k, v in run.items()},
    }  # fmt: skip
    jobs = [(row, column, key) for key in photographs for row in ROWS for column in ("pixels", "code")]
    values = measure_all(jobs, measure, log, settings, "table 1", progress)
    is_alexnet = "norm1" in net.layers and net.layers["norm1"].channels == 96 and layer == "pool5"
    title = f"Relative error in % over {len(photographs)} images from {layer} of {net.name}"
    return Table(title, list(ROWS), ["pixels", "code"], values, _PUBLISHED if is_alexnet else {})


def pixel_error(image: np.ndarray, other: np.ndarray) -> float:
    """||I0 - I|| / ||I0|| of pictures in 0..255."""
    mine = np.asarray(image, np.float64)
    return float(np.linalg.norm(mine - other) / np.linalg.norm(mine))


def code_error(net: Network, layer: str, image, other) -> float:
    """||Phi(I) - Phi(I0)|| / ||Phi(I0)|| of two images."""
    mine, its = (net.activations(one, layer).double() for one in (image, other))
    return float(torch.linalg.vector_norm(its - mine) / torch.linalg.vector_norm(mine))


def _shown(picture: np.ndarray) -> np.ndarray:
    shown = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    return shown.repeat(3, 2) if shown.shape[-1] == 1 else shown


FIGURES = {"2": figure2, "3": figure3, "9a": figure9a, "9b": figure9b, "table1": table1}
