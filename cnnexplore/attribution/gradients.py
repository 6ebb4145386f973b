"""What one pass back gives: gradient, input x gradient, deconvnet, guided backprop."""

from __future__ import annotations

import torch

from ..network import input_gradient
from .subject import Subject

Maps = tuple[torch.Tensor, torch.Tensor]  # raw (N, C, h, w) and map (N, H, W)


def slopes(subject: Subject, rule: str = "gradient") -> torch.Tensor:
    """The derivative of each image's number with respect to x, by a backward rule: (N, C, H, W)."""

    def response(code: torch.Tensor) -> torch.Tensor:
        if subject.scores is None:
            subject.resolve(code)
        return subject.of(code)

    return input_gradient(subject.net, subject.layer.name, subject.x, response, rule=rule, probe=subject.probe)


def strongest(raw: torch.Tensor) -> torch.Tensor:
    """The largest absolute value over a pixel's channels."""
    return raw.abs().amax(1)


def gradient(subject: Subject) -> Maps:
    """How much the score changes with each pixel: the derivative, absolute, max over channels.

    Source: Simonyan et al., Deep inside convolutional networks, 2014, section 3.1; lecture2017, equation 18.
    """
    raw = slopes(subject)
    return raw, strongest(raw)


def input_x_gradient(subject: Subject) -> Maps:
    """What each pixel adds to the score to first order, against the mean colour: x times the derivative, summed.

    Source: Shrikumar et al., Not just a black box, 2016; lecture2017, equation 17.
    """
    raw = subject.x * slopes(subject)
    return raw, raw.sum(1)


def deconvnet(subject: Subject) -> Maps:
    """The pattern that excited the unit, by the deconvnet's rule: absolute, max over channels.

    Source: Zeiler and Fergus, Visualizing and understanding convolutional networks, 2014; lecture2017, equation 12.
    """
    raw = slopes(subject, "deconvnet")
    return raw, strongest(raw)


def guided_backprop(subject: Subject) -> Maps:
    """The pattern that excited the unit, by guided backprop's rule: absolute, max over channels.

    Source: Springenberg et al., Striving for simplicity, 2015; lecture2017, equation 13.
    """
    raw = slopes(subject, "guided_backprop")
    return raw, strongest(raw)
