"""Checks of a student's answers. Each computes what is right from the student's own network and images."""

from __future__ import annotations

import html
import importlib
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import SettingError, brief_value

Verdict = tuple[bool, str]
"""Whether an answer is right, and one or two sentences about it."""

_QUESTIONS: dict[str, Callable[..., Verdict]] = {}
_latest: dict[str, Checked] = {}  # the last verdict of each question in this kernel


class WrongAnswer(AssertionError):
    """An answer that a check found wrong, or that is missing; nbgrader gives no points for its cell."""


@dataclass(frozen=True)
class Checked:
    """What a check says about an answer.

    Parameters
    ----------
    question : str
        Lab and number of the question, such as "1.2".
    right : bool or None
        Whether the answer is right; None if there is none yet.
    message : str
        What is right about it, or what to look at again.
    """

    question: str
    right: bool | None
    message: str

    def __repr__(self) -> str:
        return f"Q{self.question.split('.')[1]}: {self._word}. {self.message}"

    def _repr_html_(self) -> str:
        colour = {True: "#2e7d32", False: "#c62828", None: "#757575"}[self.right]
        number = html.escape(self.question.split(".")[1])
        return (
            f'<div style="border-left: 4px solid {colour}; padding: 2px 10px; margin: 2px 0">'
            f"<b>Q{number}: {self._word}.</b> {html.escape(self.message)}</div>"
        )

    @property
    def _word(self) -> str:
        return {True: "right", False: "not yet", None: "no answer"}[self.right]

    def demand(self) -> None:
        """Do nothing if the answer is right.

        Raises
        ------
        AssertionError
            If the answer is wrong or missing; the message is the check's.
        """
        if not self.right:
            raise WrongAnswer(textwrap.fill(repr(self), 68))  # nbgrader cuts longer lines off


def question(name: str) -> Callable[[Callable[..., Verdict]], Callable[..., Verdict]]:
    """Register the check of a question, such as "1.2": a function of the answer and of what the lab has at hand."""

    def register(function: Callable[..., Verdict]) -> Callable[..., Verdict]:
        _QUESTIONS[name] = function
        return function

    return register


def check(question: str, answer: Any, **about: Any) -> Checked:
    """Check an answer of a lab.

    Parameters
    ----------
    question : str
        Lab and number of the question, such as "1.2".
    answer : object
        The answer: a number, a name, a list, or a function, as the question says. None is no answer yet.
    **about : object
        What the answer is about, by name, such as ``net=`` and ``image=``; the lab's own cells give it.

    Returns
    -------
    Checked
        Shown as one sentence below the cell.

    Raises
    ------
    SettingError
        If no question of that name has a check.

    Examples
    --------
    >>> from cnnexplore.course import check
    >>> check("1.2", None)
    Q2: no answer. Write your answer into the cell above, run it, and run this cell again.
    """
    function = _check_of(question)
    if answer is None or answer is Ellipsis:
        found = Checked(question, None, "Write your answer into the cell above, run it, and run this cell again.")
    else:
        right, message = function(answer, **about)
        found = Checked(question, bool(right), message)
    _latest[question] = found
    return found


def _check_of(question: Any) -> Callable[..., Verdict]:
    parts = re.fullmatch(r"(\d{1,2})\.\d{1,2}", question) if isinstance(question, str) else None
    if parts:
        try:
            importlib.import_module(f"{__package__}.checks.lab{int(parts[1]):02}")
        except ModuleNotFoundError:
            parts = None
    if not parts or question not in _QUESTIONS:
        raise SettingError(
            f"question is {brief_value(question)}; expected lab and number of a question with a check, such as '1.2'."
        )
    return _QUESTIONS[question]


def questions(lab: int) -> list[str]:
    """The questions of a lab that have a check, in order."""
    importlib.import_module(f"{__package__}.checks.lab{lab:02}")
    return sorted((name for name in _QUESTIONS if name.startswith(f"{lab}.")), key=lambda name: int(name.split(".")[1]))


def summary(lab: int) -> str:
    """How many checks of a lab are right so far, and which are not.

    Parameters
    ----------
    lab : int
        The number of the lab, 0 to 10.

    Returns
    -------
    str
        One sentence.

    Examples
    --------
    >>> from cnnexplore.course import summary
    >>> print(summary(1))
    0 of 4 checked answers are right so far; look again at Q2, Q3, Q5, Q8.
    """
    names = questions(lab)
    missing = [name for name in names if not (name in _latest and _latest[name].right)]
    if not missing:
        return f"All {len(names)} checked answers are right."
    again = ", ".join(f"Q{name.split('.')[1]}" for name in missing)
    return f"{len(names) - len(missing)} of {len(names)} checked answers are right so far; look again at {again}."
