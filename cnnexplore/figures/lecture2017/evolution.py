"""Units during the training of a network, and through fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...data import bundled_images
from ...network import Network
from ...units.evolution import evolution
from ...units.unit_changes import unit_changes
from ...world import HELD_OUT_SEED, dataset
from ...zoo import finetune, load
from ..sheet import Cell, Sheet


def through_training(
    net: Network | None = None, layers: Sequence[str] = ("conv1", "conv2", "conv3"), units: int = 4,
    steps: Sequence[int] = (0, 50, 200, 500, 1000), images: Any = None, same_image: bool = False,
    progress: bool = True,
) -> Sheet:  # fmt: skip
    """Projections of units' strongest activations during the training of worldnet, whose checkpoints are bundled."""
    pool, rows = (bundled_images(load("worldnet")) if images is None else images), []
    checkpoints = {f"step {step}": f"worldnet@{step}" for step in steps}
    for name in layers:
        found = evolution(
            checkpoints, name, list(range(units)), pool, same_image=same_image, filters=False, progress=progress
        )
        for unit in range(units):
            cells = []
            for t, label in enumerate(found.checkpoints):
                title = f"{name}, unit {unit}, {label}\nimage {found.indices[t, unit]}"
                cells.append(Cell(found.projections[t][unit], title, result=found))
            rows.append(cells)
    return Sheet("Evolution of worldnet's units during training", rows)


def through_finetuning(
    net: Network, images: Any = None, layer: str | None = None, trained: str | None = None, epochs: int = 4,
    rate: float = 0.05, batch: int = 16, concepts: Any = None, most: int = 4, k: int = 4, seed: int = 0,
    progress: bool = True,
) -> Sheet:  # fmt: skip
    """The units that fine-tuning changed most: their strongest patches before and after, with their words.

    images: labelled, by default 200 scenes of the world, whose concepts are then the words; layer: whose units are
    compared, by default the last convolution; trained: the layer from which on weights are trained, None for all.
    """
    data = dataset(200, 1, net.size[0]) if images is None else images
    made = finetune(net, data, layers=trained, epochs=epochs, rate=rate, batch=batch, seed=seed, progress=progress)
    maps = [one for one in net.layers.values() if one.has_map]
    name = layer or ([one.name for one in maps if one.name.startswith("conv")] or [maps[-1].name])[-1]
    seen = dataset(50, HELD_OUT_SEED, net.size[0]) if images is None else images
    masks = seen if images is None and concepts is None else concepts
    found = unit_changes(made.before, made.net, name, seen, concepts=masks, most=most, k=k, progress=progress)
    rows = []
    for unit in found.movers:
        words_of = ((found.words_before, found.scores_before), (found.words_after, found.scores_after))
        before, after = (f"{words[unit]} {scores[unit]:.2f}" for words, scores in words_of)
        first = f"unit {unit}, change {found.change[unit]:.2f}\nbefore: {before}"
        titles = [first, *[""] * (k - 1), f"\nafter: {after}", *[""] * (k - 1)]
        pictures = [*found.top_before.patches(unit), *found.top_after.patches(unit)]
        rows.append([Cell(p, t, result=found) for p, t in zip(pictures, titles, strict=True)])
    title = f"Units of {name} of {net.name} that fine-tuning changed most; accuracy {made.accuracies[0]:.0%} before, "
    return Sheet(f"{title}{made.accuracies[-1]:.0%} after", rows, {"matrix": found.matrix, "words": found.words}, 1.2)
