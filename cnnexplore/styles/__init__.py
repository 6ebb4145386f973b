"""What a class contains: its images' codes, the styles among them, and pathways through the fully-connected layers."""

from .completion import Completed, Completion, complete
from .cone import Cone, cone
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
    "nearest_topic",
    "part_weight",
    "pathway_of",
    "portray",
    "retrieve",
    "salient_part",
    "topic_curve",
    "topics",
]
