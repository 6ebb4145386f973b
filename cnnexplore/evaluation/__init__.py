"""Scores of methods against the truth of the procedural world and of annotated photographs."""

from .measures import average_precision, field_error, iou, mass_in_mask, pointing, purity, rand_index
from .scorecard import ScoreCard, ScoreTable, crop_mask, score

__all__ = [
    "ScoreCard",
    "ScoreTable",
    "average_precision",
    "crop_mask",
    "field_error",
    "iou",
    "mass_in_mask",
    "pointing",
    "purity",
    "rand_index",
    "score",
]
