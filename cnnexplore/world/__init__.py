"""A small world of drawn things, in which everything that a network could have seen is known."""

from .classes import AXES, CLASSES, STYLES
from .dataset import HELD_OUT_SEED, World, dataset
from .scene import Scene, scene

__all__ = ["AXES", "CLASSES", "HELD_OUT_SEED", "STYLES", "Scene", "World", "dataset", "scene"]
