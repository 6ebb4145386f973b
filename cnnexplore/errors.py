"""Errors: each is one sentence that says what was wrong, what was expected and what helps."""

import re
import reprlib
from collections.abc import Iterable
from typing import Any

_LENGTH = 80  # of a value in a message, in characters
_ROOM = 200  # of all values of a list in a message


class _Short(reprlib.Repr):
    """`repr` that stops early: of long lists, deep nests and numbers of thousands of digits; it never raises."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = _LENGTH

    def repr1(self, x: Any, level: int) -> str:
        try:
            if getattr(type(x), "shape", None) is not None and hasattr(x, "dtype"):
                return self._array(x)
            return super().repr1(x, level)
        except Exception:  # the value is the user's: showing it may fail in any way
            return f"<{type(x).__name__}>"

    @staticmethod
    def _array(x: Any) -> str:
        shape, kind = tuple(x.shape), str(x.dtype).removeprefix("torch.")
        if not shape:
            return f"a number of {kind} on meta" if getattr(x, "is_meta", False) else repr(x.item())
        return f"an array of {' x '.join(map(str, shape))} {kind}"


_SHORT = _Short()


def brief_value(value: object) -> str:
    """A value that a user gave, as it is shown in a message: one line of at most 80 characters."""
    text = re.sub(r" at 0x[0-9A-Fa-f]+", "", " ".join(_SHORT.repr(value).split()))
    return text if len(text) <= _LENGTH else f"{text[: _LENGTH - 4]} ..."


def brief_list(values: Iterable[object], most: int = 30, quoted: bool = False) -> str:
    """Names or numbers as a list in a message: the first ones, about 200 characters, and how many more there are.

    quoted: whether names that are plain words have quotes, too.
    """
    known, shown = list(values), ""
    for k, value in enumerate(known):
        plain = not quoted and re.fullmatch(r"[\w.@-]{1,40}", str(value))
        one = str(value) if plain else brief_value(value)
        if k == most or (k and len(shown) + len(one) > _ROOM):
            return f"{shown} and {len(known) - k} more"
        shown += f", {one}" if k else one
    return shown


def brief(error: BaseException) -> str:
    """Another library's message in one line of at most 300 characters."""
    return " ".join(str(error).split())[:300]


class ExploreError(Exception):
    """Base class of all errors that cnnexplore raises on purpose."""

    def __str__(self) -> str:  # KeyError alone would quote the sentence
        return str(self.args[0]) if self.args else ""


class ExploreWarning(UserWarning):
    """What was asked for was computed, and holds with the reservation that the warning states."""


class LayerNotFound(ExploreError, KeyError):
    """The network has no layer of that name."""


class LayerError(ExploreError, ValueError):
    """The layer is not of a kind that the method needs."""


class ImageError(ExploreError, ValueError):
    """The input is not an image, or not one that the network can read."""


class SettingError(ExploreError, ValueError):
    """A setting is unknown or outside its range."""


class NetworkError(ExploreError, ValueError):
    """A module cannot be run as a network, or a network's name is unknown."""


class WeightsError(ExploreError, ValueError):
    """A weights file is missing, damaged or made for another architecture."""


class DivergedError(ExploreError, ArithmeticError):
    """The estimate of an optimisation is no longer finite."""


class WorkerError(ExploreError, RuntimeError):
    """The workers of an executor have ended, or take no work."""
