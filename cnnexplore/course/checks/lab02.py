"""Lab 2: filters and activations."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...network import Network
from .. import answers
from ..checking import Verdict, question


def _weight(net: Network, layer: str) -> np.ndarray:
    module = dict(net.module.named_modules())[net.layers[layer].path]
    return np.asarray(module.weight.detach().cpu().double())


@question("2.2")
def most_colourful(answer: Any, net: Network) -> Verdict:
    """The unit of the first layer whose filter has the largest share of squares left without its mean over colours."""
    weights = _weight(net, "conv1")
    left = ((weights - weights.mean(1, keepdims=True)) ** 2).sum((1, 2, 3)) / (weights**2).sum((1, 2, 3))
    unit = int(left.argmax())
    found = answers.number(answer, unit, "")
    if found[0]:
        return True, f"Unit {unit}: {left[unit]:.0%} of its weights' squares are colour; it hardly sees brightness."
    if isinstance(answer, (int, np.integer)) and 0 <= answer < len(left):
        rank = int((left > left[answer]).sum())
        return (
            False,
            f"{rank} units of conv1 have a larger share than unit {answer}. Compare shares, not sums.",
        )
    return False, f"Expected the number of a unit, 0 to {len(left) - 1}."


@question("2.4")
def weights_of_a_unit(answer: Any, net: Network) -> Verdict:
    """The weights of one unit of the second convolution; a grouped one reads a part of the maps."""
    weights = _weight(net, "conv2")[0]
    units, kernel = net.layers["conv1"].channels, weights.shape[1] * weights.shape[2]
    if answer == units * kernel != weights.size:
        return False, "So many if it read all maps of the first layer. Its module says groups=2: what does that mean?"
    hint = (
        'A unit has one small square of weights for each map that it reads: dict(net.module.named_modules())["conv2"].'
    )
    praise = f"{weights.shape[0]} maps with {kernel} weights each: the other group of units reads the other maps."
    return answers.number(answer, weights.size, hint, praise=praise)


@question("2.6")
def share_active(answer: Any, net: Network, image: Any) -> Verdict:
    """The share of the activations of relu4 that are above zero."""
    share = float((net.activations(image, "relu4") > 0).float().mean())
    hint = "Compare each activation with 0, and take the mean of True and False over all of them."
    return answers.number(
        answer, share, hint, tolerance=0.005, praise=f"{share:.0%} of relu4's activations are not zero."
    )


@question("2.7")
def centre_of_position(answer: Any, net: Network) -> Verdict:
    """The pixel in the centre of the receptive field of a position: offset + stride x position."""
    layer = net.layers["conv4"]
    offset, stride = np.array(layer.rf_offset), np.array(layer.rf_stride)
    places = [(0, 0), (3, 5), (13, 1)]
    cases = [(f"row {row}, column {column}", (row, column)) for row, column in places]
    hint = 'One step on the map is net.layers["conv4"].rf_stride pixels; the first position is at rf_offset.'
    return answers.function(answer, lambda *place: offset + stride * np.array(place), cases, hint)
