"""The styles of a class: topics of its images' activations, pathways through the fully-connected layers, completion."""

from .completion import Completed, Completion, complete
from .cone import Cone, cone
from .number_of_topics import TopicCurve, topic_curve
from .patch_database import PatchDatabase
from .patch_index import MatchedPatches, PatchIndex
from .pathway import Pathway, as_pathway, pathway_weight
from .retrieval import Retrieved, retrieve
from .salient import salient_part
from .topic_importance import TopicImportance, topic_importance, topic_map
from .topic_visualization import nearest_topic, visualize_topic
from .topics import Topic, Topics, topics

__all__ = [
    "Completed",
    "Completion",
    "Cone",
    "MatchedPatches",
    "PatchDatabase",
    "PatchIndex",
    "Pathway",
    "Retrieved",
    "Topic",
    "TopicCurve",
    "TopicImportance",
    "Topics",
    "as_pathway",
    "complete",
    "cone",
    "nearest_topic",
    "pathway_weight",
    "retrieve",
    "salient_part",
    "topic_curve",
    "topic_importance",
    "topic_map",
    "topics",
    "visualize_topic",
]
