"""A procedural world: drawn scenes of ten classes whose ground truth is known exactly."""

from .classes import AXES, CLASSES, STYLES
from .dataset import HELD_OUT_SEED, World, dataset
from .scene import Scene, scene

__all__ = ["AXES", "CLASSES", "HELD_OUT_SEED", "STYLES", "Scene", "World", "dataset", "scene"]
