"""Photographs, digits and data sets: bundled images, folders, and annotated photographs."""

from .annotated import annotated
from .at_hand import at_hand
from .images import Images
from .pictures import digit, digits, photograph, photographs

__all__ = ["Images", "annotated", "at_hand", "digit", "digits", "photograph", "photographs"]
