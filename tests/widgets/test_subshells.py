"""Whether controls wait for a running cell, and what a panel says about it."""

from __future__ import annotations

import threading
import types

import pytest

import cnnexplore as cx
from cnnexplore.widgets.live import subshells


@pytest.fixture
def kernel(monkeypatch):
    """A kernel that has subshells, and whose front end has sent nothing yet."""
    made = types.SimpleNamespace(_supports_kernel_subshells=True)
    monkeypatch.setattr(subshells, "running_kernel", lambda: made)
    monkeypatch.setattr(subshells, "_on_main", 0)
    monkeypatch.delenv("SERVER_SOFTWARE", raising=False)
    return made


def in_a_subshell(function):
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_outside_a_notebook_there_is_nothing_to_say(monkeypatch):
    monkeypatch.setattr(subshells, "running_kernel", lambda: None)
    assert subshells.why_controls_wait() == ""


def test_a_front_end_without_subshells(kernel):
    """The first message may come before a subshell is ready; one that comes through a subshell ends the sentence."""
    assert subshells.why_controls_wait() == ""
    subshells.note_message()
    assert subshells.why_controls_wait() == ""
    subshells.note_message()
    assert "Kernel Comms over subshells" in subshells.why_controls_wait()
    in_a_subshell(subshells.note_message)
    assert subshells.why_controls_wait() == ""


@pytest.mark.parametrize("old", [types.SimpleNamespace(), types.SimpleNamespace(_supports_kernel_subshells=False)])
def test_a_kernel_without_subshells(kernel, monkeypatch, old):
    monkeypatch.setattr(subshells, "running_kernel", lambda: old)
    assert "ipykernel 7.1" in subshells.why_controls_wait()
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")  # runs no cells beside the panel
    assert subshells.why_controls_wait() == ""


def test_a_panel_says_it_in_one_line(kernel):
    panel = cx.InversionPanel("lenet", layer="conv2", steps=2)
    assert (panel.waiting.value, panel.waiting.layout.display) == ("", "none")
    acknowledgement = {"method": "custom", "content": {"kind": "ack", "view": "one", "seq": 0}}
    for _ in range(2):
        panel.run_view._handle_msg({"content": {"data": acknowledgement}, "buffers": []})
    assert "wait for it" in panel.waiting.value
    assert panel.waiting.layout.display == ""
    in_a_subshell(lambda: panel.run_view._handle_msg({"content": {"data": acknowledgement}, "buffers": []}))
    assert (panel.waiting.value, panel.waiting.layout.display) == ("", "none")
    panel.close()


def test_messages_stay_in_the_subshell_that_the_browser_names(monkeypatch):
    """What ipykernel 7.4 does, in brief: the comm remembers where it was last used from."""

    class Comm:
        def _reply_subshell_for(self, data, default):
            return getattr(self, "_reply_subshell_id", default)

        def publish(self, subshell):
            self._reply_subshell_id = subshell

    monkeypatch.setattr("ipykernel.comm.comm.BaseComm", Comm)
    before = Comm()
    before.publish(None)
    assert before._reply_subshell_for({}, "browser's") is None
    subshells.keep_messages_in_their_subshell.__wrapped__()
    after = Comm()
    after.publish(None)
    assert [comm._reply_subshell_for({}, "browser's") for comm in (before, after)] == ["browser's"] * 2


def test_other_versions_are_left_alone(monkeypatch):
    class Comm:
        pass

    monkeypatch.setattr("ipykernel.comm.comm.BaseComm", Comm)
    names = set(vars(Comm))
    subshells.keep_messages_in_their_subshell.__wrapped__()
    assert set(vars(Comm)) == names
