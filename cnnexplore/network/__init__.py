"""Network, Layer, Pixels: a module's named layers, their activations, and the gradients of their units."""

from .backward import RULES, backward_rule
from .bottleneck import bottleneck_layers
from .dependence import dependent_positions, rounding
from .gradient_flow import derivative, pass_with_gradient
from .gradients import input_gradient, unit_gradient
from .images import centre_crop, crop_and_resize, read_image
from .layers import Layer, Layers
from .network import Network
from .patched_activations import PatchedActivations, window_grid
from .pixels import Pixels
from .probe import Probe
from .units import (
    class_score_layer,
    features_layer,
    hands_values_on,
    has_class_units,
    last_map_layer,
    layer_with_map,
    layers_behind,
    resolve_position,
    resolve_unit,
    resolve_units,
    scores_if_any,
    unit_name,
)
from .upsample import as_maps, from_maps, places_between_centres, upsample

__all__ = [
    "RULES",
    "Layer",
    "Layers",
    "Network",
    "PatchedActivations",
    "Pixels",
    "Probe",
    "as_maps",
    "backward_rule",
    "bottleneck_layers",
    "centre_crop",
    "class_score_layer",
    "crop_and_resize",
    "dependent_positions",
    "derivative",
    "features_layer",
    "from_maps",
    "hands_values_on",
    "has_class_units",
    "input_gradient",
    "last_map_layer",
    "layer_with_map",
    "layers_behind",
    "pass_with_gradient",
    "places_between_centres",
    "read_image",
    "resolve_position",
    "resolve_unit",
    "resolve_units",
    "rounding",
    "scores_if_any",
    "unit_gradient",
    "unit_name",
    "upsample",
    "window_grid",
]
