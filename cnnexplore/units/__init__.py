"""Units: their filters, activation maps, top patches, receptive fields and segments."""

from .detectors import Count, Word, count_detectors, intersection_over_union
from .discrepancy import DiscrepancyMaps, discrepancy_maps
from .dissect import dissect, dissect_stream
from .dissection import Dissection
from .dissection_comparison import DissectionComparison, compare_dissections
from .evolution import evolution, evolution_stream
from .evolution_result import Evolution
from .facet_result import Facets
from .facets import facet_stream, facets
from .filters import Filters, filters
from .gallery import gallery
from .gallery_result import Gallery
from .intervention import Intervention, Interventions, intervene
from .maps import ActivationMaps, activation_maps
from .minimal import MinimalImage, minimal_image
from .number_of_facets import FacetCurve
from .receptive_field import ReceptiveField, receptive_field
from .rotation import random_rotation
from .segments import UnitSegments, unit_segments
from .top import TopPatches, top_patches, top_stream
from .unit_changes import UnitChanges, unit_changes

__all__ = [
    "ActivationMaps",
    "Count",
    "DiscrepancyMaps",
    "Dissection",
    "DissectionComparison",
    "Evolution",
    "FacetCurve",
    "Facets",
    "Filters",
    "Gallery",
    "Intervention",
    "Interventions",
    "MinimalImage",
    "ReceptiveField",
    "TopPatches",
    "UnitChanges",
    "UnitSegments",
    "Word",
    "activation_maps",
    "compare_dissections",
    "count_detectors",
    "discrepancy_maps",
    "dissect",
    "dissect_stream",
    "evolution",
    "evolution_stream",
    "facet_stream",
    "facets",
    "filters",
    "gallery",
    "intersection_over_union",
    "intervene",
    "minimal_image",
    "random_rotation",
    "receptive_field",
    "top_patches",
    "top_stream",
    "unit_changes",
    "unit_segments",
]
