"""worldnet-styles: worldnet, trained on until fc7 tells the styles of each class apart; it still names classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ..data import world
from . import worldnet
from .alexnet import world_alexnet
from .training import Recipe, fit, mixed, write

COUNTS = [len(world.STYLES[name]) for name in world.CLASSES]
RATE = 0.04


class Styled(Dataset):
    """Scenes, labelled by style: every style of every class has a number of its own."""

    def __init__(self, scenes: world.World):
        first = np.cumsum([0, *COUNTS[:-1]])
        self.scenes, self.numbers = scenes, first[scenes.labels] + scenes.styles

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.scenes[index][0], int(self.numbers[index])


def naming_styles(start: nn.Sequential, seed: int) -> nn.Sequential:
    """A network with one score per style and a trained one's weights below them."""
    torch.manual_seed(seed)
    module = world_alexnet(sum(COUNTS))
    known = {name: value for name, value in start.state_dict().items() if not name.startswith("fc8")}
    module.load_state_dict(known, strict=False)
    return module


def by_class(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same network with one score per class: the mean of the scores of its styles."""
    last = {name: torch.stack([rows.mean(0) for rows in weights[name].split(COUNTS)]) for name in _LAST}
    return weights | last


_LAST = ("fc8.weight", "fc8.bias")


def train(out: Path, epochs: int = 20, seed: int = 0, steps: int = worldnet.EPOCH, workers: int | None = None) -> float:
    """Trains the shipped worldnet on with fresh scenes, to name their styles, and writes a self-describing file.

    Returns the share of 2000 held-out scenes whose class it names. A checkpoint beside `out` lets an interrupted
    training go on.
    """
    from . import load

    workers = worldnet.default_workers() if workers is None else workers
    recipe = Recipe(epochs, steps, rate=RATE, smoothing=0.0, seed=seed)

    def batches(epoch: int) -> Iterator:
        scenes = Styled(world.dataset(steps * worldnet.BATCH, mixed(seed, epoch, 2), worldnet.SIZE))
        for images, numbers in DataLoader(scenes, worldnet.BATCH, num_workers=workers):
            yield worldnet.fed(images), numbers

    plain = naming_styles(load("worldnet", device="cpu").module, seed)
    weights, losses = fit(plain, batches, worldnet.PIXELS, recipe, out.with_suffix(".checkpoint"), None, out.stem)
    score = 0.0

    def measure(module: nn.Module) -> str:
        nonlocal score
        score = worldnet.accuracy(module, 2000, workers=workers)
        return (
            f"cnnexplore train worldnet --styles ({recipe.text()}); accuracy on 2000 held-out scenes {score:.4f}, mean "
            f"loss of the last epoch over {sum(COUNTS)} styles {losses[-1]:.4f}"
        )

    write(by_class(weights), out, "worldnet", worldnet.PIXELS, worldnet.SIZE, world.CLASSES, measure, worldnet.build)
    return score
