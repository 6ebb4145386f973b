"""Exercise: a question to a student above the explorer, with a hint and a check of what is selected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import ipywidgets as w

from ...arguments import callable_, choice, optional, several, text
from ...errors import SettingError, brief, brief_value
from ..elements import WRAP, WRONG, button, escaped, sentence
from ..live.selection import Selection
from .questions import QUESTIONS

_RIGHT = "success-color1"


@dataclass(frozen=True)
class Exercise:
    """What a student is to find with the explorer: `cx.explore(net, images, exercise=cx.Exercise(...))`.

    Attributes
    ----------
    text : str
        The question, in one or two sentences.
    check : callable, optional
        Called with what is selected (`net`, `layer`, `unit`, `position`, `image`, `target`); returns whether that
        answers the question, or a sentence that says why it does not. None: the question is open.
    hint : str, optional
        Shown when the student asks for it.
    ask : str, optional
        The first question of the explorer, as "inversion".
    locked : sequence of str
        Settings that cannot be moved, as "C".

    Raises
    ------
    SettingError
        If a value is of the wrong kind.

    Examples
    --------
    >>> exercise = cx.Exercise("From which layer on are the colours lost?", lambda s: s.layer == "relu5")
    >>> exercise.text
    'From which layer on are the colours lost?'
    """

    text: str
    check: Callable[[Selection], bool | str] | None = None
    hint: str | None = None
    ask: str | None = None
    locked: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        text("the question, a text")("text", self.text)
        optional(callable_("a function of the selection"))("check", self.check)
        optional(text("a text"))("hint", self.hint)
        optional(choice(QUESTIONS))("ask", self.ask)
        names = several(text("the name of a setting"), "a list of names of settings")("locked", self.locked)
        object.__setattr__(self, "locked", tuple(names))


def exercise_argument(name: str, value: object) -> Exercise:
    """The check of an argument that is an exercise."""
    if isinstance(value, Exercise):
        return value
    raise SettingError(f"{name} is {brief_value(value)}; expected a cx.Exercise.")


@dataclass(frozen=True)
class Attempt:
    """An answer of a student.

    Attributes
    ----------
    selection : Selection
        What was selected.
    right : bool
        Whether it was right.
    said : str
        What the student was told.
    """

    selection: Selection = field(repr=False)
    right: bool
    said: str


class ExerciseRow:
    """The row above the explorer: the question, a hint, a check and what it said.

    Parameters
    ----------
    exercise : Exercise
    selected : callable
        Returns what is selected.

    Attributes
    ----------
    attempts : list of Attempt
    """

    def __init__(self, exercise: Exercise, selected: Callable[[], Selection]):
        self.exercise, self._selected = exercise, selected
        self.attempts: list[Attempt] = []
        question = w.HTML(f'<span style="font-weight:600;line-height:1.4">{escaped(exercise.text)}</span>')
        question.layout.flex = "1 1 300px"
        self.hint_button = button("hint", "lightbulb-o", "a hint", self.show_hint)
        self.check_button = button("check", "check", "check what is selected", self.check)
        self.said = w.HTML(layout=w.Layout(flex="1 1 100%", display="none"))
        buttons = [self.hint_button] if exercise.hint else []
        buttons += [self.check_button] if exercise.check is not None else []
        layout = w.Layout(**{**WRAP, "align_items": "center"}, grid_gap="0 8px", padding="4px 8px")
        self.widget = w.HBox([question, *buttons, self.said], layout=layout)
        self.widget.add_class("cx-exercise")

    def show_hint(self) -> None:
        """Show the hint."""
        self._say(self.exercise.hint or "")

    def check(self) -> None:
        """Check what is selected, say what came out, and note the attempt."""
        assert self.exercise.check is not None
        selection = self._selected()
        try:
            found = self.exercise.check(selection)
        except Exception as error:  # the teacher's function
            return self._say(f"the check failed: {type(error).__name__}: {brief(error)}", WRONG)
        right = found is True or (not isinstance(found, str) and bool(found))
        why = found if isinstance(found, str) else ""
        said = "Right." if right else why or "Not yet: look again."
        self.attempts.append(Attempt(selection, right, said))
        self._say(said, _RIGHT if right else WRONG)

    def _say(self, said: str, colour: str = "ui-font-color1") -> None:
        self.said.value, self.said.layout.display = sentence(said, colour), ""
