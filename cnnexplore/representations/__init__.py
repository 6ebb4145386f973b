"""Activations of many images: a cache on disk, their embedding in a plane, and nearest neighbours."""

from .embedding import Embedding, embed, embed_stream
from .features import Features, feature_stream, features
from .neighbours import Neighbours, neighbours

__all__ = [
    "Embedding",
    "Features",
    "Neighbours",
    "embed",
    "embed_stream",
    "feature_stream",
    "features",
    "neighbours",
]
