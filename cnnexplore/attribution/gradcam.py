"""Grad-CAM at any layer with a map, and its product with guided backprop."""

from __future__ import annotations

from ..errors import LayerError
from ..network import Layer, layer_with_map, layers_behind
from .cam import at_image_size
from .gradients import strongest
from .last_map import last_map, layer_gradient
from .method import AttributionMethod, Maps, Option
from .target import Target


def gradcam(target: Target, at: str | None) -> Maps:
    """A layer's channels weighted by their mean derivative, positive part; raw keeps the negative part.

    References
    ----------
    Selvaraju et al., Grad-CAM, 2017, equations 1 and 2.
    """
    if at is None:
        layer, activations, slope = last_map(target, "Grad-CAM")
    else:
        layer = _layer(target, at)
        activations, slope = layer_gradient(target, layer)
    raw = (slope.mean((2, 3), keepdim=True) * activations).sum(1)
    return Maps(raw[:, None], at_image_size(raw.clamp(min=0), layer, target))


def guided_gradcam(target: Target, at: str | None) -> Maps:
    """The product of guided backprop and Grad-CAM; absolute, max over channels.

    References
    ----------
    Selvaraju et al., Grad-CAM, 2017, section 3.2.
    """
    where = gradcam(target, at).maps
    raw = where[:, None] * target.gradient("guided_backprop")
    return Maps(raw, strongest(raw))


def _layer(target: Target, at: str) -> Layer:
    net = target.net
    layer = layer_with_map(net, at, "Grad-CAM")
    if net.layers.depth(layer) >= net.layers.depth(target.layer):
        raise LayerError(f"Grad-CAM looks at a layer before what it explains; {at} is not before {target.layer.name}.")
    if layer not in layers_behind(net, target.layer):
        raise LayerError(
            f"{target.layer.name} of {net.name} does not depend on {layer.name}, which is on another branch; Grad-CAM "
            "takes a layer that leads to what is explained, by default the last one with a map."
        )
    return layer


_AT = Option(
    "at", None, "the layer whose map is weighted; None: the last map through which the target depends on the image"
)
GRADCAM = AttributionMethod(
    "gradcam",
    gradcam,
    "Where a layer's map speaks for the class: its channels weighted by their mean derivative, positive part",
    options=(_AT,),
)
GUIDED_GRADCAM = AttributionMethod(
    "guided_gradcam",
    guided_gradcam,
    "Guided backprop where Grad-CAM is positive: their product, absolute, max over channels",
    options=(_AT,),
)
