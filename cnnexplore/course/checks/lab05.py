"""Lab 5: filter decoding."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ...network import Network
from .. import answers
from ..checking import Verdict, question


@question("5.3")
def substitute(answer: Any) -> Verdict:
    """One step of the decoding: each value is replaced by its channel's filter, times the value."""
    generator = np.random.default_rng(5)
    cases = []
    for words, (channels, size, kernel) in {
        "one channel and one value": (1, 1, 3),
        "one channel of 2 x 2 values": (1, 2, 3),
        "four channels of 5 x 5 values and filters of 5 x 5": (4, 5, 5),
    }.items():
        values, filters = (
            generator.normal(size=(channels, size, size)),
            generator.normal(size=(channels, kernel, kernel)),
        )
        cases.append((words, (values, filters)))

    def literal(values: np.ndarray, filters: np.ndarray) -> np.ndarray:
        weight = torch.from_numpy(filters)[:, None]
        return np.asarray(F.conv_transpose2d(torch.from_numpy(values)[None], weight)[0, 0])

    hint = "The value at (row, column) puts its filter with the top-left corner there; what overlaps is added."
    praise = "That is a transposed convolution, and the whole method."
    return answers.function(answer, literal, cases, hint, praise=praise)


@question("5.4")
def decoded_size(answer: Any) -> Verdict:
    """The size of a filter that is decoded through convolutions and poolings."""

    def literal(layers: list[tuple[str, int]]) -> int:
        size = 1
        for kind, kernel in reversed(layers):
            size = size + kernel - 1 if kind == "conv" else size * kernel
        return size

    cases = [
        ("one convolution of 5", ([("conv", 5)],)),
        ("conv2 of characters", ([("conv", 5), ("conv", 5)],)),
        ("conv3 of characters", ([("conv", 5), ("conv", 5), ("pool", 2), ("conv", 3)],)),
        ("conv3 of LeNet", ([("conv", 5), ("pool", 2), ("conv", 5), ("pool", 2), ("conv", 4)],)),
    ]
    hint = "Go from the last layer to the first: unpooling by 2 doubles the size, a convolution of k adds k - 1."
    return answers.function(answer, literal, cases, hint)


@question("5.5")
def nearest_character(answer: Any, scores: Any, net: Network) -> Verdict:
    """For each character the other one whose unit responds most to its decoded filter."""
    table = np.array(scores.detach() if isinstance(scores, torch.Tensor) else scores, float)
    np.fill_diagonal(table, -np.inf)
    if not isinstance(answer, dict) or set(answer) != set(net.labels):
        return False, f"Expected a dict with the keys {', '.join(net.labels)}."
    near = np.isclose(table, table.max(1, keepdims=True), rtol=1e-4, atol=1e-4)  # two may be equally near
    wrong = [
        label for row, label in zip(near, net.labels, strict=True) if answer[label] not in np.array(net.labels)[row]
    ]
    if wrong:
        return False, f"Look again at {', '.join(wrong)}: the largest number of its row that is not on the diagonal."
    return True, "Most pairs share parts: C, L and O have corners in common."


@question("5.10")
def confused(answer: Any, means: Any) -> Verdict:
    """The digits whose decoded filter does not respond most, on average, to its own class."""
    table = np.asarray(means, float)
    wrong = [digit for digit in range(10) if int(table.argmax(0)[digit]) != digit]
    hint = "A column is a filter, a row a class of images: is its largest mean response that of its own digit?"
    praise = f"{10 - len(wrong)} of the 10 filters respond most to their own class, with one convolution each."
    return answers.members(answer, wrong, range(10), hint, praise)
