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

    def network(self, rotation: np.ndarray | None = None) -> tuple[Network, list[str]]:
        """A network with a unit for each concept that is active where the image shows it, and the units' concepts.

        The first layer measures how far a grey level is above and below the concept's; the second is positive where
        both are small. rotation: (units, units), of the second layer's units.
        """
        names = list(self.codes)
        weights = np.zeros((2 * len(names), 3)), np.zeros((len(names), 2 * len(names)))
        offsets = np.zeros(2 * len(names)), np.full(len(names), _MARGIN)
        for unit, name in enumerate(names):
            channel, level = self.codes[name]
            for row, sign in ((2 * unit, 1.0), (2 * unit + 1, -1.0)):
                weights[0][row, channel], offsets[0][row], weights[1][unit, row] = sign, -sign * level, -1.0
        if rotation is not None:
            weights, offsets = (weights[0], rotation @ weights[1]), (offsets[0], rotation @ offsets[1])
        first, second = (_convolution(*one) for one in zip(weights, offsets, strict=True))
        module = nn.Sequential(first, nn.ReLU(), second, nn.ReLU()).eval()
        size = self.scenes.size
        return Network(module, size, Pixels("RGB", mean=(0.0, 0.0, 0.0)), name="hand-made"), names


def _convolution(weight: np.ndarray, bias: np.ndarray) -> nn.Conv2d:
    """A 1 x 1 convolution."""
    found = nn.Conv2d(weight.shape[1], weight.shape[0], 1)
    found.load_state_dict(
        {"weight": torch.tensor(weight)[:, :, None, None].float(), "bias": torch.tensor(bias).float()}
    )
    return found
