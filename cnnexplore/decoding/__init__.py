"""Filter decoding with substitution: any unit as a filter in the space of the image."""

from .filters import Decoding, decode, decode_code

__all__ = ["Decoding", "decode", "decode_code"]
