"""Images: bundled photographs and digits, folders, data sets, and annotated photographs."""

from .annotated import annotated
from .concept_folder import concept_images
from .concept_images import ConceptImages
from .concepts import ConceptData
from .images import Images
from .pictures import bundled_images, digit, digits, photograph, photographs

__all__ = [
    "ConceptData",
    "ConceptImages",
    "Images",
    "annotated",
    "bundled_images",
    "concept_images",
    "digit",
    "digits",
    "photograph",
    "photographs",
]
