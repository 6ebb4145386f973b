"""What a class contains: its images' codes, the styles among them, and pathways through the fully-connected layers."""

from .cone import Cone, cone
from .embedding import Embedding, embed, embed_stream
from .features import Features, feature_stream, features, semantic_layer
from .pathway import Pathway, pathway_of
from .portrait import nearest_topic, portray
from .retrieval import Retrieved, retrieve
from .topics import Topic, TopicCurve, Topics, topic_curve, topics

__all__ = [
    "Cone",
    "Embedding",
    "Features",
    "Pathway",
    "Retrieved",
    "Topic",
    "TopicCurve",
    "Topics",
    "cone",
    "embed",
    "embed_stream",
    "feature_stream",
    "features",
    "nearest_topic",
    "pathway_of",
    "portray",
    "retrieve",
    "semantic_layer",
    "topic_curve",
    "topics",
]
