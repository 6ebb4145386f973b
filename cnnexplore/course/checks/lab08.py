"""Lab 8: completing images."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import answers
from ..checking import Verdict, question


@question("8.1")
def changed_outside(answer: Any, before: Any, result: Any) -> Verdict:
    """The number of pixels outside the mask whose colour changed."""
    changed = int((np.asarray(result.picture) != np.asarray(before)).any(2)[~result.mask].sum())
    hint = "A pixel has changed if any of its three colours has; ~result.mask is True outside the hole."
    return answers.number(answer, changed, hint, praise=f"{changed} pixels: outside the hole the picture is the scene.")


@question("8.2")
def suggested_class(answer: Any, result: Any, labels: Any) -> Verdict:
    """The class that a completion without a target inserted."""
    hint = "Call cx.complete without target=, and look at the .about of what it returns."
    praise = f"The scene with a smoothly filled hole looks most like {result.about} to the network."
    return answers.name(answer, result.about, labels, hint, praise)


@question("8.7")
def distance(answer: Any) -> Verdict:
    """The distance of two activations, relative to the geometric mean of their lengths."""
    generator = np.random.default_rng(9)
    a, b = generator.random((2, 8))
    cases = [
        ("two random activations", (a, b)),
        ("an activation and itself", (a, a)),
        ("activations of other lengths", (10 * a, b)),
    ]

    def literal(one: np.ndarray, other: np.ndarray) -> float:
        return float(np.sqrt(((one - other) ** 2).sum()) / np.sqrt(np.linalg.norm(one) * np.linalg.norm(other)))

    hint = "The length of the difference, divided by the square root of the product of both lengths."
    return answers.function(answer, literal, cases, hint)


@question("8.9")
def better_than_chance(answer: Any, part: Any, mask: Any) -> Verdict:
    """How many times more often the marked pixels lie on the object than pixels of the whole picture do."""
    ratio = float(np.asarray(mask)[np.asarray(part)].mean() / np.asarray(mask).mean())
    hint = "The share of the marked pixels that lie on the bird, over the share of all pixels that do."
    praise = f"{ratio:.2g} times as often as by chance; 1 would mean that the mark has nothing to do with the bird."
    return answers.number(answer, ratio, hint, tolerance=0.02, praise=praise)
