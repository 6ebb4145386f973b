"""worldnet-styles: worldnet, trained further until fc7 separates styles; it still predicts classes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ... import world
from ..architectures.alexnet import world_alexnet
from . import worldnet
from .recipe import Batches, Recipe, fit, mixed, write

COUNTS = [len(world.STYLES[name]) for name in world.CLASSES]
# Parts of the training: epochs, rate, and the classes of half of the scenes, where styles differ by few pixels.
PARTS: tuple[tuple[int, float, tuple[str, ...]], ...] = (
    (20, 0.04, ()),
    (8, 0.02, ("fish",)),
    (5, 0.02, ("car", "fish")),
    (6, 0.02, ("fish",)),
)


class Styled(Dataset):
    """Scenes labelled by style: each style of each class has its own number."""

    def __init__(self, scenes: world.World):
        first = dict(zip(world.CLASSES, np.cumsum([0, *COUNTS[:-1]]), strict=True))
        of_class = np.array([first[name] for name in scenes.names])
        self.scenes, self.numbers = scenes, of_class[scenes.labels] + scenes.styles

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.scenes[index][0], int(self.numbers[index])


def style_classifier(known: dict[str, torch.Tensor], seed: int) -> nn.Sequential:
    """A network with one score per style; known weights are taken where they fit."""
    torch.manual_seed(seed)
    module = world_alexnet(sum(COUNTS))
    fits = {name: value for name, value in known.items() if value.shape == module.state_dict()[name].shape}
    module.load_state_dict(fits, strict=False)
    return module


def by_class(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights with one score per class: the mean of the scores of its styles."""
    last = {name: torch.stack([rows.mean(0) for rows in weights[name].split(COUNTS)]) for name in _LAST}
    return weights | last


_LAST = ("fc8.weight", "fc8.bias")


def batches_of(seed: int, part: int, steps: int, workers: int) -> Batches:
    """New scenes of an epoch, labelled by style; in some parts, half of them are of the hard classes."""
    kinds = [names for names in (None, PARTS[part][2]) if names != ()]

    def batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        size, sets = worldnet.BATCH // len(kinds), []
        for n, names in enumerate(kinds):
            sets.append(Styled(world.dataset(steps * size, mixed(seed, epoch, 2 + part + n), worldnet.SIZE, names)))
        for some in zip(*(DataLoader(one, size, num_workers=workers) for one in sets), strict=True):
            images, numbers = (torch.cat(values) for values in zip(*some, strict=True))
            yield worldnet.fed(images), numbers

    return batches


def train(
    out: Path, epochs: int | None = None, seed: int = 0, steps: int = worldnet.EPOCH, workers: int | None = None
) -> float:
    """Train the embedded worldnet further to classify the styles of new scenes, and write a self-describing file.

    epochs: of each part (default: as in PARTS). Returns the accuracy of the classes on 2000 held-out scenes. An
    interrupted training is resumed from checkpoints beside `out`.
    """
    from ..catalogue import load

    workers = worldnet.default_workers() if workers is None else workers
    weights = load("worldnet", device="cpu").module.state_dict()
    recipes: list[str] = []
    losses: list[float] = []
    for part, (length, rate, _) in enumerate(PARTS):
        recipe = Recipe(epochs or length, steps, rate=rate, smoothing=0.0, seed=seed)
        batches, kept = batches_of(seed, part, steps, workers), out.with_suffix(f".{part + 1}.checkpoint")
        weights, losses = fit(style_classifier(weights, seed), batches, worldnet.PIXELS, recipe, kept, None, out.stem)
        recipes.append(recipe.text())
    score = 0.0

    def measure(module: nn.Module) -> str:
        nonlocal score
        score = worldnet.accuracy(module, 2000, workers=workers)
        return (
            f"cnnexplore train worldnet --styles ({'; then '.join(recipes)}); accuracy on 2000 held-out scenes "
            f"{score:.4f}, mean loss of the last epoch over {sum(COUNTS)} styles {losses[-1]:.4f}"
        )

    write(by_class(weights), out, "worldnet", worldnet.PIXELS, worldnet.SIZE, world.CLASSES, measure)
    return score
