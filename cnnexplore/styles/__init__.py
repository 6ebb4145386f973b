"""What a class contains: pathways through the fully-connected layers (intraclass2015)."""

from .pathway import Pathway, pathway_of

__all__ = ["Pathway", "pathway_of"]
