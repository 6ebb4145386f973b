"""The live layer: panels, and all else that needs a browser."""

from .caricature_panel import CaricaturePanel
from .inversion_panel import InversionPanel
from .maximize_panel import MaximizePanel
from .unit_grid import UnitGrid
from .whole import explore

__all__ = ["CaricaturePanel", "InversionPanel", "MaximizePanel", "UnitGrid", "explore"]
