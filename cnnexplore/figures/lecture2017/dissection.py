"""What units detect: examples, unique detectors by network and layer, axis alignment, training, and interventions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import world
from ...drawing import printable
from ...errors import SettingError
from ...network import Network, has_class_units
from ...units import Dissection, Interventions, compare_dissections, dissect
from ...zoo import load
from ..chart import Chart
from ..sheet import Cell, Sheet
from .arguments import chosen_layers


def _scenes(net: Network, images: Any, n: int) -> Any:
    """Images with masks: those that were given, or held-out scenes of the world."""
    return world.dataset(n, world.HELD_OUT_SEED, max(16, *net.size)) if images is None else images


def _last(net: Network, layer: str | None) -> str:
    return layer or chosen_layers(net, None, 100)[-1]


def dissection(
    net: Network, images: Any = None, layer: str | None = None, units: int = 6, k: int = 5, n: int = 300,
    progress: bool = True,
) -> Sheet:  # fmt: skip
    """The best detectors of a layer, each of another concept: their strongest images, bright where they are active."""
    found = _one(dissect(net, _last(net, layer), _scenes(net, images, n), k=k, progress=progress))
    chosen: dict[str, int] = {}
    for unit in found.detectors or [int(np.argmax([word.iou for word in found.words]))]:
        chosen.setdefault(found.words[unit].concept, unit)
    rows = []
    for unit in list(chosen.values())[:units]:
        titles = [found.title_of(unit), *[""] * (k - 1)]
        rows.append([Cell(one, title, result=found) for one, title in zip(found.images(unit), titles, strict=False)])
    return Sheet(f"What units of {found.layer.name} of {net.name} detect", rows)


def _one(found: Dissection | list[Dissection]) -> Dissection:
    return found[0] if isinstance(found, list) else found


def unique_detectors(
    net: Network, images: Any = None, layers: Sequence[str] | None = None, others: Sequence[str] = (), n: int = 300,
    progress: bool = True,
) -> Chart:  # fmt: skip
    """Different concepts that the units of each layer detect, by category; others: names of more networks."""
    named = {}
    for one in [net, *map(load, others)]:
        chosen = chosen_layers(one, layers, 6)
        found = dissect(one, chosen, _scenes(one, images, n), progress=progress)
        for each in found:
            named[f"{one.name} {each.layer.name}" if others else each.layer.name] = each
    compared = compare_dissections(named)
    return Chart("Unique detectors by layer", compared.plot, {"table": compared.table, "result": compared})


def axis_alignment(
    net: Network, images: Any = None, layer: str | None = None, seed: int = 0, n: int = 300, progress: bool = True,
    powers: Sequence[float] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
) -> Chart:  # fmt: skip
    """Unique detectors of a layer whose units are rotated, by the power of the rotation."""
    name, scenes = _last(net, layer), _scenes(net, images, n)
    nulls: dict[str, Dissection] = {}
    for power in powers:
        null = _one(dissect(net, name, scenes, null="rotation", power=power, seed=seed, progress=progress)).null
        assert null is not None  # it was asked for
        nulls[f"{power:g}"] = null
    compared = compare_dissections(nulls)

    def plot() -> Any:
        figure = compared.plot()
        figure.axes[0].set_xlabel("power of the rotation: 0 the units, 1 a random basis", fontsize=8)
        title = printable(f"Axis alignment, {name} of {net.name}")
        figure.axes[0].set_title(title, fontsize=9, loc="left", parse_math=False)
        return figure

    return Chart("Axis alignment", plot, {"table": compared.table, "result": compared})


def training_detectors(
    net: Network | None = None, images: Any = None, layer: str = "conv5",
    steps: Sequence[int] = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000), n: int = 300, progress: bool = True,
) -> Chart:  # fmt: skip
    """Unique detectors during the training of worldnet, whose checkpoints are bundled."""
    nets = {str(step): load(f"worldnet@{step}") for step in steps}
    found = {step: _one(dissect(one, layer, _scenes(one, images, n), progress=progress)) for step, one in nets.items()}
    compared = compare_dissections(found)

    def plot() -> Any:
        figure = compared.plot()
        figure.axes[0].set_xlabel("step of the training", fontsize=8)
        figure.axes[0].set_title(f"Unique detectors in {layer} during the training of worldnet", fontsize=9, loc="left")
        return figure

    return Chart("Training", plot, {"table": compared.table, "result": compared})


def silenced(
    net: Network, images: Any = None, layer: str | None = None, n: int = 300, per_class: int = 20, draws: int = 10,
    seed: int = 0, progress: bool = True,
) -> Chart:  # fmt: skip
    """What silencing the units whose object is a class does to its score, beside as many random units."""
    if images is not None and not hasattr(images, "scene"):
        raise SettingError("images must be scenes of the world, cx.world.dataset(...); their classes name the units.")
    name, scenes = _last(net, layer), _scenes(net, images, n)
    found = _one(dissect(net, name, scenes, progress=progress))
    silence, random = Interventions(net, name), np.random.default_rng(seed)
    if not has_class_units(net, net.scores):
        raise SettingError(f"{net.name} has no labelled class scores; take a classifier of the world's classes.")
    rows: list[dict[str, Any]] = []
    for target in (label for label in net.labels if label in scenes.names):
        units = units_about(found, target)
        if not units:
            continue
        own = world.dataset(per_class, world.HELD_OUT_SEED + 1, scenes.size, names=[target])
        x = net.pixels_of([own[k][0] for k in range(per_class)])
        column = net.labels.index(target)
        before = silence.scores(x)[:, column]
        named = float((silence.scores(x, units)[:, column] - before).mean())
        others = [
            float((silence.scores(x, random.choice(len(found), len(units), False).tolist())[:, column] - before).mean())
            for _ in range(draws)
        ]
        rows.append({"class": target, "units": len(units), "named": named, "random": others})

    def plot() -> Any:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5.6, 0.42 * len(rows) + 1.2), layout="constrained", dpi=110)
        axis = figure.subplots()
        for k, row in enumerate(rows):
            axis.barh(k, row["named"], 0.55, color="#c2622d", label="units whose object is the class" * (not k))
            axis.plot(row["random"], [k] * draws, "o", ms=3, color="#555555", alpha=0.7,
                      label="as many random units" * (not k))  # fmt: skip
        names = [printable(f"{row['class']} ({row['units']} units)") for row in rows]
        axis.set_yticks(range(len(rows)), names, fontsize=8, parse_math=False)
        axis.axvline(0, color="black", lw=0.6)
        axis.set_xlabel(f"change of the class's score, mean of {per_class} scenes of it", fontsize=8)
        axis.tick_params(axis="x", labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        title = printable(f"Silencing units of {name} of {net.name}")
        axis.set_title(title, fontsize=9, loc="left", parse_math=False)
        figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=2)
        return figure

    return Chart("Silenced units", plot, {"table": rows, "result": found})


def units_about(found: Dissection, target: str) -> list[int]:
    """The detectors whose best object is a class."""
    which, scores = found.best("object")
    names = [found.concepts[k] for k in which]
    return [u for u, name in enumerate(names) if name == f"object/{target}" and scores[u] > found.threshold]
