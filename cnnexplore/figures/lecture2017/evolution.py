"""Units during the training of a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...data import bundled_images
from ...network import Network
from ...units import top_patches
from ...zoo import load
from ..sheet import Cell, Sheet


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
