"""Units: their filters, activation maps, top patches, receptive fields and segments."""

from .discrepancy import DiscrepancyMaps, discrepancy_maps
from .facets import Facets, facet_stream, facets
from .filters import Filters, filters
from .maps import ActivationMaps, activation_maps
from .minimal import MinimalImage, minimal_image
from .number_of_facets import FacetCurve
from .receptive_field import ReceptiveField, receptive_field
from .segments import UnitSegments, unit_segments
from .top import TopPatches, top_patches, top_stream

__all__ = [
    "ActivationMaps",
    "DiscrepancyMaps",
    "FacetCurve",
    "Facets",
    "Filters",
    "MinimalImage",
    "ReceptiveField",
    "TopPatches",
    "UnitSegments",
    "activation_maps",
    "discrepancy_maps",
    "facet_stream",
    "facets",
    "filters",
    "minimal_image",
    "receptive_field",
    "top_patches",
    "top_stream",
    "unit_segments",
]
