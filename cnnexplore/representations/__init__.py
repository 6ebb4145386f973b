"""Activations of many images: a cache on disk, and their embedding in a plane."""

from .embedding import Embedding, embed, embed_stream
from .features import Features, feature_stream, features, semantic_layer

__all__ = ["Embedding", "Features", "embed", "embed_stream", "feature_stream", "features", "semantic_layer"]
