"""What a class contains: pathways through the fully-connected layers, and completion (intraclass2015)."""

from .completion import Completed, Completion, complete
from .pathway import Pathway, pathway_of
from .salient import salient_part

__all__ = ["Completed", "Completion", "Pathway", "complete", "pathway_of", "salient_part"]
