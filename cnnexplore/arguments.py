"""Checks of arguments: each refuses a value by one sentence, or returns it as Python's own number, bool or text.

`checked` applies them to the arguments of a public function before it does anything.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import math
import numbers
import operator
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from .errors import SettingError, brief_value

Check = Callable[[str, Any], Any]
"""Called with an argument's name and its value; returns the value to use. Raises a subclass of ExploreError."""

F = TypeVar("F", bound=Callable[..., Any])
MOST = 2**63 - 1  # of a whole number without another limit


def checked(**checks: Check) -> Callable[[F], F]:
    """Check arguments of a function, in the order given here, before it runs; defaults are taken as they are.

    Parameters
    ----------
    **checks : callable
        A check by the argument's name.

    Returns
    -------
    callable
        The decorator; the function keeps its signature and its docstring.

    Examples
    --------
    >>> from cnnexplore.arguments import checked, whole
    >>> @checked(k=whole(1, 9, "how many"))
    ... def count(k):
    ...     return k
    >>> count(k=np.int16(3))
    3
    """

    def decorate(function: F) -> F:
        places = {name: k for k, name in enumerate(inspect.signature(function).parameters)}
        order = [(name, places[name], check) for name, check in checks.items()]

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            given = list(args)
            for name, place, check in order:
                if name in kwargs:
                    kwargs[name] = check(name, kwargs[name])
                elif place < len(given):
                    given[place] = check(name, given[place])
            return function(*given, **kwargs)

        return wrapper  # type: ignore[return-value]  # of the same signature

    return decorate


def optional(check: Check) -> Check:
    """The check of an argument that may also be None."""
    return lambda name, value: None if value is None else check(name, value)


def plain_number(value: object) -> int | float | None:
    """A number of Python, numpy or torch as Python's int or float; None for anything else, a bool included."""
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, (int, float)):  # np.float64 and enumerations too
        return int(value) if isinstance(value, int) else float(value)
    try:
        if isinstance(value, (np.ndarray, np.generic, torch.Tensor)):
            return plain_number(value.item()) if not value.ndim else None
        if isinstance(value, numbers.Real):
            return float(value)
        return operator.index(value)  # type: ignore[arg-type]  # else TypeError
    except Exception:  # no number; or the user's own type, which may raise anything
        return None


def whole(low: int, high: float = MOST, what: str = "a whole number") -> Check:
    """A whole number from `low` to `high`; `what` says what it is, such as "how many images to keep"."""

    def check(name: str, value: Any) -> int:
        number = plain_number(value)
        if not isinstance(number, int) or not low <= number <= high:
            above = isinstance(number, int) and number > high
            most = f"to {high}" if high < MOST or above else "or more"
            raise SettingError(f"{name} is {brief_value(value)}; expected {what}, {low} {most}.")
        return number

    return check


def checked_integer(name: str, value: object, low: int, high: float = MOST, *, what: str) -> int:
    """A whole number from `low` to `high`, checked in the middle of a function."""
    return whole(low, high, what)(name, value)


def number(low: float = -math.inf, high: float = math.inf, what: str = "a number", *, above: bool = False) -> Check:
    """A finite number from `low` to `high`; with `above`, more than `low`. Whole numbers stay ints."""

    def check(name: str, value: Any) -> int | float:
        found = plain_number(value)
        valid = found is not None and -math.inf < found < math.inf and abs(found) < 1e308
        if found is None or not valid or not low <= found <= high or (above and found == low):
            raise SettingError(f"{name} is {brief_value(value)}; expected {what}{_range(low, high, above)}.")
        return found

    return check


def _range(low: float, high: float, above: bool) -> str:
    if above:
        return f", above {low:g}" if high == math.inf else f", above {low:g} and at most {high:g}"
    if high == math.inf:
        return "" if low == -math.inf else f", {low:g} or more"
    return f", {low:g} to {high:g}"


positive = number(0, what="a positive number", above=True)


def fraction(what: str = "a share") -> Check:
    """A number from 0 to 1."""
    return number(0, 1, what)


seed = whole(0, what="the seed of a random generator, a whole number")


small_seed = whole(0, 2**32 - 1, "the seed of a random generator, a whole number")


def seeds(name: str, value: Any) -> int | list[int]:
    """One seed, or a list of seeds, one for each item of a batch."""
    array = isinstance(value, (np.ndarray, torch.Tensor))
    if isinstance(value, (list, tuple, range)) or (array and value.ndim == 1):
        if 0 < len(value) <= 10_000:
            return [seed(f"an item of {name}", one) for one in value]
        raise SettingError(f"{name} is {brief_value(value)}; expected a whole number, or a list of 1 to 10000.")
    found = plain_number(value)
    if not isinstance(found, int) or not 0 <= found <= MOST:
        raise SettingError(f"{name} is {brief_value(value)}; expected a whole number, 0 or more, or a list of them.")
    return found


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise SettingError(f"{name} is {brief_value(value)}; expected True or False.")


def choice(names: Collection[str] | Callable[[], Collection[str]]) -> Check:
    """One of some names; a function gives names that can change."""

    def check(name: str, value: Any) -> str:
        known = list(names() if callable(names) else names)
        if isinstance(value, str) and value in known:
            return str(value)
        close = difflib.get_close_matches(value[:80], known, 1, 0.5) if isinstance(value, str) else []
        hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(map(repr, known))}."
        raise SettingError(f"{name} is {brief_value(value)}; {hint}")

    return check


