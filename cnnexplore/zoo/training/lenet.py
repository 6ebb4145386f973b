"""lenet and lenet-smooth: LeNet on MNIST's digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from ...errors import ExploreError
from ...network import Pixels
from ..architectures.lenet import lenet
from .recipe import read_checkpoint, save_checkpoint, write

# Mean and standard deviation of MNIST's training pixels; white on black is inside the hard bound 2 B of this norm.
PIXELS = Pixels("grey", (33.32,), (78.57,), 128.0)
SMOOTH_PIXELS = Pixels("grey", (127.5,), (127.5,), 128.0)  # -1 to 1
# Weight decay of conv1 to conv4 of lenet-smooth. It is strong on the first two layers: with smooth filters the maximum
# of a pooling differs little from the mean, which an unpooling assumes.
DECAY = (1.5e-2, 1.5e-2, 3e-3, 3e-4)


def _mnist(root: str, train: bool, download: bool, pixels: Pixels = PIXELS) -> tuple[torch.Tensor, torch.Tensor]:
    from torchvision.datasets import MNIST

    try:
        digits = MNIST(root, train=train, download=download)
    except (RuntimeError, OSError) as error:
        raise ExploreError(
            f"MNIST was not found under {root!r} ({error}); give --data FOLDER, or --download where there is a network."
        ) from error
    x = pixels.feed(digits.data[:, None].float() - pixels.mean[0])
    return x, digits.targets


def _shifted(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The images of a batch shifted by up to two pixels each; the new pixels are background."""
    background = -PIXELS.mean[0] / PIXELS.std[0]
    padded = F.pad(x, (2, 2, 2, 2), value=background)
    dy, dx = torch.randint(0, 5, (2, len(x)), generator=generator)
    rows = dy[:, None] + torch.arange(28)
    columns = dx[:, None] + torch.arange(28)
    return padded[torch.arange(len(x))[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def accuracy(module: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of correct predictions, in evaluation mode."""
    module.eval()
    with torch.no_grad():
        right = sum(
            int((module(a).flatten(1).argmax(1) == b).sum())
            for a, b in zip(x.split(1000), labels.split(1000), strict=True)
        )
    return right / len(labels)


def _smooth(module: nn.Sequential, seed: int) -> list[dict[str, Any]]:
    """Initialise small random filters and zero biases; returns the optimiser's groups with their weight decay."""
    torch.manual_seed(seed)
    convolutions = [part for part in module if isinstance(part, nn.Conv2d)]
    for part in convolutions:
        nn.init.normal_(part.weight, 0, 0.01)
        if part.bias is not None:
            nn.init.zeros_(part.bias)
    groups: list[dict[str, Any]] = [
        {"params": part.weight, "weight_decay": k} for part, k in zip(convolutions, DECAY, strict=True)
    ]
    return [*groups, {"params": [part.bias for part in convolutions], "weight_decay": DECAY[0]}]


def train(data: str, out: Path, epochs: int = 10, seed: int = 0, download: bool = False, smooth: bool = False) -> float:
    """Train LeNet on MNIST and write a self-describing float16 file; returns the test accuracy of what was written.

    Stochastic gradient descent with momentum 0.9 and weight decay, a one-cycle rate, images shifted by up to two
    pixels. smooth: train lenet-smooth, whose decoded filters predict its units better (decoding2015, table 1): strong
    decay, small random initial filters (as MatConvNet's), no shifts. A checkpoint is written beside `out` after every
    epoch; an interrupted training is resumed from it. Raises ExploreError if MNIST is not found.
    """
    pixels = SMOOTH_PIXELS if smooth else PIXELS
    x, labels = _mnist(data, True, download, pixels)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    module = lenet()
    logits = module[:-1]
    parameters = _smooth(module, seed) if smooth else [{"params": module.parameters(), "weight_decay": 5e-4}]
    batch = 128
    steps = epochs * (len(x) // batch)
    optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=steps, pct_start=0.2)
    settings = f"lenet, smooth {smooth}, epochs {epochs}, seed {seed}, {len(x)} images, batch {batch}"
    checkpoint, parts = out.with_suffix(".checkpoint"), {"module": module, "optimizer": optimizer, "schedule": schedule}
    saved = read_checkpoint(checkpoint, settings, parts)
    done = int(saved.get("epochs", 0))
    if saved:
        generator.set_state(saved["generator"])
    with tqdm(total=steps, initial=done * (steps // epochs), desc="lenet", unit="step") as bar:
        for epoch in range(done, epochs):
            module.train()
            order = torch.randperm(len(x), generator=generator)
            for chosen in order[: len(x) // batch * batch].split(batch):
                batch_x = x[chosen] if smooth else _shifted(x[chosen], generator)
                loss = F.cross_entropy(logits(batch_x).flatten(1), labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
            bar.set_postfix(loss=f"{loss.item():.4f}")
            save_checkpoint(checkpoint, settings, parts, {"epochs": epoch + 1, "generator": generator.get_state()})
    test = _mnist(data, False, download, pixels)
    score = 0.0

    def measure(rounded: nn.Module) -> str:
        nonlocal score
        score = accuracy(rounded, *test)
        command = "cnnexplore train lenet" + (" --smooth" if smooth else "")
        return f"{command} --epochs {epochs} --seed {seed}; MNIST test accuracy {score:.4f}"

    write(module.state_dict(), out, "lenet", pixels, 28, [str(digit) for digit in range(10)], measure)
    return score
