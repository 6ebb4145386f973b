"""Scores of methods against the truth of the procedural world and of annotated photographs."""

from .groups import facet_groups
from .inversions import image_error, measure_inversions
from .measures import average_precision, field_error, iou, mass_in_mask, pointing, purity, rand_index
from .randomization import SanityCheck, rank_correlation, sanity_check, sanity_methods, structural_similarity
from .recognition import Recognition, ranks_of, recognition
from .removal import deletion, impute, insertion, removal_order, removal_scores, road
from .scorecard import ScoreCard, ScoreTable, crop_mask, score

__all__ = [
    "Recognition",
    "SanityCheck",
    "ScoreCard",
    "ScoreTable",
    "average_precision",
    "crop_mask",
    "deletion",
    "facet_groups",
    "field_error",
    "image_error",
    "impute",
    "insertion",
    "iou",
    "mass_in_mask",
    "measure_inversions",
    "pointing",
    "purity",
    "rand_index",
    "rank_correlation",
    "ranks_of",
    "recognition",
    "removal_order",
    "removal_scores",
    "road",
    "sanity_check",
    "sanity_methods",
    "score",
    "structural_similarity",
]
