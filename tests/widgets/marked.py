"""A network, images and a data set whose every text is markup, a formula, or a character that cannot be drawn."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

import cnnexplore as cx
from cnnexplore.generators import Decoder, Inverter, plan_for, weights_digest

SCRIPT = "window.cxScript=1"
IMAGE = f'<img src=x onerror="{SCRIPT}">'
BOLD = f"<b onmouseover='{SCRIPT}'>bold</b>"
FORMULA, MONEY, BROKEN, NUL = "$x^{", "US$5 and US$6", "two\nlines", "nul\x00end"
TEXTS = (IMAGE, BOLD, FORMULA, MONEY, BROKEN, NUL)
LABELS = [*TEXTS, f"<script>{SCRIPT}</script>", "\\alpha_{$", "plain"]
STATISTICS = {"mean": 0.5, "deviation": 1.0, "lower": 0.0, "upper": 3.0}
Marked = type(IMAGE, (nn.Conv2d,), {})  # the kind of a layer is the name of its class


def network() -> cx.Network:
    """An AlexNet of 32 x 32 pixels with such names."""
    parts = [
        (f"conv {IMAGE}", Marked(3, 8, 5, padding=2)),
        (f"relu {FORMULA}", nn.ReLU()),
        (f"pool {MONEY}", nn.MaxPool2d(4)),
        (f"conv {BROKEN}", nn.Conv2d(8, 8, 3, padding=1)),
        (f"relu {NUL}", nn.ReLU()),
        (f"pool {IMAGE}", nn.MaxPool2d(2)),
        ("flat", nn.Flatten()),
        (f"fc6 {IMAGE}", nn.Linear(128, 16)),
        ("relu6", nn.ReLU()),
        (f"fc7 {FORMULA}", nn.Linear(16, 16)),
        ("relu7", nn.ReLU()),
        (f"fc8 {MONEY}", nn.Linear(16, len(LABELS))),
    ]
    parts = [(name.replace(".", "·").replace("/", "÷"), part) for name, part in parts]
    return cx.Network(nn.Sequential(OrderedDict(parts)), size=(32, 32), labels=LABELS, name=f"net {IMAGE} {FORMULA}")


def images(count: int = 3) -> dict[str, np.ndarray]:
    """Images by such names."""
    random = np.random.default_rng(0)
    return {f"{text} {k}": random.integers(0, 256, (32, 32, 3), np.uint8) for k, text in enumerate(TEXTS[:count])}


class Concepts:
    """Images with masks of concepts with such names, in categories with such names."""

    def __init__(self, count: int = 6):
        self.pictures = list(images(count).values())

    def __len__(self) -> int:
        return len(self.pictures)

    def concepts(self, index: int):
        dark = self.pictures[index].mean(2) < 110
        names = [text.replace("/", "÷") for text in TEXTS]
        return self.pictures[index], {
            f"{one}/{two}": dark for one, two in zip(names, [*names[1:], names[0]], strict=True)
        }


def inverter(net: cx.Network) -> Inverter:
    """An untrained generator of such a network, from its layer relu6."""
    decoder = Decoder(plan_for(16, (1, 1), (3, 32, 32), width=4, hidden=12, slope=0.3)).eval().requires_grad_(False)
    statistics = {name: torch.full((16,), value) for name, value in STATISTICS.items()}
    return Inverter(decoder, net.name, weights_digest(net), "relu6", "adversarial", net.pixels, statistics)


def folder(where: Path) -> Path:
    """A folder of classes with such names, 8 images each, themselves named like that, with such a text inside."""
    from PIL.PngImagePlugin import PngInfo

    random, inside = np.random.default_rng(1), PngInfo()
    inside.add_text("cnnexplore", IMAGE)
    for text in (f"<img src=x onerror={SCRIPT}>", FORMULA, MONEY, BROKEN):
        (where / text).mkdir(parents=True, exist_ok=True)
        for k in range(8):
            picture = Image.fromarray(random.integers(0, 256, (32, 32, 3), np.uint8))
            picture.save(where / text / f"{text} {k}.png", pnginfo=inside)
    return where
