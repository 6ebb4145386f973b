"""Methods that a user gives to be measured: functions by name, whose own errors say which method failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..attribution import attribute, attribution_methods
from ..errors import SettingError, brief, brief_value

Method = Callable[..., Any]


def methods_by_name(name: str, value: Any) -> Mapping[str, Method]:
    """The check of an argument that holds functions by name."""
    if isinstance(value, Mapping) and all(isinstance(k, str) and callable(v) for k, v in value.items()):
        return value
    raise SettingError(f"{name} is {brief_value(value)}; expected functions by name, such as {{'mine': function}}.")


class ByName(dict[str, Method]):
    """Attribution methods that were given by their names alone."""


def attribution_method(name: str) -> Method:
    """An attribution method of `attribute` as a function of (net, image, target)."""

    def method(net: Any, image: Any, target: int) -> Any:
        return attribute(net, image, target, name, progress=False)

    return method


def attributions_by_name(name: str, value: Any) -> Mapping[str, Method]:
    """The check of an argument that holds functions by name, or a list of names of attribution methods."""
    if isinstance(value, (list, tuple)) and value and all(isinstance(one, str) for one in value):
        known = attribution_methods()
        unknown = [one for one in value if one not in known]
        if unknown:
            raise SettingError(
                f"{name} has {brief_value(unknown[0])}, which is no attribution method; expected names among "
                f"{', '.join(known)}, or functions by name."
            )
        return ByName((one, attribution_method(one)) for one in value)
    return methods_by_name(name, value)


def names_to_python(methods: Any, name: str) -> str:
    """The Python of such an argument: the list of names, or the argument's name."""
    return repr([*methods]) if isinstance(methods, ByName) else name


def call_method(kind: str, name: str, method: Method, *args: Any) -> Any:
    """What a method returns; an error of its own says which method it was."""
    try:
        return method(*args)
    except Exception as error:
        raise SettingError(f"the {kind} {brief_value(name)} failed on a picture ({brief(error)}); mend it.") from error
