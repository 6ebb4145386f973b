"""Lab 6: styles."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import answers
from ..checking import Verdict, question


@question("6.2")
def factorisation_error(answer: Any) -> Verdict:
    """The length of F - W H over the length of F."""
    generator = np.random.default_rng(6)
    weights, topics = generator.random((6, 2)), generator.random((2, 5))
    noise = generator.random((6, 5))

    def literal(activations: np.ndarray, weights: np.ndarray, topics: np.ndarray) -> float:
        return float(np.linalg.norm(activations - weights @ topics) / np.linalg.norm(activations))

    cases = [
        ("activations that are sums of two topics", (weights @ topics, weights, topics)),
        ("activations with something more", (weights @ topics + noise, weights, topics)),
        ("weights of zero", (noise, 0 * weights, topics)),
    ]
    hint = "W @ H is the sum of topics for each image; subtract it from F, and divide the lengths."
    return answers.function(answer, literal, cases, hint)


@question("6.3")
def agreement_by_guessing(answer: Any, styles: Any) -> Verdict:
    """The share of scenes that have the most frequent style."""
    counts = np.bincount(np.asarray(styles))
    share = counts.max() / counts.sum()
    hint = "Whoever always says the most frequent style is right as often as that style occurs."
    praise = f"Always the same answer is right for {share:.0%}: that is what a classifier has to beat, not a third."
    return answers.number(answer, share, hint, tolerance=0.006, praise=praise)


@question("6.12")
def class_on_the_ray(answer: Any) -> Verdict:
    """The class of an activation times lambda: the largest of lambda W f + b."""
    generator = np.random.default_rng(7)
    weight, bias, f = generator.normal(size=(4, 6)), 3 * generator.normal(size=4), generator.random(6)
    cases = [(f"a scale of {scale}", (weight, bias, f, scale)) for scale in (0.0, 0.05, 1.0, 20.0)]
    hint = "The scores are W @ (scale * f) + b: the scale multiplies the activation, not b. The class is the argmax."
    praise = "At a scale of 0 only b is left, and the class is the same for every activation."
    return answers.function(
        answer, lambda w, b, x, scale: int((w @ (scale * x) + b).argmax()), cases, hint, praise=praise
    )
