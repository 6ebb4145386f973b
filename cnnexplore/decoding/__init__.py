"""Filter decoding with substitution: any unit as a filter in the space of the image."""

from .filters import Decoding, decode, decode_activation
from .hierarchy import Composition, composition
from .order import by_class, by_response, by_shape, class_means, groups, similarity
from .pictures import pictures, threshold
from .responses import Comparison, compare, contrast

__all__ = [
    "Comparison",
    "Composition",
    "Decoding",
    "by_class",
    "by_response",
    "by_shape",
    "class_means",
    "compare",
    "composition",
    "contrast",
    "decode",
    "decode_activation",
    "groups",
    "pictures",
    "similarity",
    "threshold",
]