def text(what: str) -> Check:
    """A text that is not empty."""

    def check(name: str, value: Any) -> str:
        if isinstance(value, str) and value:
            return str(value)
        raise SettingError(f"{name} is {brief_value(value)}; expected {what}.")

    return check


def callable_(what: str) -> Check:
    """Something that can be called."""

    def check(name: str, value: Any) -> Any:
        if callable(value):
            return value
        raise SettingError(f"{name} is {brief_value(value)}; expected {what}.")

    return check


def instance(kinds: Callable[[], type | tuple[type, ...]], what: str) -> Check:
    """An object of some classes; `kinds` is a function, so that a class can be named above its definition."""

    def check(name: str, value: Any) -> Any:
        if isinstance(value, kinds()):
            return value
        raise SettingError(f"{name} is {brief_value(value)}; expected {what}.")

    return check


def mapping(what: str) -> Check:
    """A dict, or another mapping, whose keys are texts."""

    def check(name: str, value: Any) -> Any:
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return value
        raise SettingError(f"{name} is {brief_value(value)}; expected {what}.")

    return check


def several(check: Check, what: str, most: int = 100_000) -> Check:
    """A list, tuple, range or array of one dimension, each item of which passes a check; returns a list."""

    def check_all(name: str, value: Any) -> list[Any]:
        array = isinstance(value, (np.ndarray, torch.Tensor))
        if not (isinstance(value, Sequence) and not isinstance(value, (str, bytes))) and not (array and value.ndim):
            raise SettingError(f"{name} is {brief_value(value)}; expected {what}.")
        if len(value) > most:
            raise SettingError(f"{name} has {len(value)} items; expected {what}, at most {most}.")
        return [check(f"an item of {name}", one) for one in value]

    return check_all


def plain_pair(value: Any) -> list[int | float | None]:
    """Two numbers of Python, numpy or torch as Python's (None for no number); empty for anything but a pair."""
    try:
        return [plain_number(one) for one in value] if len(value) == 2 and not isinstance(value, str) else []
    except Exception:  # no pair; or the user's own type
        return []


def place(name: str, value: Any) -> tuple[int, int]:
    """(row, column), two whole numbers from 0."""
    numbers = [one for one in plain_pair(value) if isinstance(one, int) and 0 <= one <= MOST]
    if len(numbers) != 2:
        raise SettingError(f"{name} is {brief_value(value)}; expected (row, column), two whole numbers, 0 or more.")
    return numbers[0], numbers[1]


def array(
    name: str,
    value: Any,
    what: str,
    most: int = 10_000_000,
    dtype: type[np.floating] = np.float32,
    bools: bool = True,
) -> np.ndarray:
    """Finite numbers as an array, from a number, nested lists, an array or a tensor.

    bools: whether True and False are 1 and 0, as in a mask.
    """
    found = None
    try:
        if isinstance(value, torch.Tensor):
            value = value.detach().cpu()
            value = (value.double() if value.is_floating_point() else value).numpy()
        if isinstance(value, (bool, int, float, list, tuple, range, np.ndarray, np.generic)):
            size = value.size if isinstance(value, np.ndarray) else len(value) if isinstance(value, Sequence) else 1
            found = np.asarray(value) if size <= most else None
    except Exception:  # nested lists of unequal length, or a tensor without numbers
        found = None
    if found is None or found.dtype.kind not in ("biuf" if bools else "iuf") or found.size > most:
        raise SettingError(f"{name} is {brief_value(value)}; expected {what}.")
    with np.errstate(over="ignore"):
        found = found.astype(dtype)
    if not np.isfinite(found).all():
        raise SettingError(f"{name} has values that are not finite; expected {what}.")
    return found


def path(what: str) -> Check:
    """A path of the file system, as a text or os.PathLike; it need not exist."""

    def check(name: str, value: Any) -> Path:
        try:
            if isinstance(value, (str, os.PathLike)) and (found := os.fspath(value)) and isinstance(found, str):
                found.encode("utf-8")
                if "\0" not in found and all(len(part) < 256 for part in Path(found).parts):
                    return Path(found)
        except Exception:  # the user's own type, or a text that is no file name
            pass
        raise SettingError(f"{name} is {brief_value(value)}; expected {what}.")

    return check


def is_folder(value: Any) -> bool:
    """Whether a value is the path of a folder; what cannot be a path is none."""
    try:
        return isinstance(value, (str, os.PathLike)) and Path(value).is_dir()
    except Exception:  # no name of a file, or the user's own type
        return False


def output(suffixes: Collection[str]) -> Check:
    """The path of a file to write: with one of some suffixes, in a folder that exists."""
    known = sorted(suffixes)
    expected = f"the path of a file that ends in {', '.join(known[:-1])} or {known[-1]}" if len(known) > 1 else known[0]
    any_path = path(expected)

    def check(name: str, value: Any) -> Path:
        found: Path = any_path(name, value)
        if found.suffix.lower() not in suffixes:
            raise SettingError(f"{name} is {brief_value(value)}; expected {expected}.")
        if not found.parent.is_dir():
            raise SettingError(f"the folder of {brief_value(str(found))} does not exist; make it first.")
        if found.is_dir():
            raise SettingError(f"{brief_value(str(found))} is a folder; expected {expected}.")
        return found

    return check
