"""Methods that a user gives to be measured: functions by name, whose own errors say which method failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import SettingError, brief, brief_value

Method = Callable[..., Any]


def methods_by_name(name: str, value: Any) -> Mapping[str, Method]:
    """The check of an argument that holds functions by name."""
    if isinstance(value, Mapping) and all(isinstance(k, str) and callable(v) for k, v in value.items()):
        return value
    raise SettingError(f"{name} is {brief_value(value)}; expected functions by name, such as {{'mine': function}}.")


def call_method(kind: str, name: str, method: Method, *args: Any) -> Any:
    """What a method returns; an error of its own says which method it was."""
    try:
        return method(*args)
    except Exception as error:
        raise SettingError(f"the {kind} {brief_value(name)} failed on a picture ({brief(error)}); mend it.") from error
