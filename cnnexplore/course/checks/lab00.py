"""Lab 0: a world with known ground truth."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np

from .. import answers
from ..checking import Verdict, question


@question("0.2")
def best_by_background(answer: Any, scenes: Any) -> Verdict:
    """The share of scenes whose class is the most frequent one of their background."""
    by_background: dict[str, Counter[str]] = defaultdict(Counter)
    for k in range(len(scenes)):
        scene = scenes.scene(k)
        by_background[scene.background][scene.name] += 1
    share = sum(max(counts.values()) for counts in by_background.values()) / len(scenes)
    hint = (
        "For each background count its classes and take the largest count; add these up, and divide by the number of "
        "scenes. A share is between 0 and 1."
    )
    praise = f"By the background alone {share:.0%} would be right; by chance 10 %."
    return answers.number(answer, share, hint, tolerance=0.006, praise=praise)


@question("0.3")
def part_of_object(answer: Any, scene: Any) -> Verdict:
    """The share of the object's pixels that are its windows."""
    share = scene.parts["window"].sum() / scene.mask.sum()
    if isinstance(answer, float) and abs(answer - scene.parts["window"].mean()) < 0.002:
        return False, "This is the share of the whole picture. Divide by the pixels of the object."
    hint = (
        'A mask is an array of True and False: scene.mask.sum() counts the pixels of the object, scene.parts["window"].'
    )
    return answers.number(answer, share, hint, tolerance=0.002, praise=f"{share:.0%} of the church are windows.")


@question("0.5")
def accuracy(answer: Any) -> Verdict:
    """The diagonal of a confusion matrix over its sum."""
    generator = np.random.default_rng(0)
    table = generator.integers(0, 9, (4, 4))
    cases = [
        ("a matrix with 3 of 4 on its diagonal", (np.array([[2, 1], [0, 1]]),)),
        ("a matrix of 4 classes", (table,)),
        ("a perfect network", (np.diag([5, 3, 2]),)),
    ]
    hint = "The scenes on the diagonal were predicted correctly; divide by all scenes."
    return answers.function(answer, lambda one: np.trace(one) / one.sum(), cases, hint)


@question("0.9")
def mass_on_object(answer: Any) -> Verdict:
    """The share of a map that lies on a mask."""
    generator = np.random.default_rng(2)
    mask = generator.random((6, 5)) < 0.4
    cases = [
        ("a map of random numbers", (generator.random((6, 5)), mask)),
        ("a map that is constant", (np.full((6, 5), 0.3), mask)),
        ("a map that lies on the object only", (mask * 2.0, mask)),
        ("a map that lies beside the object only", (~mask * 1.0, mask)),
    ]
    hint = "Add up the map on the mask, map[mask].sum(), and divide by the sum of the whole map."
    praise = "A constant map scores the share of the picture that the object covers: that is the score to beat."
    return answers.function(answer, lambda one, on: one[on].sum() / one.sum(), cases, hint, praise=praise)
