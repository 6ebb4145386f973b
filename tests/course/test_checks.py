"""Checks: right answers pass, wrong ones get a helpful sentence, and nothing that a student writes raises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import cnnexplore as cx
from cnnexplore.course import answers, check, checking, summary


def test_a_number():
    assert answers.number(3, 3, "") == (True, "3 it is.")
    assert answers.number(np.float32(0.5), 0.51, "", tolerance=0.02)[0]
    assert answers.number(torch.tensor(2), 2, "")[0]
    assert answers.number(4, 3, "Count again.") == (False, "4 is too large. Count again.")
    assert answers.number(2, 3, "Count again.") == (False, "2 is too small. Count again.")
    for strange in ("3", [3], True, float("nan"), object()):
        right, message = answers.number(strange, 3, "")
        assert not right
        assert "expected a number" in message


def test_a_name():
    known = ["conv1", "conv2"]
    assert answers.name("conv2", "conv2", known, "")[0]
    assert answers.name("conv1", {"conv1", "conv2"}, known, "")[0]
    assert answers.name("conv1", "conv2", known, "Look deeper.") == (False, "It is not conv1. Look deeper.")
    assert "expected one of conv1, conv2" in answers.name("conv9", "conv2", known, "")[1]
    assert "expected one of" in answers.name(["conv2"], "conv2", known, "")[1]


def test_a_list():
    assert answers.members(["b", "a"], ["a", "b"], "abc", "")[0]
    assert answers.members(np.array([2, 1]), [1, 2], range(5), "")[0]
    assert answers.members(["a"], ["a", "b"], "abc", "Look.") == (False, "1 missing, 0 too many. Look.")
    assert "'z' is not one of" in answers.members(["z"], ["a"], "abc", "")[1]
    for strange in (3, "ab", [[1]], [{}]):
        right, message = answers.members(strange, [1], range(5), "")
        assert not right
        assert message


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (7, "expected a function"),
        (lambda x: None, "returns nothing yet"),
        (lambda x: ..., "returns nothing yet"),
        (lambda x: x + 1, "wrong numbers. Double it."),
        (lambda x: x.sum(), "returned one number; expected an array of 3"),
        (lambda x: "six", "expected numbers"),
        (lambda x: [1, [2]], "expected numbers"),
        (lambda x: x / np.array(0) * np.nan, "wrong numbers"),
        (lambda x: 1 / 0, "raised ZeroDivisionError"),
        (lambda: 3, "raised TypeError"),
        (lambda x: x * 1j, "expected numbers"),
    ],
)
def test_a_function_that_is_wrong(written, words):
    cases = [("three numbers", (np.array([1.0, 2.0, 3.0]),))]
    with np.errstate(all="ignore"):
        right, message = answers.function(written, lambda x: 2 * x, cases, "Double it.")
    assert not right
    assert words in message


def test_a_function_does_not_change_what_the_next_case_gets():
    """A function that works in place is judged by what it returns, and the expected numbers stay those of the input."""
    values = np.array([1.0, 2.0])

    def in_place(x):
        x *= 2
        return x

    assert answers.function(in_place, lambda x: 2 * x, [("a", (values,)), ("b", (values,))], "")[0]
    assert values.tolist() == [1.0, 2.0]


def test_a_function_that_is_right():
    cases = [("numbers", (np.array([1.0, 2.0]),))]
    for written in (lambda x: 2 * x, lambda x: [2.0, 4.0], lambda x: torch.from_numpy(2 * x).requires_grad_()):
        assert answers.function(written, lambda x: 2 * x, cases, "") == (True, "Your function agrees in all cases.")


def test_a_question_without_a_check():
    for name in ("1.99", "77.1", "1", "", "1.1.1", "../x", None, 1.2):
        with pytest.raises(cx.SettingError, match="expected lab and number of a question with a check"):
            check(name, 1)


def test_what_a_check_shows():
    found = checking.Checked("1.2", False, "a < b")
    assert repr(found) == "Q2: not yet. a < b"
    assert "a &lt; b" in found._repr_html_()
    with pytest.raises(AssertionError, match=r"Q2: not yet\. a < b"):
        found.demand()
    checking.Checked("1.2", True, "").demand()


def test_the_summary_counts_what_is_right(monkeypatch):
    monkeypatch.setattr(checking, "_latest", {})
    names = checking.questions(1)
    assert summary(1).startswith(f"0 of {len(names)} checked answers are right so far; look again at Q2,")
    check("1.3", lambda field, stride, kernel: field + (kernel - 1) * stride)
    assert summary(1).startswith(f"1 of {len(names)}")
    check("1.3", lambda field, stride, kernel: field + kernel * stride)
    assert summary(1).startswith("0 of")


def test_the_check_follows_the_students_own_network():
    """Lab 1 may be run on any network: what is right is computed from it."""
    net, image = cx.load("lenet"), cx.digit(2)
    size = net.pixels_of(image).numel()
    first = next(name for name, layer in net.layers.items() if layer.numbers < size)
    assert check("1.2", first, net=net, image=image).right
    other = next(name for name, layer in net.layers.items() if layer.numbers >= size)
    assert not check("1.2", other, net=net, image=image).right
