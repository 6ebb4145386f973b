"""Images: bundled photographs and digits, folders, data sets, and annotated photographs."""

from .annotated import annotated
from .concepts import ConceptData
from .images import Images
from .pictures import bundled_images, digit, digits, photograph, photographs

__all__ = ["ConceptData", "Images", "annotated", "bundled_images", "digit", "digits", "photograph", "photographs"]
