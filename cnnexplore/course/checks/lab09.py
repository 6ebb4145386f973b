"""Lab 9: what units mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import answers
from ..checking import Verdict, question


@question("9.2")
def intersection_over_union(answer: Any) -> Verdict:
    """The pixels that both masks have over those that at least one has."""
    generator = np.random.default_rng(10)
    one, other = generator.random((2, 5, 6)) < 0.4
    cases = [
        ("two random masks", (one, other)),
        ("a mask and itself", (one, one)),
        ("a mask and the rest", (one, ~one)),
        ("a small mask inside a large one", (np.eye(4, dtype=bool), np.ones((4, 4), bool))),
    ]
    hint = "one & other are the pixels of both, one | other those of at least one; count each and divide."
    return answers.function(answer, lambda a, b: (a & b).sum() / (a | b).sum(), cases, hint)


@question("9.3")
def number_of_detectors(answer: Any, words: Any) -> Verdict:
    """How many units pass the threshold of their best concept."""
    count = int((words.iou.max(1) > words.threshold).sum())
    hint = "words.iou has a row for each unit and a column for each concept; compare the best of a row with 0.04."
    praise = f"{count} of {len(words)} units. The panel above shows how many random directions would pass, too."
    return answers.number(answer, count, hint, praise=praise)


@question("9.6")
def hurt_most(answer: Any, found: Any) -> Verdict:
    """The class whose mean score falls most when the units are silenced."""
    change = found.change.mean(0)
    label = found.labels[int(change.argmin())]
    hint = "found.change has a row for each image and a column for each class: the lowest of the means over the images."
    praise = f"Its score falls by {-change.min():.2f} on average."
    return answers.name(answer, label, found.labels, hint, praise)


@question("9.9")
def hardly_notices(answer: Any, checked: Any) -> Verdict:
    """The method whose maps keep the order of their pixels best when layers have random weights."""
    kept = checked.rank[:, 1:].mean((1, 2))
    label = checked.methods[int(kept.argmax())]
    hint = (
        "Take the mean of checked.rank over all points but the first, where no weight is random, and over the images."
    )
    praise = f"Its rank correlation is {kept.max():.2f} on average: its maps show the image more than the network."
    return answers.name(answer, label, checked.methods, hint, praise)
