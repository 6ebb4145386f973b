"""Lab 10: learning to invert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import answers
from ..checking import Verdict, question


@question("10.1")
def nearer_in_pixels(answer: Any, errors: Mapping[str, Mapping[str, tuple[float, float]]]) -> Verdict:
    """The layers at which the learned image is nearer to the original than the optimised one."""
    layers = [layer for layer, one in errors.items() if one["learned"][0] < one["optimised"][0]]
    hint = 'errors[layer]["learned"][0] is the image error of the learned inversion; compare it with "optimised".'
    other = [layer for layer, one in errors.items() if one["learned"][1] < one["optimised"][1]]
    praise = f"In activations it is nearer at {len(other)} of {len(errors)} layers."
    return answers.members(answer, layers, list(errors), hint, praise)


@question("10.3")
def best_single_image(answer: Any) -> Verdict:
    """The image with the smallest summed squared distance to several others: their mean."""
    generator = np.random.default_rng(11)
    cases = [
        ("two images of 2 x 2 pixels", (generator.random((2, 2, 2)),)),
        ("an image that is black and one that is white", (np.stack([np.zeros((3, 3)), np.ones((3, 3))]),)),
        ("five images of 3 x 4 pixels", (generator.random((5, 3, 4)),)),
    ]
    hint = "Set the derivative of the sum of squares to zero, for one pixel."
    praise = "The mean: an average of all images that fit, and so blurred wherever they differ."
    return answers.function(answer, lambda images: images.mean(0), cases, hint, praise=praise)


@question("10.7")
def recognised(answer: Any, found: Any) -> Verdict:
    """The share of pictures whose class is among the judge's first k."""
    generator = np.random.default_rng(12)
    cases = [
        ("ranks 1, 1, 3, 6 and k = 1", (np.array([1, 1, 3, 6]), 1)),
        ("the same ranks and k = 3", (np.array([1, 1, 3, 6]), 3)),
        ("forty ranks and k = 5", (generator.integers(1, 11, 40), 5)),
    ]
    hint = "Rank 1 is the judge's first choice, so a picture counts if its rank is at most k."
    praise = ", ".join(f"{name} {share:.0%}" for name, share in found.top(1).items())
    praise = f"The judge's first choice is the class for: {praise}."
    return answers.function(answer, lambda ranks, k: (ranks <= k).mean(), cases, hint, praise=praise)
