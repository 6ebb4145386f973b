"""Lab 7: pathways."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...network import Network
from .. import answers
from ..checking import Verdict, question


@question("7.1")
def gradient_by_hand(answer: Any) -> Verdict:
    """The product of the last layers' weights and masks: the gradient of a score with respect to pool5."""
    generator = np.random.default_rng(8)

    def case(units5: int, units6: int, units7: int, open_share: float) -> tuple[np.ndarray, ...]:
        row, w7, w6 = (generator.normal(size=s) for s in (units7, (units7, units6), (units6, units5)))
        m7, m6, m5 = (1.0 * (generator.random(n) < open_share) for n in (units7, units6, units5))
        return row, m7, w7, m6, w6, m5

    cases = [
        ("masks that are open everywhere", case(4, 3, 2, 1.1)),
        ("masks that are half open", case(12, 7, 5, 0.5)),
        ("masks that are closed", case(3, 3, 3, -1.0)),
    ]

    def literal(row: Any, m7: Any, w7: Any, m6: Any, w6: Any, m5: Any) -> np.ndarray:
        found: np.ndarray = row @ np.diag(m7) @ w7 @ np.diag(m6) @ w6 @ np.diag(m5)
        return found

    hint = "From left to right: the row of the class, times m7, then the matrix W7, times m6, the matrix W6, times m5."
    return answers.function(answer, literal, cases, hint)


@question("7.3")
def field_of_window(answer: Any, net: Network) -> Verdict:
    """How many pixels a window of positions sees along a side, without the image's border."""
    layer = net.layers["pool5"]
    size, stride = layer.rf_size[0], layer.rf_stride[0]
    cases = [(f"a window of {n} position{'s' * (n > 1)}", (n,)) for n in (1, 2, 4)]
    hint = "One position sees rf_size pixels; each further one adds a step, and their fields overlap."
    praise = f"One position sees {size:g} px of an image of {net.size[0]}: neighbouring windows see nearly the same."
    return answers.function(answer, lambda n: size + (n - 1) * stride, cases, hint, praise=praise)


@question("7.6")
def shared_units(answer: Any, masks: Any) -> Verdict:
    """The share of the units of fc7 that two networks of dropout both have open."""
    one, other = (np.asarray(mask.m7.cpu() if hasattr(mask.m7, "cpu") else mask.m7) > 0 for mask in masks)
    share = float((one & other).mean())
    hint = "A unit counts if both masks are open there: one & other, as a share of all units."
    praise = "Near a quarter: each mask is open for one half, independently. Two such networks share few units."
    return answers.number(answer, share, hint, tolerance=0.004, praise=praise)
