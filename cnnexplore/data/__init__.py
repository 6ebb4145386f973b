"""Pictures that are always at hand, the procedural world with its ground truth, and the scores against it."""

from . import world
from .pictures import digit, digits, photograph, photographs
from .scorecard import score
from .world import scene

__all__ = ["digit", "digits", "photograph", "photographs", "scene", "score", "world"]
