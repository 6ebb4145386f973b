"""ExplorerGuide: the explorer's keys, a page of keys and words, and a tour that is offered once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .messages import Message
from .view import View

_MOST_QUESTIONS = 9


class ExplorerGuide(View):
    """A button "?" with a page of keys and words, and a tour of the parts of the explorer around it.

    The keys 1 to 9 ask a question, the space bar pauses the run or goes on; they count wherever the focus is inside the
    explorer, but for boxes in which one types.

    Attributes
    ----------
    on_question : callable
        Called with the number of a question, from 0.
    on_pause : callable
        Called without arguments to pause or go on.
    """

    _files = "explorer_guide"

    def __init__(self) -> None:
        super().__init__()
        self.on_question: Callable[[int], object] = lambda number: None
        self.on_pause: Callable[[], object] = lambda: None

    def _read(self, message: Message) -> Callable[[], object] | None:
        if message.kind == "question":
            return partial(self._question, message.integer("number", 0, _MOST_QUESTIONS - 1))
        return self._pause if message.kind == "pause" else None

    def _question(self, number: int) -> None:
        self.on_question(number)

    def _pause(self) -> None:
        self.on_pause()
