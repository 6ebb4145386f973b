"""What one backward pass gives: gradient, input x gradient, deconvnet, guided backprop."""

from __future__ import annotations

import torch

from .method import AttributionMethod, Maps
from .target import Target


def strongest(raw: torch.Tensor) -> torch.Tensor:
    """The largest absolute value over a pixel's channels: (N, C, H, W) -> (N, H, W)."""
    return raw.abs().amax(1)


def gradient(target: Target) -> Maps:
    """The derivative of the score with respect to x; absolute, max over channels.

    References
    ----------
    Simonyan et al., Deep inside convolutional networks, 2014, section 3.1; lecture2017, equation 18.
    """
    raw = target.gradient()
    return Maps(raw, strongest(raw))


def input_x_gradient(target: Target) -> Maps:
    """x times the derivative, summed over channels: what each pixel adds to the score to first order.

    References
    ----------
    Shrikumar et al., Not just a black box, 2016; lecture2017, equation 17.
    """
    raw = target.x * target.gradient()
    return Maps(raw, raw.sum(1))


def deconvnet(target: Target) -> Maps:
    """The deconvnet's backward pass; absolute, max over channels.

    References
    ----------
    Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014; lecture2017, equation 12.
    """
    raw = target.gradient("deconvnet")
    return Maps(raw, strongest(raw))


def guided_backprop(target: Target) -> Maps:
    """Guided backprop's backward pass; absolute, max over channels.

    References
    ----------
    Springenberg et al., Striving for simplicity, 2015; lecture2017, equation 13.
    """
    raw = target.gradient("guided_backprop")
    return Maps(raw, strongest(raw))


GRADIENT = AttributionMethod(
    "gradient", gradient, "How much the score changes with each pixel: the derivative, absolute, max over channels"
)
INPUT_X_GRADIENT = AttributionMethod(
    "input_x_gradient",
    input_x_gradient,
    "What each pixel adds to the score to first order, against the mean colour: x times the derivative, summed",
    signed=True,
)
DECONVNET = AttributionMethod(
    "deconvnet",
    deconvnet,
    "The pattern that excited the unit, by the deconvnet's rule: absolute, max over channels",
)
GUIDED_BACKPROP = AttributionMethod(
    "guided_backprop",
    guided_backprop,
    "The pattern that excited the unit, by guided backprop's rule: absolute, max over channels",
)
