"""Figures and the table of Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015."""

from .of_styles import figure1, figure6

FIGURES = {"1": figure1, "6": figure6}
