"""Grad-CAM at any layer with a map, and its product with guided backprop."""

from __future__ import annotations

from ..errors import LayerError
from ..network import Layer, last_map_layer, layer_with_map
from .cam import at_layer, upsampled
from .gradients import Maps, slopes, strongest
from .subject import Subject


def gradcam(subject: Subject, at: str | None = None) -> Maps:
    """Where a layer's map speaks for the class: its channels weighed by their mean derivative, positive part.

    at: the layer (default: the last one with a map). raw is the weighed map (1, h, w) before its negative part is cut.
    Raises LayerError, LayerNotFound. Source: Selvaraju et al., Grad-CAM, 2017, equations 1 and 2.
    """
    layer = _layer(subject, at)
    code, slope = at_layer(subject, layer)
    raw = (slope.mean((2, 3), keepdim=True) * code).sum(1)
    return raw[:, None], upsampled(raw.clamp(min=0), layer, subject)


def guided_gradcam(subject: Subject, at: str | None = None) -> Maps:
    """Guided backprop where Grad-CAM is positive: their product, absolute, max over channels.

    at: as for Grad-CAM. Source: Selvaraju et al., Grad-CAM, 2017, section 3.2.
    """
    _, where = gradcam(subject, at)
    raw = where[:, None] * slopes(subject, "guided_backprop")
    return raw, strongest(raw)


def _layer(subject: Subject, at: str | None) -> Layer:
    net = subject.net
    if at is None:
        return last_map_layer(net, subject.layer, "Grad-CAM")
    layer = layer_with_map(net, at, "Grad-CAM")
    if net.layers.depth(layer) >= net.layers.depth(subject.layer):
        raise LayerError(f"Grad-CAM looks at a layer before what it explains; {at} is not before {subject.layer.name}.")
    return layer
