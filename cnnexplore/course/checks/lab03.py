"""Lab 3: which pixels a prediction depends on."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import answers
from ..checking import Verdict, question

_RULES = ("backpropagation", "deconvnet", "guided backprop")


@question("3.3")
def saliency(answer: Any) -> Verdict:
    """The saliency map of a gradient: the largest absolute value over the colours."""
    generator = np.random.default_rng(3)
    cases = [
        ("a gradient of 3 colours on 4 x 5 pixels", (generator.normal(size=(3, 4, 5)),)),
        ("a gradient that is negative everywhere", (-np.arange(1.0, 13).reshape(3, 2, 2),)),
    ]
    hint = "First the absolute value of each number, then the largest over the first axis, the colours."
    return answers.function(answer, lambda raw: np.abs(raw).max(0), cases, hint)


@question("3.6")
def relu_backward(answer: Any) -> Verdict:
    """What a ReLU passes backwards, by the three rules."""
    generator = np.random.default_rng(4)
    x, gradient = generator.normal(size=(2, 12))
    cases = [(f"the rule {rule!r}", (x, gradient, rule)) for rule in _RULES]

    def literal(x: np.ndarray, gradient: np.ndarray, rule: str) -> np.ndarray:
        passes = [
            (rule == "deconvnet" or a > 0) and (rule == "backpropagation" or g > 0)
            for a, g in zip(x, gradient, strict=True)
        ]
        return np.where(passes, gradient, 0)

    hint = "What does not pass is 0; what passes is the gradient itself, not the input."
    praise = "Guided backprop passes what both others pass: it is the strictest."
    return answers.function(answer, literal, cases, hint, praise=praise)


@question("3.8")
def windows(answer: Any, size: int, window: int, stride: int) -> Verdict:
    """How many windows occlusion covers, one after the other."""
    one = (size - window) // stride + 1
    if answer == one:
        return False, "So many along one side. The windows move in two directions."
    hint = "Along one side the window's first pixel is at 0, stride, 2 x stride and so on, as long as it fits."
    return answers.number(answer, one * one, hint, praise=f"{one} x {one} passes, where the gradient needs one.")


@question("3.12")
def above_the_baseline(answer: Any, card: Any) -> Verdict:
    """The methods that beat the Gaussian in the centre in all columns of the score card."""
    [table] = card
    baselines = {"a random map", "the picture's middle"}
    middle = [mean for mean, _ in table.rows["the picture's middle"]]
    methods = [name for name in table.rows if name not in baselines]
    better = [
        name for name in methods if all(mean > base for (mean, _), base in zip(table.rows[name], middle, strict=True))
    ]
    hint = "Compare each of the three numbers of a method with the one of the picture's middle in the same column."
    praise = "With 10 scenes the standard errors are large: some of these differences could be chance."
    return answers.members(answer, better, methods, hint, praise)
