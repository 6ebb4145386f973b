"""The explorer: one network, image, layer and unit, and all questions about them, on one screen."""

from .exercise import Exercise
from .explorer import Explorer, explore
from .questions import QUESTIONS

__all__ = ["QUESTIONS", "Exercise", "Explorer", "explore"]
