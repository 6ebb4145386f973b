"""What a class contains: its images' codes, the styles among them, and pathways through the fully-connected layers."""

from .completion import Completed, Completion, complete
from .cone import Cone, cone
from .embedding import Embedding, embed, embed_stream
from .features import Features, feature_stream, features, semantic_layer
from .matching import PatchIndex, Warp
from .patches import PatchDatabase
from .pathway import Pathway, part_weight, pathway_of
from .portrait import nearest_topic, portray
from .retrieval import Retrieved, retrieve
from .salient import salient_part
from .topics import Topic, TopicCurve, Topics, topic_curve, topics

__all__ = [
    "Completed",
    "Completion",
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
    "complete",
    "cone",
    "embed",
    "embed_stream",
    "feature_stream",
    "features",
    "nearest_topic",
    "part_weight",
    "pathway_of",
    "portray",
    "retrieve",
    "salient_part",
    "semantic_layer",
    "topic_curve",
    "topics",
]
