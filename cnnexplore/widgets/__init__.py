"""The live layer: panels, and all else that needs a browser."""

from .inversion_panel import InversionPanel
from .whole import explore

__all__ = ["InversionPanel", "explore"]
