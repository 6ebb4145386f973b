"""Figures and the table of Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015."""

from . import of_patches, of_pathways, of_styles

FIGURES = of_styles.FIGURES | of_pathways.FIGURES | of_patches.FIGURES
