"""Pictures of Stella Yu, On visualizing and understanding CNN (lecture, UC Berkeley, 2017), on any network."""

from collections.abc import Callable
from typing import Any

from .class_pixels import cams, class_model, minimal, occlusion, rules, saliency, saliency_segments
from .dissection import axis_alignment, dissection, silenced, training_detectors, unique_detectors
from .evolution import through_finetuning, through_training
from .facets import facet_pictures
from .filters_and_activations import activations, deeper_filters, filters, nearest, top9
from .generator import generator
from .inverters import inverters
from .receptive_fields import field_segments, fields

FIGURES: dict[str, Callable[..., Any]] = {
    "filters": filters, "deeper-filters": deeper_filters, "activations": activations, "neighbours": nearest,
    "top9": top9, "rules": rules, "evolution": through_training, "class-model": class_model, "saliency": saliency,
    "saliency-segments": saliency_segments, "cams": cams, "occlusion": occlusion, "minimal": minimal,
    "inverters": inverters, "generator": generator, "fields": fields, "field-segments": field_segments,
    "facets": facet_pictures, "fine-tuning": through_finetuning,
    "dissection": dissection, "unique-detectors": unique_detectors, "axis-alignment": axis_alignment,
    "training-detectors": training_detectors, "silenced": silenced,
}  # fmt: skip
