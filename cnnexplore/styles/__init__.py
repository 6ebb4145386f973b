"""The styles of a class: topics of its images' activations, pathways through the fully-connected layers, completion."""

from .completion import Completed, Completion, complete
from .cone import Cone, cone
from .matching import PatchIndex, Warp
from .number_of_topics import TopicCurve, topic_curve
from .patches import PatchDatabase
from .pathway import Pathway, as_pathway, pathway_weight
from .retrieval import Retrieved, retrieve
from .salient import salient_part
from .topic_visualization import nearest_topic, visualize_topic
from .topics import Topic, Topics, topics

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
    "as_pathway",
    "complete",
    "cone",
    "nearest_topic",
    "pathway_weight",
    "retrieve",
    "salient_part",
    "topic_curve",
    "topics",
    "visualize_topic",
]
