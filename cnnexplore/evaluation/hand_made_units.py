"""Hand-made units with a known concept each, and scenes in which they find it: what dissection must name."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from .. import world
from ..network import Network, Pixels

_STEP = 5  # grey levels between the numbers of two concepts
_MARGIN = 2.0
CATEGORIES = ("part", "material", "colour")  # one for each channel of the image


class CodedScenes:
    """Scenes of the world in false colours: red tells the part, green the material and blue the colour of a surface.

    Parameters
    ----------
    n : int
        How many scenes.
    seed : int
        Of the scenes.
    size : int
        Height and width in pixels.

    Attributes
    ----------
    codes : dict of str to (int, int)
        Concept to the channel and the grey level that stand for it.
    """

    def __init__(self, n: int, seed: int = world.HELD_OUT_SEED, size: int = 48):
        self.scenes = world.dataset(n, seed, size)
        self.codes: dict[str, tuple[int, int]] = {}
        counts = [0, 0, 0]
        for k in range(n):
            for name in self.scenes.concepts(k)[1]:
                category = name.split("/")[0]
                if category in CATEGORIES and name not in self.codes:
                    channel = CATEGORIES.index(category)
                    counts[channel] += 1
                    if counts[channel] * _STEP < 256:
                        self.codes[name] = channel, counts[channel] * _STEP

    def __len__(self) -> int:
        return len(self.scenes)

    def concepts(self, index: int) -> tuple[np.ndarray, dict[str, Any]]:
        """A scene in false colours, and the masks of its concepts."""
        scene, masks = self.scenes.concepts(index)
        image = np.zeros_like(scene)
        for name, mask in masks.items():
            if name in self.codes:
                channel, level = self.codes[name]
                image[mask, channel] = level
        return image, masks

    def digest(self) -> str:
        """Tells these scenes from others."""
        return f"coded {self.scenes.n} {self.scenes.seed} {self.scenes.size}"

    def network(self) -> tuple[Network, list[str]]:
        """A network with a unit for each concept that is active where the image shows it, and the units' concepts.

        The first layer measures how far a grey level is above and below the concept's; the second is positive where
        both are small.
        """
        names = list(self.codes)
        first, second = nn.Conv2d(3, 2 * len(names), 1), nn.Conv2d(2 * len(names), len(names), 1)
        for weight in (first.weight, first.bias, second.weight, second.bias):
            nn.init.zeros_(weight)
        with torch.no_grad():
            for unit, name in enumerate(names):
                channel, level = self.codes[name]
                for side, sign in enumerate((1.0, -1.0)):
                    first.weight[2 * unit + side, channel] = sign
                    first.bias[2 * unit + side] = -sign * level
                    second.weight[unit, 2 * unit + side] = -1.0
            second.bias.fill_(_MARGIN)
        module = nn.Sequential(first, nn.ReLU(), second, nn.ReLU()).eval()
        size = self.scenes.size
        return Network(module, size, Pixels("RGB", mean=(0.0, 0.0, 0.0)), name="hand-made"), names
