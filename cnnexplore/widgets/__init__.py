"""The live layer: panels, and all else that needs a browser."""

from .attribution_panel import AttributionPanel
from .caricature_panel import CaricaturePanel
from .decoding_panel import DecodingPanel
from .inversion_panel import InversionPanel
from .maximize_panel import MaximizePanel
from .style_panel import StylePanel
from .unit_grid import UnitGrid
from .unit_panel import UnitPanel
from .whole import explore

__all__ = [
    "AttributionPanel",
    "CaricaturePanel",
    "DecodingPanel",
    "InversionPanel",
    "MaximizePanel",
    "StylePanel",
    "UnitGrid",
    "UnitPanel",
    "explore",
]
