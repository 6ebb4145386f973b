"""Network, Layer, Pixels: from an image to the codes of named layers, run only as deep as asked."""

from .layers import Layer, Layers
from .network import Network
from .pixels import Pixels, fit, read_image

__all__ = ["Layer", "Layers", "Network", "Pixels", "fit", "read_image"]
