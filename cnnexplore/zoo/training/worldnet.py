"""worldnet and worldnet-robust: a narrow AlexNet on scenes of the procedural world, at 96 x 96."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from ... import world
from ...network import Pixels
from ..architectures.alexnet import world_alexnet
from ..readers.checkpoints import write_convolutions
from .recipe import Recipe, fit, folded, mixed, write

SIZE = 96
BATCH = 64
EPOCH = 96  # batches of an epoch, after which a checkpoint is written
PIXELS = Pixels("RGB", (137.0, 137.0, 123.0), (60.0, 60.0, 60.0))  # rounded statistics of 300 scenes
KEPT = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # steps whose filters ship with the package


def fed(images: torch.Tensor) -> torch.Tensor:
    """Images (N, 3, H, W) in 0..255 as the network's input."""
    return PIXELS.feed(PIXELS.encode(images.float()))


def default_workers() -> int:
    """The number of processes that draw scenes."""
    return max(0, min(4, (os.cpu_count() or 1) - 1))


def _loader(n: int, seed: int, workers: int | None = None) -> DataLoader:
    workers = default_workers() if workers is None else workers
    return DataLoader(world.dataset(n, seed, SIZE), BATCH, num_workers=workers, prefetch_factor=8 if workers else None)


def train(
    out: Path,
    robust: bool = False,
    epochs: int = 15,
    seed: int = 0,
    eps: float = 1.5,
    checkpoints: Path | None = None,
    steps: int = EPOCH,
    workers: int | None = None,
) -> float:
    """Train worldnet, or worldnet-robust against L2 attacks, on new scenes and write a self-describing file.

    Returns the accuracy on 2000 held-out scenes. An interrupted training is resumed from a checkpoint beside `out`.
    checkpoints: a folder for the complete networks of the steps in KEPT; their convolutions are also written into one
    small file beside `out`, for views of the filters' evolution.
    """
    recipe = Recipe(epochs, steps, seed=seed, eps=eps if robust else 0.0)

    def batches(epoch: int) -> Iterator:
        for images, labels in _loader(steps * BATCH, mixed(seed, epoch), workers):
            yield fed(images), labels

    name = "worldnet-robust" if robust else "worldnet"
    write_checkpoint = _checkpoint_writer(out.with_name(f"{out.stem}-history.safetensors"), recipe, name, checkpoints)
    torch.manual_seed(seed)
    weights, losses = fit(
        world_alexnet(len(world.CLASSES)),
        batches,
        PIXELS,
        recipe,
        out.with_suffix(".checkpoint"),
        write_checkpoint,
        name,
    )
    score = 0.0

    def measure(module: nn.Module) -> str:
        nonlocal score
        score = accuracy(module, 2000, workers=workers)
        command = "cnnexplore train worldnet" + (" --robust" if robust else "")
        return (
            f"{command} ({recipe.text()}); accuracy on 2000 held-out scenes {score:.4f}, mean loss of the last epoch "
            f"{losses[-1]:.4f}"
        )

    write(weights, out, "worldnet", PIXELS, SIZE, world.CLASSES, measure)
    return score


def accuracy(module: nn.Module, n: int, seed: int = world.HELD_OUT_SEED, workers: int | None = None) -> float:
    """The share of n scenes that the network classifies correctly."""
    with torch.no_grad():
        right = sum(int((module(fed(x)).argmax(1) == labels).sum()) for x, labels in _loader(n, seed, workers))
    return right / n


def _checkpoint_writer(
    out: Path, recipe: Recipe, name: str, folder: Path | None
) -> Callable[[int, nn.Sequential], None] | None:
    """A callback that writes the networks of the steps in KEPT to a folder, and their convolutions to one file."""
    if folder is None:
        return None

    def write_checkpoint(step: int, trained: nn.Sequential) -> None:
        if step not in KEPT:
            return
        weights = folded(copy.deepcopy(trained).cpu())
        file = folder / f"{name}-{step}.safetensors"
        source = f"{name} after {step} steps ({recipe.text()})"
        write(weights, file, "worldnet", PIXELS, SIZE, world.CLASSES, lambda module: source)
        if step == max(KEPT):
            write_convolutions({k: folder / f"{name}-{k}.safetensors" for k in KEPT}, out)

    return write_checkpoint
