"""The live layer: panels, and all else that needs a browser."""

from .attribution_panel import AttributionPanel
from .caricature_panel import CaricaturePanel
from .completion_panel import CompletionPanel
from .decoding_panel import DecodingPanel
from .inversion_panel import InversionPanel
from .maximize_panel import MaximizePanel
from .pathway_panel import PathwayPanel
from .style_panel import StylePanel
from .unit_grid import UnitGrid
from .unit_panel import UnitPanel
from .whole import explore

__all__ = [
    "AttributionPanel",
    "CaricaturePanel",
    "CompletionPanel",
    "DecodingPanel",
    "InversionPanel",
    "MaximizePanel",
    "PathwayPanel",
    "StylePanel",
    "UnitGrid",
    "UnitPanel",
    "explore",
]
