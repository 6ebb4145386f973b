"""Lab 4: receptive fields."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import answers
from ..checking import Verdict, question


def _field_sizes(layers: list[tuple[int, int]]) -> list[int]:
    """The receptive field after each layer of (kernel, stride), in pixels, along one axis."""
    sizes, field, step = [], 1, 1
    for kernel, stride in layers:
        field, step = field + (kernel - 1) * step, step * stride
        sizes.append(field)
    return sizes


@question("4.1")
def field_sizes(answer: Any) -> Verdict:
    """The rule by which the theoretical field grows, layer by layer."""
    cases = [
        ("one convolution of 7 with stride 2", ([(7, 2)],)),
        ("three convolutions of 3", ([(3, 1)] * 3,)),
        ("the layers conv1, pool1, conv2, pool2 of worldnet", ([(7, 2), (3, 2), (5, 1), (3, 2)],)),
        ("a stride in the last layer only", ([(5, 1), (2, 2)],)),
    ]
    hint = "A layer adds (kernel - 1) steps of the layer below; its own stride only counts for the layers above it."
    return answers.function(answer, _field_sizes, cases, hint)


def _paths(depth: int) -> np.ndarray:
    found = np.ones(1)
    for _ in range(depth):
        found = np.convolve(found, np.ones(3))
    return found


@question("4.4")
def paths(answer: Any) -> Verdict:
    """The number of paths from each pixel of its field to a unit above convolutions of three positions."""
    cases = [(f"{depth} convolution{'s' * (depth > 1)} of 3", (depth,)) for depth in (1, 2, 3, 6)]
    hint = "A pixel reaches three units of the next layer; add up the paths that arrive at each position."
    praise = "The counts approach a Gaussian: most of the field is connected by few paths, so its effect is small."
    return answers.function(answer, _paths, cases, hint, praise=praise)


@question("4.7")
def segments_left(answer: Any, result: Any) -> Verdict:
    """How many segments of a minimal image are left."""
    left = int(result.segments.max()) + 1 - len(result.removed)
    hint = "result.segments numbers the segments of the image from 0; result.removed lists those that were removed."
    praise = f"{left} segments, {result.mask.mean():.0%} of the pixels, are enough for {result.label}."
    return answers.number(answer, left, hint, praise=praise)
