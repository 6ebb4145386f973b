"""What bad input gets: one sentence that says what was wrong, what was expected and what to do."""

import operator


def brief(error: BaseException) -> str:
    """Somebody else's message, fit to stand inside a sentence."""
    return " ".join(str(error).split())[:300]


class ExploreError(Exception):
    """Root of every error that cnnexplore raises on purpose."""

    def __str__(self) -> str:  # KeyError would quote the sentence
        return str(self.args[0]) if self.args else ""


class LayerNotFound(ExploreError, KeyError):
    """A layer name that the network does not have."""


class LayerError(ExploreError, ValueError):
    """A layer that cannot do what is asked of it."""


class ImageError(ExploreError, ValueError):
    """Something that is not an image, or not one that the network can take."""


class SettingError(ExploreError, ValueError):
    """A setting outside its range."""


def checked_integer(name: str, value: object, low: int, high: int | None = None, *, what: str) -> int:
    """An integer setting, Python's or numpy's, as an int; SettingError unless it is `low` to `high` (None: no limit).

    what: what the number counts, for the message, such as "how many images to keep".
    """
    try:
        number = low - 1 if isinstance(value, bool) else operator.index(value)  # type: ignore[arg-type]  # else TypeError
    except TypeError:
        number = low - 1
    if number < low or (high is not None and number > high):
        most = "or more" if high is None else f"to {high}"
        raise SettingError(f"{name} is {value!r}; expected {what}, {low} {most}.")
    return number


class NetworkError(ExploreError, ValueError):
    """A module that cannot be run as a network, or a name that is not in the zoo."""


class WeightsError(ExploreError, ValueError):
    """A weights file that is not what it should be, or that is not there."""


class DivergedError(ExploreError, ArithmeticError):
    """An optimisation whose estimate is no longer finite."""
