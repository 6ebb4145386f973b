"""The world as a data set for training and for dissection."""

from __future__ import annotations

import functools

import numpy as np
import torch

from ..errors import SettingError
from .chance import folded, mix
from .classes import CLASSES, STYLES
from .paint import paint
from .plan import class_index, one_of, plan, style_index, whole
from .scene import Scene, _scene

HELD_OUT_SEED = 7_777_777  # of scenes that no embedded network was trained on


class World(torch.utils.data.Dataset):
    """n scenes; item i, which depends on (seed, i) alone, is ((3, H, W) uint8 tensor, label into `names`)."""

    def __init__(self, n, seed=0, size=96, names=None):
        self.n, self.seed, self.size = (
            whole(n, "number of scenes", 0),
            whole(seed, "seed", 0),
            whole(size, "size", 16, 1024),
        )
        if isinstance(names, str):
            raise SettingError(f"names is {names!r}, but expected a list of classes; give [{names!r}].")
        self.names = CLASSES if names is None else tuple(one_of(name, CLASSES, "class of the world") for name in names)
        if not self.names or len(set(self.names)) < len(self.names):
            raise SettingError("names must hold each class once and at least one; leave it out for all ten.")
        self._key = mix(folded(self.seed), 99)

    def __len__(self) -> int:
        return self.n

    def _seed(self, index):
        """The scene's own seed; of an array of indices, an array."""
        return mix(self._key, index)

    @functools.cached_property
    def _bits(self) -> np.ndarray:
        return mix(self._seed(np.arange(self.n, dtype=np.uint64)))

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """(n,) int64, without painting."""
        return class_index(self._bits, len(self.names)).astype(np.int64)

    @functools.cached_property
    def styles(self) -> np.ndarray:
        """(n,) int64 index into STYLES of the item's class, without painting."""
        counts = np.array([len(STYLES[name]) for name in self.names], np.uint64)
        return style_index(self._bits, counts[self.labels]).astype(np.int64)

    def _plan(self, index):
        index = int(index)
        if not -self.n <= index < self.n:
            raise IndexError(f"scene {index} is not in this data set of {self.n}; give 0 to {self.n - 1}.")
        seed = self._seed(index % self.n)
        return plan(seed, self.names[class_index(folded(seed), len(self.names))], None, self.size)

    def __getitem__(self, index) -> tuple[torch.Tensor, int]:
        todo = self._plan(index)
        picture = np.ascontiguousarray(paint(todo).picture.transpose(2, 0, 1))
        return torch.from_numpy(picture), self.names.index(todo.name)

    def scene(self, index) -> Scene:
        """The item with its ground truth."""
        return _scene(self._plan(index))

    def concepts(self, index) -> tuple[np.ndarray, dict]:
        """The item's picture, (H, W, 3) uint8, and {concept: (H, W) bool}."""
        scene = self.scene(index)
        return scene.image, scene.concepts()


def dataset(n, seed=0, size=96, names=None) -> World:
    """n scenes at size x size, the classes (all, or those in names) equally likely. Raises SettingError."""
    return World(n, seed, size, names)
