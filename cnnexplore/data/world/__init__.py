"""A small world of drawn things, in which everything that a network could have seen is known."""

from .classes import AXES, CLASSES, STYLES
from .dataset import World, dataset
from .scene import Scene, scene

__all__ = ["AXES", "CLASSES", "STYLES", "Scene", "World", "dataset", "scene"]
