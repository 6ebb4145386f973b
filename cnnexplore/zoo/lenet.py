"""LeNet as MatConvNet's MNIST example has it, and the recipe that trains the embedded one."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from ..errors import ExploreError
from ..network import Pixels
from .training import write

# Mean and spread of MNIST's training pixels; norm so that white on black stays inside the hard bound 2 B.
PIXELS = Pixels("grey", (33.32,), (78.57,), 128.0)


def lenet(classes: int = 10) -> nn.Sequential:
    """20 @ 5x5, pool, 50 @ 5x5, pool, 500 @ 4x4, relu, 10 @ 1x1, softmax for 1 x 28 x 28 (decoding2015, section 4)."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 20, 5),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(20, 50, 5),
            pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(50, 500, 4),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(500, classes, 1),
            prob=nn.Softmax(1),
        )
    )


def _mnist(root: str, train: bool, download: bool) -> tuple[torch.Tensor, torch.Tensor]:
    from torchvision.datasets import MNIST

    try:
        digits = MNIST(root, train=train, download=download)
    except (RuntimeError, OSError) as error:
        raise ExploreError(
            f"MNIST was not found under {root!r} ({error}); give --data FOLDER, or --download where there is a network."
        ) from error
    x = PIXELS.feed(digits.data[:, None].float() - PIXELS.mean[0])
    return x, digits.targets


def _shifted(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The batch moved by up to two pixels, each image its own way; what comes in is background."""
    background = -PIXELS.mean[0] / PIXELS.std[0]
    padded = F.pad(x, (2, 2, 2, 2), value=background)
    dy, dx = torch.randint(0, 5, (2, len(x)), generator=generator)
    rows = dy[:, None] + torch.arange(28)
    columns = dx[:, None] + torch.arange(28)
    return padded[torch.arange(len(x))[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


def accuracy(module: nn.Module, x: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of right answers, in eval mode."""
    module.eval()
    with torch.no_grad():
        right = sum(
            int((module(a).flatten(1).argmax(1) == b).sum())
            for a, b in zip(x.split(1000), labels.split(1000), strict=True)
        )
    return right / len(labels)


def train(data: str, out: Path, epochs: int = 10, seed: int = 0, download: bool = False) -> float:
    """Trains LeNet on MNIST and writes a self-describing float16 file. Returns its test accuracy.

    Stochastic gradient with momentum 0.9 and weight decay, a one-cycle rate, images shifted by up to two pixels.
    The accuracy is that of the weights as written. Raises ExploreError if MNIST is not there.
    """
    x, labels = _mnist(data, True, download)
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    module = lenet()
    logits = module[:-1]
    batch = 128
    steps = epochs * (len(x) // batch)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4, nesterov=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=steps, pct_start=0.2)
    with tqdm(total=steps, desc="lenet", unit="step") as bar:
        for _ in range(epochs):
            module.train()
            order = torch.randperm(len(x), generator=generator)
            for chosen in order[: len(x) // batch * batch].split(batch):
                loss = F.cross_entropy(logits(_shifted(x[chosen], generator)).flatten(1), labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.update()
            bar.set_postfix(loss=f"{loss.item():.4f}")
    test = _mnist(data, False, download)
    score = 0.0

    def measure(rounded: nn.Module) -> str:
        nonlocal score
        score = accuracy(rounded, *test)
        return f"cnnexplore train lenet --epochs {epochs} --seed {seed}; MNIST test accuracy {score:.4f}"

    write(module.state_dict(), out, "lenet", PIXELS, 28, map(str, range(10)), measure, lenet)
    return score
