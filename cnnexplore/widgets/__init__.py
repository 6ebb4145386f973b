"""The live layer: one panel for each method, the explorer of all of them, and the views that they draw on."""

from .explorer import Exercise, explore
from .panels.attribution import AttributionPanel
from .panels.caricature import CaricaturePanel
from .panels.completion import CompletionPanel
from .panels.decoding import DecodingPanel
from .panels.inversion import InversionPanel
from .panels.maximization import MaximizePanel
from .panels.pathways import PathwayPanel
from .panels.styles import StylePanel
from .panels.units import UnitPanel
from .views.unit_grid import UnitGrid

__all__ = [
    "AttributionPanel",
    "CaricaturePanel",
    "CompletionPanel",
    "DecodingPanel",
    "Exercise",
    "InversionPanel",
    "MaximizePanel",
    "PathwayPanel",
    "StylePanel",
    "UnitGrid",
    "UnitPanel",
    "explore",
]
