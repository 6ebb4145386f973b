"""Checked access to what the front end sends: a malformed message is recognised before anything acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LONGEST_TEXT = 100  # characters: names of views are shorter


class MalformedMessage(Exception):
    """A field of a message is missing, or its value is none that the view can have sent."""


class Message:
    """A message of the front end.

    Parameters
    ----------
    content : object
        What arrived, of any type and shape.

    Attributes
    ----------
    kind : str
        What the message is about; empty if it does not say.
    """

    def __init__(self, content: object):
        self._content: Mapping[str, Any] = content if isinstance(content, Mapping) else {}
        kind = self._content.get("kind")
        self.kind = kind if isinstance(kind, str) else ""

    def text(self, name: str) -> str:
        """Return a short text.

        Raises
        ------
        MalformedMessage
            If the field is missing, not a text, empty or longer than 100 characters.
        """
        value = self._content.get(name)
        if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_TEXT:
            raise MalformedMessage(name)
        return value

    def flag(self, name: str) -> bool:
        """Return a truth value.

        Raises
        ------
        MalformedMessage
            If the field is missing or not a truth value.
        """
        value = self._content.get(name)
        if not isinstance(value, bool):
            raise MalformedMessage(name)
        return value

    def integer(self, name: str, low: int, high: int, default: int | None = None) -> int:
        """Return an integer from `low` to `high`, both included.

        Parameters
        ----------
        name : str
            The field.
        low, high : int
            The least and the largest value.
        default : int, optional
            The value of a field that is missing; None if it must be there.

        Raises
        ------
        MalformedMessage
            If the field is missing without a default, not an integer or out of range.
        """
        if default is not None and name not in self._content:
            return default
        return _integer(self._content.get(name), low, high, name)

    def window(self, name: str, height: int, width: int) -> tuple[int, int, int, int]:
        """Return a window (top, left, bottom, right) inside of a picture, the last two excluded.

        Raises
        ------
        MalformedMessage
            If the field is missing, not a list of four integers, or the window is empty or not inside.
        """
        value = self._content.get(name)
        if not isinstance(value, (list, tuple)) or len(value) != 4:
            raise MalformedMessage(name)
        top, left = _integer(value[0], 0, height - 1, name), _integer(value[1], 0, width - 1, name)
        return top, left, _integer(value[2], top + 1, height, name), _integer(value[3], left + 1, width, name)

    def positions(self, name: str, height: int, width: int, most: int) -> list[tuple[int, int]]:
        """Return one to `most` positions (row, column) inside of a picture.

        Raises
        ------
        MalformedMessage
            If the field is missing, not a list of pairs of integers, empty, too long, or a position is not inside.
        """
        value = self._content.get(name)
        if not isinstance(value, (list, tuple)) or not 0 < len(value) <= most:
            raise MalformedMessage(name)
        if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value):
            raise MalformedMessage(name)
        return [(_integer(row, 0, height - 1, name), _integer(column, 0, width - 1, name)) for row, column in value]


def _integer(value: object, low: int, high: int, name: str) -> int:
    """JSON knows one kind of number: 3.0 is an integer too."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not low <= value <= high
        or value != int(value)
    ):
        raise MalformedMessage(name)
    return int(value)
