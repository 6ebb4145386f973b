"""Which pixels: maps over an image that say where a class, or any unit, was seen."""

from .attribute import attribute, attribution_methods, attributions, options_of
from .occlusion import occlusions
from .result import Attribution
from .segment import box_of, grabcut
from .subject import Subject, subject_of

__all__ = [
    "Attribution",
    "Subject",
    "attribute",
    "attribution_methods",
    "attributions",
    "box_of",
    "grabcut",
    "occlusions",
    "options_of",
    "subject_of",
]
