"""A new attribution method in one file: the gradient of the score, blurred over a window."""

import torch.nn.functional as F

import cnnexplore as cx
from cnnexplore.attribution import AttributionMethod, Maps, Option, Target


def blurred_gradient(target: Target, radius: int, power: float) -> Maps:
    raw = target.gradient()
    size = 2 * radius + 1
    blurred = F.avg_pool2d(raw.abs().sum(1, keepdim=True), size, 1, radius, count_include_pad=False)
    return Maps(raw, blurred[:, 0] ** power)


METHOD = AttributionMethod(
    "blurred_gradient",
    blurred_gradient,
    "How much the score changes with the pixels around: the absolute derivative, averaged over a window",
    options=(
        Option("radius", 2, "half the side of the window, in pixels", slider=(1, 8), whole=True),
        Option("power", 1.0, "the exponent of the map", slider=(0.1, 10), scale="log"),
    ),
)
cx.register_attribution(METHOD)
