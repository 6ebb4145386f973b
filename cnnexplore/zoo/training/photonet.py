"""photonet and photonet-robust: a narrow AlexNet on the ten classes of Imagenette, at 128 x 128."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from tqdm.auto import tqdm

from ...errors import ExploreError
from ...network import Pixels, crop_and_resize, read_image
from ..architectures.alexnet import photo_alexnet
from .recipe import Recipe, fit, mixed, write

SIZE = 128
STORED = 160
BATCH = 64
# ImageNet's mean colour; one std for all channels, so that distances are proportional to those in 0..255.
PIXELS = Pixels("RGB", (123.7, 116.3, 103.5), (58.0, 58.0, 58.0))
LABELS = (
    "tench", "English springer", "cassette player", "chain saw", "church",
    "French horn", "garbage truck", "gas pump", "golf ball", "parachute",
)  # fmt: skip


def photographs(root: str, split: str, download: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """All photographs of a split of Imagenette: the central square of each, (N, 160, 160, 3) uint8, and labels (N,)."""
    from torchvision.datasets import Imagenette

    try:
        found = Imagenette(root, split=split, size="160px", download=download)
    except (RuntimeError, OSError) as error:
        raise ExploreError(
            f"Imagenette (160 px) was not found under {root!r} ({error}); give --data FOLDER, or --download where "
            "there is a network."
        ) from error
    images = np.empty((len(found), STORED, STORED, 3), np.uint8)
    labels = np.empty(len(found), np.int64)
    for k in tqdm(range(len(found)), desc=f"Imagenette, {split}", unit="image", leave=False):
        image, labels[k] = found[k]
        images[k] = np.asarray(_central_square(image))
    return images, labels


def _central_square(image: Image.Image) -> Image.Image:
    """The largest central square, at the stored size."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.resize((STORED, STORED), Image.Resampling.BICUBIC, (left, top, left + side, top + side))


def varied(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Augmentation: random crops, small rotations, mirror images, changes of contrast and colour.

    images: (N, 3, 160, 160) in 0..255; returns (N, 3, 128, 128). All geometric changes are one sampling grid.
    """
    n = len(images)

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, generator=generator)

    area, aspect, angle = uniform(0.4, 1.0), uniform(-0.2, 0.2).exp(), uniform(-0.15, 0.15)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, -1.0, 1.0)
    wide, high = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    x, y = uniform(-1, 1) * (1 - wide), uniform(-1, 1) * (1 - high)
    cos, sin = angle.cos(), angle.sin()
    theta = torch.stack([mirror * wide * cos, -high * sin, x, mirror * wide * sin, high * cos, y], 1).view(n, 2, 3)
    grid = F.affine_grid(theta, [n, 3, SIZE, SIZE], align_corners=False)
    out = F.grid_sample(images, grid, "bilinear", "reflection", align_corners=False)
    contrast, light, tint = uniform(0.7, 1.3), uniform(-30, 30), 12 * torch.randn(n, 3, generator=generator)
    middle = out.mean((1, 2, 3))
    out = (out - middle.view(n, 1, 1, 1)) * contrast.view(n, 1, 1, 1) + (middle + light).view(n, 1, 1, 1)
    return (out + tint.view(n, 3, 1, 1)).clamp_(0, 255)


def train(
    data: str,
    out: Path,
    robust: bool = False,
    epochs: int = 20,
    seed: int = 0,
    download: bool = False,
    eps: float = 1.5,
) -> float:
    """Train photonet, or photonet-robust against L2 attacks, and write a self-describing float16 file.

    Returns the validation accuracy of the weights as written. A checkpoint is written beside `out` after every epoch;
    an interrupted training is resumed from it. Raises ExploreError if Imagenette is not found.
    """
    images, labels = photographs(data, "train", download)
    recipe = Recipe(epochs, len(images) // BATCH, seed=seed, eps=eps if robust else 0.0)
    mean = torch.tensor(PIXELS.mean).view(-1, 1, 1)

    def batches(epoch: int) -> Iterator:
        generator = torch.Generator().manual_seed(mixed(seed, epoch, 2))
        order = torch.randperm(len(images), generator=generator).numpy()
        for chosen in np.array_split(order[: recipe.steps * BATCH], recipe.steps):
            x = torch.from_numpy(images[chosen]).permute(0, 3, 1, 2).float()
            yield PIXELS.feed(varied(x, generator) - mean), torch.from_numpy(labels[chosen])

    torch.manual_seed(seed)
    name = "photonet-robust" if robust else "photonet"
    weights, losses = fit(
        photo_alexnet(len(LABELS)), batches, PIXELS, recipe, out.with_suffix(".checkpoint"), label=name
    )
    test = photographs(data, "val", download)
    score = 0.0

    def measure(module: torch.nn.Module) -> str:
        nonlocal score
        score = accuracy(module, *test)
        command = "cnnexplore train photonet" + (" --robust" if robust else "")
        return (
            f"{command} ({recipe.text()}); Imagenette validation accuracy {score:.4f}, mean loss of the last epoch "
            f"{losses[-1]:.4f}"
        )

    write(weights, out, "photonet", PIXELS, SIZE, LABELS, measure)
    return score


def accuracy(module: torch.nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of photographs (N, 160, 160, 3) that the network classifies correctly, fed as by `cx.load`."""
    right = 0
    with torch.no_grad():
        for k in range(0, len(images), 100):
            x = torch.stack([crop_and_resize(read_image(image), (SIZE, SIZE)) for image in images[k : k + 100]])
            right += int((module(PIXELS.feed(PIXELS.encode(x))).argmax(1).numpy() == labels[k : k + 100]).sum())
    return right / len(labels)
