"""Scores of methods against the truth of the procedural world and of annotated photographs."""

from .scorecard import score

__all__ = ["score"]
