"""Figures of Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015."""

from . import of_pathways

FIGURES = {**of_pathways.FIGURES}
