"""Pictures that are always at hand, the procedural world with its ground truth, and the scores against it."""

from . import world
from .annotated import annotated
from .at_hand import at_hand
from .images import Images
from .pictures import digit, digits, photograph, photographs
from .scorecard import score
from .world import scene

__all__ = ["Images", "annotated", "at_hand", "digit", "digits", "photograph", "photographs", "scene", "score", "world"]
