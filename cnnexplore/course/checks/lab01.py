"""Lab 1: what a layer keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...network import Network
from .. import answers
from ..checking import Verdict, question


@question("1.2")
def first_with_fewer_numbers(answer: Any, net: Network, image: Any) -> Verdict:
    """The first layer whose activation has fewer numbers than the image as the network sees it."""
    size = net.pixels_of(image).numel()
    fewer = [name for name, layer in net.layers.items() if layer.numbers < size]
    if answer in net.layers and net.layers[answer].numbers < size:
        hint = "Its activation does have fewer numbers than the image, but so has that of an earlier layer."
    else:
        hint = "Compare rows x columns x units with the numbers of the image: height x width x 3 colours."
    praise = f"The image has {size:,} numbers, the activation of {fewer[0]} {net.layers[fewer[0]].numbers:,}."
    return answers.name(answer, fewer[0], net.layers, hint, praise)


@question("1.3")
def field_after(answer: Any) -> Verdict:
    """A receptive field grows by (kernel - 1) times the stride of the layer below."""
    cases = [
        ("a field of 1 px, a kernel of 11 and no layer below (stride 1)", (1, 1, 11)),
        ("a field of 15 px, a stride of 4 and a kernel of 5", (15, 4, 5)),
        ("a field of 39 px, a stride of 8 and a kernel of 3", (39, 8, 3)),
        ("a kernel of 1", (7, 2, 1)),
    ]
    hint = "A kernel of k looks at k neighbouring positions of the layer below; how far apart are they in pixels?"
    return answers.function(answer, lambda field, stride, kernel: field + (kernel - 1) * stride, cases, hint)


@question("1.7")
def relative_error(answer: Any) -> Verdict:
    """The length of the difference over the length of the original activation."""
    generator = np.random.default_rng(1)
    pairs = [generator.normal(size=(2, *shape)).astype(np.float32) for shape in ((5,), (3, 4, 4))]
    cases = [
        ("two vectors of 5 numbers", tuple(pairs[0])),
        ("two activations of 3 units on 4 x 4 positions", tuple(pairs[1])),
        ("an activation and itself", (pairs[1][0], pairs[1][0])),
        ("an activation twice as large as the original", (2 * pairs[0][0], pairs[0][0])),
    ]
    hint = "The length is the square root of the sum of squares; divide by the length of the original, the second one."
    praise = "It is 0 for the same activation, and 1 for an activation of zeros."
    return answers.function(answer, _relative_error, cases, hint, praise=praise)


def _relative_error(found: np.ndarray, original: np.ndarray) -> float:
    difference = np.asarray(found, float) - np.asarray(original, float)
    return float(np.sqrt((difference**2).sum()) / np.sqrt((np.asarray(original, float) ** 2).sum()))


@question("1.9")
def step_of_half_energy(answer: Any, history: Mapping[str, list[float]]) -> Verdict:
    """The first step at which the energy is at most half of that at the first."""
    energy, steps = list(history["energy"]), list(history["step"])
    half = next((step for step, value in zip(steps, energy, strict=True) if value <= energy[0] / 2), None)
    if half is None:
        return answer == -1, "The energy of this run never falls to one half: with so few steps, -1 is the answer."
    hint = 'The energies are in history["energy"], their steps in history["step"]; the first energy is not a maximum.'
    return answers.number(answer, half, hint, praise=f"At step {half:g} of {steps[-1]:g} the energy is one half.")


@question("1.11")
def predicted_alike(answer: Any, net: Network, image: Any, pictures: Any) -> Verdict:
    """How many pre-images have the class that the network predicts for the image."""
    label = net.predict(image, k=1)[0][0]
    same = sum(net.predict(picture, k=1)[0][0] == label for picture in pictures)
    hint = f"Compare the first label of each prediction with {label!r}, the one of the image."
    return answers.number(
        answer, same, hint, praise=f"{same} of {len(pictures)} are predicted as {label}, as the image."
    )
