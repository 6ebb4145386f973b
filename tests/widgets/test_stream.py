"""Flow control, with a clock that the test turns."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnexplore.widgets.live.stream import Stream


class Wire:
    """A clock, what was sent, and how many frames were made."""

    def __init__(self):
        self.now, self.sent, self.made = 0.0, [], 0
        self.stream = Stream(lambda content, buffers: self.sent.append((self.now, content)), lambda: self.now)

    def frame(self):
        self.made += 1
        return {"w": 1, "h": 1, "encoding": "rgb"}, [b"abc"]

    def loop(self, seconds: float, step: float = 0.01, ack=lambda wire: None):
        for _ in range(round(seconds / step)):
            self.now += step
            self.stream.offer(self.frame)
            ack(self)

    def ack(self, seq: int, view: str = "a"):
        self.stream.received({"kind": "ack", "view": view, "seq": seq})


@pytest.fixture
def wire():
    return Wire()


def acknowledge_all(wire):
    if wire.sent:
        wire.ack(wire.sent[-1][1]["seq"])


def test_nothing_is_made_or_sent_while_nobody_looks(wire):
    wire.loop(5)
    assert (wire.sent, wire.made) == ([], 0)


def test_a_view_that_gets_ready_is_sent_the_newest_frame(wire):
    wire.loop(1)
    wire.stream.received({"kind": "ready", "view": "a"})
    assert [content["seq"] for _, content in wire.sent] == [1]


def test_the_rate_is_bounded_and_not_halved_by_steps_as_long_as_the_pace(wire):
    wire.stream.received({"kind": "ready", "view": "a"})
    wire.loop(10, 0.002, acknowledge_all)
    assert 18 * 10 <= len(wire.sent) <= 20 * 10 + 2  # what was late is made up
    slow = Wire()
    slow.stream.received({"kind": "ready", "view": "a"})
    slow.loop(10, 0.05, acknowledge_all)
    assert len(slow.sent) >= 15 * 10


def test_an_answer_to_a_person_comes_before_its_time_and_delays_none_after_it(wire):
    wire.stream.received({"kind": "ready", "view": "a"})
    wire.loop(1, 0.01, acknowledge_all)
    while not wire.stream.offer(wire.frame):
        wire.now += 0.01
    acknowledge_all(wire)
    wire.now += 0.02
    assert not wire.stream.offer(wire.frame)
    assert wire.stream.offer(wire.frame, soon=True)
    wire.now += 0.01
    assert not wire.stream.offer(wire.frame, soon=True)  # 60 a second are enough
    for _ in range(200):  # a slider is dragged for two seconds
        wire.now += 0.01
        wire.stream.offer(wire.frame, soon=True)
        acknowledge_all(wire)
    before, wire.now = len(wire.sent), wire.now + 0.05
    assert wire.stream.offer(wire.frame)
    wire.loop(1, 0.01, acknowledge_all)
    assert 19 <= len(wire.sent) - before <= 22


def test_at_most_eight_frames_are_under_way_then_one_probe_a_second(wire):
    wire.stream.received({"kind": "ready", "view": "a"})
    wire.loop(0.99)
    assert len(wire.sent) == 8
    wire.loop(10)
    probes = [at for at, _ in wire.sent[8:]]
    assert 9 <= len(probes) <= 11
    assert min(b - a for a, b in itertools.pairwise(probes)) >= 0.99
    wire.ack(wire.sent[-1][1]["seq"])  # the tab is back
    before = len(wire.sent)
    wire.loop(2, 0.01, acknowledge_all)
    assert len(wire.sent) - before >= 28


def test_after_a_pause_the_first_frames_are_not_taken_for_silence(wire):
    wire.stream.received({"kind": "ready", "view": "a"})
    wire.loop(1, 0.01, acknowledge_all)
    wire.now += 60
    before = len(wire.sent)
    wire.loop(0.5)
    assert len(wire.sent) - before >= 7


def test_a_closed_view_costs_nothing_and_a_second_one_goes_on(wire):
    for view in "ab":
        wire.stream.received({"kind": "ready", "view": view})
    wire.stream.received({"kind": "gone", "view": "a"})
    wire.loop(1, 0.01, lambda w: w.sent and w.ack(w.sent[-1][1]["seq"], "b"))
    assert len(wire.sent) > 10
    wire.stream.received({"kind": "gone", "view": "b"})
    before = (len(wire.sent), wire.made)
    wire.loop(5)
    assert (len(wire.sent), wire.made) == before


def test_a_hidden_view_does_not_hold_back_a_visible_one(wire):
    for view in ("hidden", "seen"):
        wire.stream.received({"kind": "ready", "view": view})
    wire.loop(5, 0.01, lambda w: w.sent and w.ack(w.sent[-1][1]["seq"], "seen"))
    assert len(wire.sent) >= 70


def test_the_last_frame_is_shown_whatever_the_pace(wire):
    wire.stream.received({"kind": "ready", "view": "a"})
    wire.loop(0.02)
    before = len(wire.sent)
    wire.stream.show(wire.frame)
    wire.stream.show(wire.frame)
    assert len(wire.sent) == before + 2


def test_nonsense_from_a_browser_is_ignored(wire):
    for content in ({}, {"kind": "ack", "view": "x", "seq": 5}, {"kind": "gone", "view": "x"}, {"kind": "?"}):
        wire.stream.received(content)
    wire.stream.received({"kind": "ready", "view": "a"})
    wire.ack(10**9)
    wire.loop(0.5)
    assert 1 <= len(wire.sent) <= 8


@given(st.lists(st.sampled_from(["offer", "ack", "ready", "gone", "wait"]), max_size=200))
def test_the_window_holds_whatever_happens(events):
    wire = Wire()
    for event in events:
        sent = len(wire.sent)
        if event == "offer":
            wire.now += 0.02
            wire.stream.offer(wire.frame)
        elif event == "wait":
            wire.now += 0.4
        elif event == "ack":
            wire.ack(sent)
        else:
            wire.stream.received({"kind": event, "view": "a"})
        seqs = [content["seq"] for _, content in wire.sent]
        assert seqs == list(range(1, len(seqs) + 1))
        assert wire.made == len(seqs), "a frame that is not sent is not made"


def test_a_view_that_stops_answering_is_dropped_and_the_run_is_told(wire):
    seen = []
    wire.stream.open_views.on_change = seen.append
    for view in ("reloaded", "b"):
        wire.stream.received({"kind": "ready", "view": view})
    wire.loop(29, 0.01, lambda w: w.sent and w.ack(w.sent[-1][1]["seq"], "b"))
    assert seen == [1, 2]
    wire.loop(2, 0.01, lambda w: w.sent and w.ack(w.sent[-1][1]["seq"], "b"))
    assert seen == [1, 2, 1]
    wire.loop(31)
    assert seen == [1, 2, 1, 0]
    before = (len(wire.sent), wire.made)
    wire.loop(60)
    assert (len(wire.sent), wire.made) == before


def test_a_dropped_view_that_answers_is_open_again(wire):
    seen = []
    wire.stream.received({"kind": "ready", "view": "hidden"})
    wire.stream.open_views.on_change = seen.append
    wire.loop(32)
    assert seen == [0]
    wire.ack(wire.sent[-1][1]["seq"], "hidden")
    assert seen == [0, 1]
    wire.loop(1, 0.01, lambda w: w.ack(w.sent[-1][1]["seq"], "hidden"))
    assert seen == [0, 1]


def test_a_view_that_owes_nothing_stays(wire):
    wire.stream.received({"kind": "ready", "view": "a"})
    wire.loop(1, 0.01, acknowledge_all)
    wire.now += 3600
    wire.loop(1, 0.01, acknowledge_all)
    assert wire.stream.views == 1
