"""View: what the project's anywidgets have in common."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import anywidget

from ..live.post import handles_messages
from ..live.subshells import keep_messages_in_their_subshell, note_message
from .messages import MalformedMessage, Message
from .source import css, javascript

RELOAD = "CNNEXPLORE_RELOAD_VIEWS"  # set while JavaScript is developed: every new view reads its files again


class View(anywidget.AnyWidget):
    """An anywidget that takes only well-formed messages of the front end.

    A subclass names its files, the traits that the front end may set, and how to read each kind of message. The
    sources are read once, as text: anywidget would watch a path, and keep each widget of the class for ever.

    Parameters
    ----------
    **traits
        Values of traits, as for every widget.
    """

    _files: ClassVar[str]  # name of the .js and of the .css file
    _from_browser: ClassVar[frozenset[str]] = frozenset()  # traits that the front end may set

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "_files" in cls.__dict__:  # traitlets derives a class for each instance with traits of its own, too
            cls._esm, cls._css = javascript(cls._files), css(cls._files)
        super().__init_subclass__(**kwargs)

    def __init__(self, **traits: Any):
        if os.environ.get(RELOAD):
            self._esm, self._css = javascript(self._files), css(self._files)
        keep_messages_in_their_subshell()
        super().__init__(**traits)
        self.on_msg(lambda _, content, buffers: self.receive(content))

    def receive(self, content: object) -> None:
        """Act on a message of the front end; ignore it if it is malformed or of an unknown kind.

        Parameters
        ----------
        content : object
            What arrived; well-formed is a dict with a "kind" and the fields of that kind.
        """
        handles_messages()
        note_message()
        message = Message(content)
        try:
            act = self._read(message)
        except MalformedMessage:
            return
        if act is not None:
            act()

    def probe(self) -> None:
        """Ask the open views for an answer, once a second at most; those that stay silent are dropped."""

    def _read(self, message: Message) -> Callable[[], object] | None:
        """Return what to do, with all fields checked; None for an unknown kind. Raises MalformedMessage."""
        return None

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Take traits that the front end has changed; ignore those that it must not change, and wrong values.

        Parameters
        ----------
        sync_data : mapping
            New values by name.
        """
        state = {name: value for name, value in sync_data.items() if name in self._from_browser}
        try:
            state = {name: self._check(name, value) for name, value in state.items()}
        except MalformedMessage:
            return
        super().set_state(state)

    def _check(self, name: str, value: object) -> object:
        """Return a value that the front end gave to a trait. Raises MalformedMessage."""
        return value
