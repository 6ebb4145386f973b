"""Network, Layer, Pixels: from an image to the codes of named layers, run only as deep as asked."""

from .backward import RULES, backward_rule
from .layers import Layer, Layers
from .necks import necks
from .network import Network
from .patched import Patched, grid
from .pixels import Pixels, fit, read_image
from .probe import Probe
from .spread import code_maps, spread

__all__ = [
    "RULES",
    "Layer",
    "Layers",
    "Network",
    "Patched",
    "Pixels",
    "Probe",
    "backward_rule",
    "code_maps",
    "fit",
    "grid",
    "necks",
    "read_image",
    "spread",
]
