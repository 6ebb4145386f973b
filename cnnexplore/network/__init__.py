"""Network, Layer, Pixels: from an image to the codes of named layers, run only as deep as asked."""

from .backward import RULES, backward_rule
from .bottleneck import necks
from .layers import Layer, Layers
from .network import Network
from .patched import Patched, grid
from .pixels import Pixels, fit, read_image, seen_part
from .probe import Probe
from .units import class_name, class_scores, place_of, unit_of
from .upsample import code_maps, spread

__all__ = [
    "RULES",
    "Layer",
    "Layers",
    "Network",
    "Patched",
    "Pixels",
    "Probe",
    "backward_rule",
    "class_name",
    "class_scores",
    "code_maps",
    "fit",
    "grid",
    "necks",
    "place_of",
    "read_image",
    "seen_part",
    "spread",
    "unit_of",
]
