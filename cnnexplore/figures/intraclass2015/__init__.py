"""Figures and the table of Wei, Zhou, Torralba and Freeman, Understanding intra-class knowledge inside CNN, 2015."""

from collections.abc import Callable
from typing import Any

from . import completion, patch_prior, pathways, topic_images

FIGURES: dict[str, Callable[..., Any]] = (
    topic_images.FIGURES | pathways.FIGURES | completion.FIGURES | patch_prior.FIGURES
)
