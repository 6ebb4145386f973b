"""Images: bundled photographs and digits, folders, data sets, and annotated photographs."""

from .annotated import annotated
from .images import Images
from .pictures import bundled_images, digit, digits, photograph, photographs

__all__ = ["Images", "annotated", "bundled_images", "digit", "digits", "photograph", "photographs"]
