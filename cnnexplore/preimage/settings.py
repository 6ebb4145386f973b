"""Settings of a run: the parameters that its terms declare, their values, and a mailbox that changes them live."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, FrozenInstanceError, dataclass
from typing import Any, Literal

import numpy as np

from ..arguments import choice, flag, number, plain_number
from ..errors import SettingError, brief_list, brief_value


@dataclass(frozen=True)
class Parameter:
    """A number of the energy or of the descent that can change during a run: its name, range and default.

    Parameters
    ----------
    name : str
        A Python identifier: the keyword, the attribute of `Values` and the name in a schedule.
    low, high : float
        The smallest and the largest value.
    scale : {"linear", "log"}
        The scale of the slider.
    default : float
        The value of a run that does not set it.
    description : str
        One sentence, shown with the slider.
    label : str
        A short name for the slider; the name unless given.
    shown : tuple of float, optional
        The range of the slider where it is narrower than that of the parameter.
    whole : bool
        Whether only whole numbers are allowed.

    Raises
    ------
    SettingError
        If the declaration contradicts itself.

    Examples
    --------
    >>> from cnnexplore.preimage import Parameter
    >>> Parameter("warmth", 0, 100, "log", 1, "warmth: weight of the distance to a warm grey").check(5)
    5
    """

    name: str
    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"
    default: float = 0.0
    description: str = ""
    _: KW_ONLY
    label: str = ""
    shown: tuple[float, float] | None = None
    whole: bool = False

    def __post_init__(self) -> None:
        identifier = isinstance(self.name, str) and self.name.isidentifier() and len(self.name) <= 100
        if not identifier or self.name.startswith("_") or hasattr(Values, self.name):
            raise SettingError(
                f"{brief_value(self.name)} cannot be the name of a parameter; expected another identifier."
            )
        of = f"of {self.name}"
        for text in ("description", "label"):
            if not isinstance(getattr(self, text), str):
                raise SettingError(f"{text} {of} is {brief_value(getattr(self, text))}; expected a text.")
        choice(("linear", "log"))(f"scale {of}", self.scale)
        object.__setattr__(self, "whole", flag(f"whole {of}", self.whole))
        for end in ("low", "high"):
            object.__setattr__(self, end, number()(f"{end} {of}", getattr(self, end)))
        object.__setattr__(self, "default", self.check(self.default))
        object.__setattr__(self, "shown", self._checked_range(self.shown))
        object.__setattr__(self, "label", self.label or self.name)

    def _checked_range(self, shown: Any) -> tuple[float, float] | None:
        if shown is None:
            return None
        try:
            low, high = (self.check(value) for value in shown)
        except Exception:  # no pair; or the user's own type, which may raise anything
            low = high = 0
        if not low < high:
            raise SettingError(
                f"shown of {self.name} is {brief_value(shown)}; expected (smallest, largest) within "
                f"{self.low:g} to {self.high:g}."
            )
        return low, high

    def check(self, value: object) -> float:
        """The value as a number of Python, checked against the range.

        Parameters
        ----------
        value : object
            A number of Python or numpy.

        Returns
        -------
        float
            The value; an int where only whole numbers are allowed.

        Raises
        ------
        SettingError
            If the value is no number in the range.
        """
        number = plain_number(value)
        if number is None or not self.low <= number <= self.high:  # also where it is not a number
            raise SettingError(
                f"{self.name} is {brief_value(value)}; expected a number from {self.low:g} to {self.high:g}."
            )
        if not self.whole:
            return number
        if number != int(number):
            raise SettingError(f"{self.name} is {brief_value(value)}; expected a whole number.")
        return int(number)

    @property
    def slider(self) -> tuple[float, float]:
        """The (smallest, largest) value of the slider; on a logarithmic scale the smallest is above 0."""
        low, high = self.shown or (self.low, self.high)
        return (low, high) if self.scale == "linear" or low > 0 else (high * 1e-6, high)


def combine(*groups: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """The parameters of several terms, each once.

    Raises
    ------
    SettingError
        If two terms declare different parameters of the same name.
    """
    known: dict[str, Parameter] = {}
    for group in groups:
        for parameter in group:
            if known.setdefault(parameter.name, parameter) != parameter:
                raise SettingError(
                    f"two terms of the energy declare a parameter {parameter.name!r}; give one of them another name."
                )
    return tuple(known.values())


class Values(Mapping[str, float]):
    """One consistent set of values of parameters: an immutable mapping, whose items are also attributes.

    Parameters
    ----------
    parameters : iterable of Parameter
        The declarations, such as `Inversion.parameters_for()`.
    **numbers : float
        Values by name; a parameter that is not named has its default.

    Raises
    ------
    SettingError
        If a name is not declared, or a value is outside its range.

    Examples
    --------
    >>> from cnnexplore.preimage import Inversion, Values
    >>> values = Values(Inversion.parameters_for(), C=20)
    >>> values.C, values.beta
    (20, 2)
    """

    __slots__ = ("_numbers", "parameters")
    parameters: tuple[Parameter, ...]
    _numbers: dict[str, float]

    def __init__(self, parameters: Iterable[Parameter], /, **numbers: float) -> None:
        parameters = tuple(parameters)
        names = [parameter.name for parameter in parameters]
        for name in numbers:
            if name not in names:
                raise SettingError(
                    f"{brief_value(name)} cannot change while a run goes on; expected one of "
                    f"{brief_list(sorted(names))}."
                )
        object.__setattr__(self, "parameters", parameters)
        checked = {p.name: p.check(numbers.get(p.name, p.default)) for p in parameters}
        object.__setattr__(self, "_numbers", checked)

    def __getitem__(self, name: str) -> float:
        return self._numbers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getattr__(self, name: str) -> float:
        if name.startswith("_") or name not in self._numbers:
            raise AttributeError(f"there is no parameter {name!r}")
        return self._numbers[name]

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to {name!r}; `replace` makes other values")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete {name!r}")

    def __eq__(self, other: object) -> bool:
        return self._numbers == other._numbers if isinstance(other, Values) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._numbers.items()))

    def __repr__(self) -> str:
        return f"Values({', '.join(f'{name}={value:g}' for name, value in self.items())})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _values, (self.parameters, self._numbers)

    def replace(self, **changes: float) -> Values:
        """Other values that differ in some parameters.

        Parameters
        ----------
        **changes : float
            New values by name.
        """
        return Values(self.parameters, **{**self._numbers, **changes})

    def only(self, parameters: tuple[Parameter, ...]) -> Values:
        """The values of some of the parameters.

        Parameters
        ----------
        parameters : tuple of Parameter
            Those that are kept.

        Raises
        ------
        SettingError
            If one of them has no value here.
        """
        if parameters == self.parameters:
            return self
        missing = [p.name for p in parameters if p.name not in self._numbers]
        if missing:
            raise SettingError(f"the settings have no {missing[0]!r}; this run needs it, so declare it in them.")
        return Values(parameters, **{p.name: self._numbers[p.name] for p in parameters})

    def changed(self, other: Mapping[str, float]) -> dict[str, float]:
        """The items of other values that differ from these.

        Parameters
        ----------
        other : Values
            Values of the same parameters.
        """
        return {name: value for name, value in other.items() if value != self._numbers[name]}


def _values(parameters: tuple[Parameter, ...], numbers: dict[str, float]) -> Values:
    return Values(parameters, **numbers)


class Settings:
    """A mailbox for `Values`: any thread may write, and a run takes one snapshot per step.

    Parameters
    ----------
    values : Values
        The first content.

    Examples
    --------
    >>> from cnnexplore.preimage import Inversion, Settings, Values
    >>> settings = Settings(Values(Inversion.parameters_for(), C=20))
    >>> settings.update(C=5).C
    5
    """

    def __init__(self, values: Values) -> None:
        self._lock = threading.Lock()
        self._values = values
        self.version = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"_values": self._values, "version": self.version}  # a copy has a lock of its own

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The declarations of what can change."""
        return self._values.parameters

    def update(self, **changes: float) -> Values:
        """Change some values at once, or none of them if one is refused.

        Parameters
        ----------
        **changes : float
            New values by name.

        Raises
        ------
        SettingError
            If a name is not declared, or a value is outside its range.
        """
        with self._lock:
            self._values = self._values.replace(**changes)
            self.version += 1
            return self._values

    def snapshot(self) -> Values:
        """The values as they are now; immutable."""
        return self._values

    def __getattr__(self, name: str) -> float:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._values, name)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value:g}' for name, value in self._values.items())})"


def plain(value: Any) -> Any:
    """Numbers and arrays of numpy as Python's numbers and lists; anything else as it is."""
    return value.item() if isinstance(value, np.generic) else value.tolist() if isinstance(value, np.ndarray) else value
