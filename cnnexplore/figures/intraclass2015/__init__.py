"""Figures and tables of Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015."""

from .of_patches import FIGURES as _PATCHES

FIGURES = {**_PATCHES}
