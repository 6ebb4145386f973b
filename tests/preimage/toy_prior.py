"""A new prior in one file: it pulls the mean of each channel to a value. The how-to page shows it."""

from __future__ import annotations

import torch

from cnnexplore.preimage import Parameter, Prior, Scale, Values


class MeanColour(Prior):
    """weight * (mean of the canvas - level)^2 / B^2, summed over the channels."""

    name = "mean_colour"
    label = "mean colour"
    colour = "#9333ea"
    parameters = (
        Parameter("mean_weight", 0, 1e6, "log", 1, "weight of the mean colour", shown=(0.01, 1e4)),
        Parameter("mean_level", -100, 100, "linear", 0, "the mean that each channel is pulled to; 0 is the data's"),
    )

    def __call__(self, x: torch.Tensor, values: Values, scale: Scale, gradient: torch.Tensor) -> torch.Tensor:
        away = x.mean((2, 3), keepdim=True) - values.mean_level
        unit = values.mean_weight / scale.B**2
        gradient.add_(away, alpha=2 * unit / x[0, 0].numel())
        return away.square().flatten(1).sum(1) * unit
