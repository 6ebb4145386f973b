"""AttributionMethod: the record of a method - its function, its options, the sign of its map - and the registry."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, NamedTuple

import torch

from ..errors import SettingError, brief_value


class Maps(NamedTuple):
    """What a method computes for the N images of a target.

    Attributes
    ----------
    raw : torch.Tensor
        (N, C, h, w), before it is one map: a gradient by input channel, a CAM on its layer's grid, occlusion by window.
    maps : torch.Tensor
        (N, H, W), one value per pixel.
    bias : torch.Tensor, optional
        (N,), what the mean of `raw` leaves out of the score, where the method splits the score exactly.
    accuracy : str
        Of a method that can be approximate: "exact", or how the error is known, in words; it begins with "approximate"
        or, as long as the error is not known, "unfinished". Else "".
    bound : float, optional
        The largest error that was measured; 0 if exact, None as long as it is not known.
    """

    raw: torch.Tensor
    maps: torch.Tensor
    bias: torch.Tensor | None = None
    accuracy: str = ""
    bound: float | None = 0.0


@dataclass(frozen=True)
class Option:
    """A setting of an attribution method.

    Parameters
    ----------
    name : str
        The keyword. An option named ``at`` is a layer: the panel fills in the layer that is chosen there.
    default : object
        The value unless one is given; None: the method chooses by the size of the image.
    description : str
        One sentence, shown with the slider.
    slider : tuple of float, optional
        The smallest and the largest value of the panel's slider; without it the panel shows none.
    scale : {"linear", "log"}
        The slider's scale.
    whole : bool
        Whether values are whole numbers.
    initial : float or callable, optional
        What the slider starts with, where the default takes long; or a function of the shorter side of the input.
    at_most : str, optional
        Another option, above whose value this one must not be.

    Raises
    ------
    SettingError
        If the declaration contradicts itself.

    Examples
    --------
    >>> from cnnexplore.attribution import Option
    >>> Option("radius", 2, "the radius of the blur, in pixels", slider=(1, 8), whole=True).first(224)
    2
    """

    name: str
    default: object
    description: str
    _: KW_ONLY
    slider: tuple[float, float] | None = None
    scale: Literal["linear", "log"] = "linear"
    whole: bool = False
    initial: float | Callable[[int], float] | None = None
    at_most: str | None = None

    def __post_init__(self) -> None:
        if not self.name.isidentifier():
            raise SettingError(f"an option is named {brief_value(self.name)}; expected a Python identifier.")
        if self.scale not in ("linear", "log"):
            raise SettingError(f"scale of option {self.name} is {brief_value(self.scale)}; expected 'linear' or 'log'.")
        if self.slider is not None:
            low, high = self.slider
            if not low < high or (self.scale == "log" and low <= 0):
                raise SettingError(
                    f"slider of option {self.name} is {brief_value(self.slider)}; expected (smallest, largest)."
                )
            if not isinstance(self.first(224), (int, float)):
                raise SettingError(f"option {self.name!r} has a slider, so its default or initial must be a number.")

    def first(self, side: int) -> Any:
        """What the panel starts with.

        Parameters
        ----------
        side : int
            The shorter side of the network's input, in pixels.

        Returns
        -------
        object
            The value.
        """
        if callable(self.initial):
            return self.initial(side)
        return self.default if self.initial is None else self.initial


@dataclass(frozen=True)
class AttributionMethod:
    """An attribution method: what `attribute`, `attribution_methods` and the panel need to know of it.

    Parameters
    ----------
    name : str
        What `attribute` takes as ``method``.
    function : callable
        ``function(target, **options)``: takes a `Target` and every option as a keyword. Returns `Maps`, or (raw, maps).
        If streamed, it takes a target of one image and yields pairs (maps so far, share done), the last share being 1.
    summary : str
        One sentence on what the map shows, without a full stop.
    signed : bool
        Whether negative values speak against the target; else the map is 0 or more.
    options : tuple of Option
        Its settings; their names are the function's keywords.
    streamed : bool
        Whether the function is a generator of growing maps.
    registration : str
        The Python that adds the method, for the Python of its results; "" for a method of the package.

    Raises
    ------
    SettingError
        If the name is no identifier, or the options are not the function's keywords.

    Examples
    --------
    >>> from cnnexplore.attribution import AttributionMethod
    >>> def absolute(target):
    ...     gradient = target.gradient()
    ...     return gradient, gradient.abs().sum(1)
    >>> AttributionMethod("absolute", absolute, "the sum of absolute derivatives over a pixel's channels").signed
    False
    """

    name: str
    function: Callable[..., Any]
    summary: str
    _: KW_ONLY
    signed: bool = False
    options: tuple[Option, ...] = ()
    streamed: bool = False
    registration: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "options", tuple(self.options))
        if not isinstance(self.name, str) or not self.name.isidentifier():
            raise SettingError(
                f"an attribution method is named {brief_value(self.name)}; expected a Python identifier."
            )
        known = {option.name for option in self.options}
        for option in self.options:
            if option.at_most is not None and option.at_most not in known:
                raise SettingError(
                    f"option {option.name!r} of {self.name} is at most {brief_value(option.at_most)}, an unknown one."
                )
        parameters = list(inspect.signature(self.function).parameters.values())[1:]
        any_keyword = any(one.kind is one.VAR_KEYWORD for one in parameters)
        taken = {one.name for one in parameters if one.kind is not one.VAR_KEYWORD}
        if not taken <= known or (known - taken and not any_keyword):
            raise SettingError(
                f"the function of {self.name} takes {_listed(taken)} after its target, but {_listed(known)} were "
                "declared; declare an Option for each keyword."
            )

    def settings(self, given: dict[str, Any]) -> dict[str, Any]:
        """All options with their values.

        Parameters
        ----------
        given : dict
            The values that differ from the defaults, by name.

        Returns
        -------
        dict
            A value for every option.

        Raises
        ------
        SettingError
            For a name that is none of the options.
        """
        values = {option.name: option.default for option in self.options}
        for name in given:
            if name not in values:
                takes = ", ".join(values) or "no settings of its own"
                raise SettingError(f"{self.name} has no setting {brief_value(name)}; it takes {takes}.")
        return values | given


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


_METHODS: dict[str, AttributionMethod] = {}
_BUILT_IN: set[str] = set()


def register_built_in(method: AttributionMethod) -> None:
    """Adds a method of the package, which no other one may replace."""
    _METHODS[method.name] = method
    _BUILT_IN.add(method.name)


def add_method(method: AttributionMethod) -> None:
    """Adds a method of the user, or replaces one of that name. Raises SettingError for the name of a built-in one."""
    if method.name in _BUILT_IN:
        raise SettingError(f"{method.name!r} is a method of cnnexplore; give yours another name.")
    _METHODS[method.name] = method


def remove_method(name: str) -> None:
    """Removes a method of the user. Raises SettingError if there is none of that name."""
    if not isinstance(name, str) or name in _BUILT_IN or name not in _METHODS:
        raise SettingError(f"{brief_value(name)} is no attribution method that was registered.")
    del _METHODS[name]


def attribution_methods() -> dict[str, str]:
    """The attribution methods.

    Returns
    -------
    dict of str to str
        What `attribute` takes as ``method``, each with one sentence on what its map shows.

    Examples
    --------
    >>> cx.attribution_methods()["gradient"]
    'How much the score changes with each pixel: the derivative, absolute, max over channels'
    """
    return {name: method.summary for name, method in _METHODS.items()}


def find_method(name: str) -> AttributionMethod:
    """The record of a method.

    Parameters
    ----------
    name : str
        One of `attribution_methods()`.

    Returns
    -------
    AttributionMethod
        The record.

    Raises
    ------
    SettingError
        If there is no such method.
    """
    return _METHODS[method_name("method", name)]


def method_name(name: str, value: Any) -> str:
    """The check of an argument that names a method. Raises SettingError."""
    if isinstance(value, str) and value in _METHODS:
        return value
    close = difflib.get_close_matches(brief_value(value).strip("'"), _METHODS, 1, 0.5)
    hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(_METHODS)}."
    raise SettingError(f"there is no attribution method {brief_value(value)}; {hint}")


def with_registrations(python: str, names: Iterable[str]) -> str:
    """A line of Python that uses methods by name, with what must be run before it as a comment.

    Parameters
    ----------
    python : str
        The line.
    names : iterable of str
        Names of methods; what is none is passed over.

    Returns
    -------
    str
        The line itself where all methods are the package's.
    """
    known = (_METHODS.get(name) for name in names)
    before = [method.registration for method in known if method is not None and method.registration]
    return f"{python}  # after {'; '.join(before)}" if before else python


Stream = Iterator[tuple[Maps, float]]
