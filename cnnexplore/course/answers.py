"""Comparisons that the checks share: numbers, names, lists of names, and functions that a student wrote."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Iterable
from typing import Any

import numpy as np
import torch

from ..arguments import plain_number
from ..errors import brief_list, brief_value
from .checking import Verdict


def number(answer: Any, expected: float, hint: str, *, tolerance: float = 0.0, praise: str = "") -> Verdict:
    """Compare a number.

    tolerance: the largest difference that counts as right, in the number's own units.
    hint: what to look at again; it follows whether the number is too large or too small.
    praise: what is worth noticing once it is right.
    """
    found = plain_number(answer)
    if found is None or not math.isfinite(found):
        return False, f"Your answer is {brief_value(answer)}; expected a number."
    if abs(found - expected) <= tolerance + 1e-9 * abs(expected):
        return True, praise or f"{found:g} it is."
    return False, f"{found:g} is too {'large' if found > expected else 'small'}. {hint}"


def name(answer: Any, expected: str | Collection[str], known: Iterable[str], hint: str, praise: str = "") -> Verdict:
    """Compare a name, of a layer or a class for example, with one or several that are right."""
    names = list(known)
    if not isinstance(answer, str) or answer not in names:
        return False, f"Your answer is {brief_value(answer)}; expected one of {brief_list(names, 12)}."
    right = {expected} if isinstance(expected, str) else set(expected)
    return (True, praise or f"{answer} it is.") if answer in right else (False, f"It is not {answer}. {hint}")


def members(answer: Any, expected: Collection[Any], known: Collection[Any], hint: str, praise: str = "") -> Verdict:
    """Compare a list of names or numbers, in any order."""
    if isinstance(answer, (str, bytes)) or not isinstance(answer, Iterable):
        return False, f"Your answer is {brief_value(answer)}; expected a list."
    items = [one.item() if isinstance(one, (np.generic, torch.Tensor)) else one for one in answer]
    strange = [one for one in items if one not in list(known)]
    if strange:
        return False, f"{brief_value(strange[0])} is not one of {brief_list(known, 12)}."
    found = set(items)
    missing, more = len(set(expected) - found), len(found - set(expected))
    if not missing and not more:
        return True, praise or "All of them, and no other."
    return False, f"{missing} missing, {more} too many. {hint}"


def function(
    answer: Any,
    literal: Callable[..., Any],
    cases: Iterable[tuple[str, tuple[Any, ...]]],
    hint: str,
    *,
    tolerance: float = 1e-4,
    praise: str = "",
) -> Verdict:
    """Call a student's function, and compare what it returns with a literal version.

    cases: what a case is about, in words, and its arguments.
    tolerance: the largest difference that counts as right, relative to the largest expected value, at least 1.
    """
    if not callable(answer):
        return False, f"Your answer is {brief_value(answer)}; expected a function."
    for words, arguments in cases:
        expected = _array(literal(*arguments))
        try:
            returned = answer(*copy.deepcopy(arguments))  # it may work in place
        except Exception as error:  # whatever the student's own code does
            return False, f"For {words}, your function raised {type(error).__name__}: {brief_value(str(error))}."
        if returned is None or returned is Ellipsis:
            return False, "Your function returns nothing yet."
        try:
            found = _array(returned)
        except (TypeError, ValueError):
            return False, f"For {words}, your function returned {brief_value(returned)}; expected numbers."
        if found.shape != expected.shape:
            return False, f"For {words}, your function returned {_size(found)}; expected {_size(expected)}. {hint}"
        if not np.abs(found - expected).max(initial=0) <= tolerance * max(1, np.abs(expected).max(initial=0)):
            returned = f"{float(found):.4g}, which is wrong" if found.ndim == 0 else "wrong numbers"
            return False, f"For {words}, your function returned {returned}. {hint}"
    return True, praise or "Your function agrees in all cases."


def _array(value: Any) -> np.ndarray:
    value = value.detach().cpu() if isinstance(value, torch.Tensor) else value
    if isinstance(value, (str, bytes)) or np.iscomplexobj(value):
        raise TypeError("no real numbers")
    return np.asarray(value, float)


def _size(array: np.ndarray) -> str:
    return "one number" if array.ndim == 0 else f"an array of {' x '.join(map(str, array.shape))}"
