"""Scenes of the procedural world as a torch data set, for training and for dissection."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..arguments import several, text
from ..errors import SettingError
from .classes import CLASSES, STYLES
from .plan import MOST_SEED, Plan, checked_choice, checked_int, class_index, plan_scene, style_index
from .random_stream import fold_seed, mix
from .render import render
from .scene import Scene, scene_of

HELD_OUT_SEED = 7_777_777  # a data set of scenes that no embedded network was trained on


class World(torch.utils.data.Dataset):
    """Scenes as a torch data set.

    Item i is a ((3, H, W) uint8 tensor, label) pair and depends on the seed and i alone.

    Parameters
    ----------
    n : int
        The number of scenes.
    seed : int
        From 0, of at most 128 bits; different seeds give different scenes.
    size : int
        Height and width in pixels, 16 to 1024.
    names : sequence of str, optional
        The classes, equally likely (default: all of `cx.world.CLASSES`). Labels are indices into them.

    Raises
    ------
    SettingError
        If an argument is unknown or outside its range.
    """

    def __init__(self, n: int, seed: int = 0, size: int = 96, names: Sequence[str] | None = None):
        self.n, self.seed = checked_int(n, "number of scenes", 0, 100_000_000), checked_int(seed, "seed", 0, MOST_SEED)
        self.size = checked_int(size, "size", 16, 1024)
        if names is not None:
            example = [names] if isinstance(names, str) and names in CLASSES else ["church"]
            names = several(text("a class of the world"), f"a list of classes, such as {example}", 1000)("names", names)
        self.names = (
            CLASSES if names is None else tuple(checked_choice(name, CLASSES, "class of the world") for name in names)
        )
        if not self.names or len(set(self.names)) < len(self.names):
            raise SettingError("names must hold each class once and at least one; omit it for all ten.")
        self._key = mix(fold_seed(self.seed), 99)

    def __len__(self) -> int:
        return self.n

    def _seed(self, index: Any) -> Any:
        """The seed of a scene; elementwise for an array of indices."""
        return mix(self._key, index)

    @functools.cached_property
    def _bits(self) -> np.ndarray:
        """The folded seed of every scene."""
        return mix(self._seed(np.arange(self.n, dtype=np.uint64)))

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """The label of every scene, (n,) int64, computed without rendering."""
        return class_index(self._bits, len(self.names)).astype(np.int64)

    @functools.cached_property
    def styles(self) -> np.ndarray:
        """Indices into `cx.world.STYLES` of each scene's class, (n,) int64, computed without rendering."""
        counts = np.array([len(STYLES[name]) for name in self.names], np.uint64)
        return style_index(self._bits, counts[self.labels]).astype(np.int64)

    def _plan(self, index: int) -> Plan:
        index = int(index)
        if not -self.n <= index < self.n:
            raise IndexError(f"scene {index} is not in this data set of {self.n}; give 0 to {self.n - 1}.")
        seed = self._seed(index % self.n)
        return plan_scene(seed, self.names[class_index(fold_seed(seed), len(self.names))], None, self.size)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        plan = self._plan(index)
        picture = np.ascontiguousarray(render(plan).picture.transpose(2, 0, 1))
        return torch.from_numpy(picture), self.names.index(plan.name)

    def scene(self, index: int) -> Scene:
        """An item with its ground truth.

        Parameters
        ----------
        index : int
            Number of the item.

        Returns
        -------
        Scene
            The same picture as the item's.
        """
        return scene_of(self._plan(checked_int(index, "scene", -self.n, self.n - 1)))

    def concepts(self, index: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """An item's picture and the masks of its concepts.

        Parameters
        ----------
        index : int
            Number of the item.

        Returns
        -------
        tuple
            (H, W, 3) uint8, and a dict of concept, such as "part/church/dome", to (H, W) bool.
        """
        scene = self.scene(index)
        return scene.image, scene.concepts()

    def to_python(self) -> str:
        """The Python that makes this data set again."""
        size = "" if self.size == 96 else f", size={self.size}"
        names = "" if self.names == CLASSES else f", names={list(self.names)}"
        return f"cx.world.dataset({self.n}, seed={self.seed}{size}{names})"


def dataset(n: int, seed: int = 0, size: int = 96, names: Sequence[str] | None = None) -> World:
    """Make a data set of scenes.

    Parameters
    ----------
    n : int
        The number of scenes.
    seed : int
        From 0, of at most 128 bits; different seeds give different scenes.
    size : int
        Height and width in pixels, 16 to 1024.
    names : sequence of str, optional
        The classes, equally likely (default: all of `cx.world.CLASSES`).

    Returns
    -------
    World
        A torch data set of ((3, H, W) uint8 tensor, label) pairs, with the ground truth of each scene.

    Raises
    ------
    SettingError
        If an argument is unknown or outside its range.

    Examples
    --------
    >>> import cnnexplore as cx
    >>> scenes = cx.world.dataset(100, seed=1, names=["church", "boat"])
    >>> picture, label = scenes[0]
    >>> tuple(picture.shape), scenes.names[label] == scenes.scene(0).name
    ((3, 96, 96), True)
    """
    return World(n, seed, size, names)
