"""Filter decoding with substitution: any unit as a filter in the space of the image."""

from .filters import Decoding, decode, decode_code
from .hierarchy import Made, made_of
from .order import by_class, by_response, by_shape, class_means, groups, similarity
from .pictures import pictures, threshold
from .responses import Comparison, compare, contrast

__all__ = [
    "Comparison",
    "Decoding",
    "Made",
    "by_class",
    "by_response",
    "by_shape",
    "class_means",
    "compare",
    "contrast",
    "decode",
    "decode_code",
    "groups",
    "made_of",
    "pictures",
    "similarity",
    "threshold",
]
