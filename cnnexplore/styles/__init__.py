"""What a class contains: its images' codes, the styles among them, and pathways through the fully-connected layers."""

from .cone import Cone, cone
from .embedding import Embedding, embed
from .features import Features, feature_stream, features, semantic_layer
from .matching import PatchIndex, Warp
from .patches import PatchDatabase
from .pathway import Pathway, pathway_of
from .retrieval import Retrieved, retrieve
from .topics import Topic, TopicCurve, Topics, topic_curve, topics

__all__ = [
    "Cone",
    "Embedding",
    "Features",
    "PatchDatabase",
    "PatchIndex",
    "Pathway",
    "Retrieved",
    "Topic",
    "TopicCurve",
    "Topics",
    "Warp",
    "cone",
    "embed",
    "feature_stream",
    "features",
    "pathway_of",
    "retrieve",
    "semantic_layer",
    "topic_curve",
    "topics",
]
