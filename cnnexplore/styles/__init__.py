"""What a class contains: its images' codes, the styles among them, and pictures of the like."""

from .cone import Cone, cone
from .embedding import Embedding, embed
from .features import Features, feature_stream, features, semantic_layer
from .retrieval import Retrieved, retrieve
from .topics import TopicCurve, Topics, topic_curve, topics

__all__ = [
    "Cone",
    "Embedding",
    "Features",
    "Retrieved",
    "TopicCurve",
    "Topics",
    "cone",
    "embed",
    "feature_stream",
    "features",
    "retrieve",
    "semantic_layer",
    "topic_curve",
    "topics",
]
