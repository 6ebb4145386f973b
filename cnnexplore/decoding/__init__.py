"""Filter decoding with substitution: any unit as a filter in the space of the image."""

from .activation import decode_activation
from .composition import Composition, composition
from .decoder import Decoder
from .filters import Decoding, decode, threshold
from .order import by_class, by_response, by_shape, class_means, groups, similarity
from .responses import Comparison, compare, contrast

__all__ = [
    "Comparison",
    "Composition",
    "Decoder",
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
    "similarity",
    "threshold",
]
