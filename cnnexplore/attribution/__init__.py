"""Attribution: maps over the pixels of an image that say what a class score, or any unit's response, depends on."""

from .attribute import attribute, attribute_stream
from .method import (
    AttributionMethod,
    Maps,
    Option,
    attribution_methods,
    find_method,
)
from .registration import register_attribution, unregister_attribution
from .result import Attribution
from .segment import box_of, grabcut
from .target import Target, resolve_target

__all__ = [
    "Attribution",
    "AttributionMethod",
    "Maps",
    "Option",
    "Target",
    "attribute",
    "attribute_stream",
    "attribution_methods",
    "box_of",
    "find_method",
    "grabcut",
    "register_attribution",
    "resolve_target",
    "unregister_attribution",
]
