"""What all views share: closed ones are freed, and messages that no view can have sent are ignored."""

from __future__ import annotations

import gc
import math
import time
import weakref

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ipywidgets.widgets.widget import _instances
from panels import PANELS
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.live.open_views import OpenViews
from cnnexplore.widgets.live.stream import Stream
from cnnexplore.widgets.views.frame_view import FrameView
from cnnexplore.widgets.views.run_view import RunView
from cnnexplore.widgets.views.unit_grid import UnitGrid
from cnnexplore.widgets.views.view import View

MAKERS = {
    "frame_view": lambda: FrameView((12, 20)),
    "run_view": lambda: RunView(),
    "unit_grid": lambda: UnitGrid(30, 8),
}
FIELDS = ["view", "seq", "row", "column", "item", "window", "cells", "brush", "erases", "step", "selected", "x"]
KINDS = ["ready", "gone", "ack", "pick", "window", "stroke", "scrub", "action", "frame", ""]

numbers = st.integers(-3, 25) | st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 2**63, math.nan])
values = st.recursive(
    numbers | st.none() | st.booleans() | st.text(max_size=8) | st.just("x" * 10_000),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
plausible = st.fixed_dictionaries(  # nearly right, so that most of the checks are reached
    {"kind": st.sampled_from(KINDS)},
    optional={
        "view": st.sampled_from(["a", "b", ""]) | values,
        "row": numbers,
        "column": numbers,
        "seq": numbers,
        "step": numbers,
        "window": st.lists(numbers, min_size=3, max_size=5) | values,
        "cells": st.lists(st.lists(numbers, min_size=1, max_size=3), max_size=4) | values,
        "brush": numbers,
        "erases": st.booleans() | values,
    },
)
messages = plausible | st.dictionaries(st.sampled_from(["kind", *FIELDS]), values, max_size=5) | values


@pytest.mark.parametrize("name", MAKERS)
def test_closed_views_are_freed(name):
    views = [MAKERS[name]() for _ in range(50)]
    alive = [weakref.ref(view) for view in views]
    for view in views:
        view.layout.close()
        view.close()
    del views, view
    gc.collect()
    assert [ref() for ref in alive] == [None] * 50


@pytest.fixture(scope="module")
def run():
    """A run of three steps."""
    run = cx.Inversion(cx.load("lenet", device="cpu"), cx.digit(3), "conv1", steps=3)
    for _ in run.frames():
        pass
    return run


@pytest.mark.parametrize("name", MAKERS)
def test_malformed_messages_are_ignored_in_no_time(name, run):
    view, calls = MAKERS[name](), []
    if name == "run_view":
        view.set_run(run)
    if name == "frame_view":
        view.draw(np.zeros((2, 12, 20, 3), np.uint8))
    for callback in ("on_pick", "on_item", "on_window", "on_stroke", "on_scrub"):
        if hasattr(view, callback):
            setattr(view, callback, lambda *given, callback=callback: calls.append((callback, given)))

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(messages)
    def send(content):
        start = time.thread_time()
        view.receive(content)
        slow.append(time.thread_time() - start)

    slow: list[float] = []
    send()
    assert len(slow) >= 300
    print(f"{name}: {len(slow)} messages, the slowest {1000 * max(slow):.1f} ms")
    assert max(slow) < 0.05
    for callback, given_ in calls:
        if callback == "on_pick":
            assert 0 <= given_[0] < 12
            assert 0 <= given_[1] < 20
        elif callback == "on_item":
            assert given_[0] in (0, 1)
        elif callback == "on_window":
            top, left, bottom, right = given_
            assert 0 <= top < bottom <= 12
            assert 0 <= left < right <= 20
        elif callback == "on_stroke":
            cells, brush, erases = given_
            assert all(0 <= row < 12 and 0 <= column < 20 for row, column in cells)
            assert (brush >= 1, isinstance(erases, bool)) == (True, True)
        elif callback == "on_scrub":
            assert 0 <= given_[0] <= run.total


def test_a_stroke_that_no_mouse_can_have_drawn_is_ignored_at_once():
    view, strokes = FrameView((12, 20)), []
    view.on_stroke = lambda *stroke: strokes.append(stroke)
    start = time.thread_time()
    view.receive({"kind": "stroke", "cells": [[1, 1]] * 1_000_000, "brush": 3, "erases": False})
    assert time.thread_time() - start < 0.05
    assert strokes == []
    view.receive({"kind": "stroke", "cells": [[1, 1], [2.0, 3]], "brush": 3, "erases": True})
    assert strokes == [([(1, 1), (2, 3)], 3, True)]


@pytest.mark.parametrize("value", ["3", None, 30, -2, 10**400, math.nan, [3], {}, True, 2.5])
def test_the_browser_can_only_select_what_the_grid_has(value):
    grid, chosen = UnitGrid(30, 8), []
    grid.on_select(chosen.append)
    grid.set_state({"selected": value})
    grid.set_state({"count": 5, "captions": "x", "_esm": "alert(1)", "nothing": 0})
    assert (grid.count, grid.selected, chosen) == (30, -1, [])
    grid.set_state({"selected": 29})
    assert chosen == [29]


def test_picks_are_of_the_pictures_that_are_drawn():
    view, picks = FrameView((12, 20)), []
    view.on_pick = lambda *place: picks.append(place)
    view.draw(np.zeros((40, 50, 3), np.uint8))
    view.receive({"kind": "pick", "row": 39, "column": 49})
    view.receive({"kind": "pick", "row": 40, "column": 49})
    assert picks == [(39, 49)]


def test_thumbnails_are_sent_again_to_a_view_that_comes_later_and_to_one_that_says_so(monkeypatch):
    grid, sent, now = UnitGrid(5, 8), [], [0.0]
    grid.open_views = OpenViews(clock=lambda: now[0])
    monkeypatch.setattr(grid, "send", lambda content, buffers=None: sent.append(content))
    grid.receive({"kind": "ready", "view": "a"})
    grid.put([1, 3], np.zeros((2, 8, 8, 3), np.uint8))
    assert [content.get("units", content.get("done")) for content in sent] == [0, [1, 3]]
    now[0] += 1
    for _ in range(3):  # it was not answered, and a cell kept its messages waiting
        grid.receive({"kind": "ready", "view": "a"})
    assert [content.get("units", content.get("done")) for content in sent] == [0, [1, 3], [1, 3], 2]
    grid.receive({"kind": "ready", "view": "b"})
    assert [content["kind"] for content in sent[4:]] == ["sprites", "here"]
    grid.reset(4, 16)
    assert sent[-1] == {"kind": "clear", "resets": 1, "side": 16, "shown": 16}


def test_a_picture_is_sent_again_to_a_view_that_was_not_answered(monkeypatch):
    view, sent, now = FrameView((4, 5)), [], [0.0]
    view.stream = Stream(lambda content, buffers: view.send(content, buffers), lambda: now[0])
    monkeypatch.setattr(view, "send", lambda content, buffers=None: sent.append((content["kind"], content.get("seq"))))
    view.receive({"kind": "ready", "view": "a"})
    view.draw(np.zeros((4, 5, 3), np.uint8))
    assert sent == [("here", 0), ("frame", 1)]
    now[0] += 1
    view.receive({"kind": "ready", "view": "a"})
    assert sent[2:] == [("frame", 2), ("here", 2)]
    view.receive({"kind": "ready", "view": "a"})
    assert sent[4:] == [("here", 2)], "the first of several is answered with the picture"


def test_a_page_that_closes_without_a_word_is_dropped():
    grid, views, now = UnitGrid(100, 8), [], [0.0]
    grid.open_views = OpenViews(views.append, lambda: now[0])
    for view in ("alive", "ghost"):
        grid.receive({"kind": "ready", "view": view})
    for k in range(40):
        now[0] += 1
        grid.put(k, np.zeros((8, 8, 3), np.uint8))
        grid.receive({"kind": "ack", "view": "alive"})
    assert views == [1, 2, 1]
    grid.receive({"kind": "gone", "view": "alive"})
    assert views == [1, 2, 1, 0]


@pytest.mark.parametrize("name", ["frame_view", "unit_grid"])
def test_a_page_that_closes_while_a_pass_shows_nothing_is_dropped(name, monkeypatch):
    view, views, now, sent = MAKERS[name](), [], [0.0], []
    monkeypatch.setattr(view, "send", lambda content, buffers=None: sent.append(content))
    if name == "frame_view":
        view.stream = Stream(lambda content, buffers: view.send(content, buffers), lambda: now[0])
        view.stream.open_views.on_change = views.append
    else:
        view.open_views = OpenViews(views.append, lambda: now[0])
    for one in ("alive", "ghost"):
        view.receive({"kind": "ready", "view": one})
    for _ in range(400):  # a pass of 40 s
        now[0] += 0.1
        view.probe()
        if sent and sent[-1]["kind"] == "probe":
            view.receive({"kind": "ack", "view": "alive", "seq": sent[-1].get("seq", 0)})
    assert views == [1, 2, 1]
    assert [content["kind"] for content in sent[:3]] == ["here", "here", "probe"]
    assert 30 <= len(sent) - 2 <= 41, "a probe a second"
    for _ in range(400):
        now[0] += 0.1
        view.probe()
    assert views == [1, 2, 1, 0]
    assert len(sent) - 2 <= 42, "one that is not answered is enough"
    view.receive({"kind": "ack", "view": "alive", "seq": 5})
    assert views == [1, 2, 1, 0, 1], "a tab that was hidden is taken back"


def test_a_pass_without_pictures_pauses_when_its_page_is_gone(keep):
    panel = keep(cx.UnitPanel("worldnet", "conv1", images=cx.world.dataset(20_000, 5)))
    now = [0.0]
    panel.grid.open_views = OpenViews(panel.runner.watched, lambda: now[0])
    panel.grid.receive({"kind": "ready", "view": "a"})
    until(lambda: panel.runner.run is not None and panel.runner.run.step > 1)
    now[0] += 2
    until(lambda: panel.grid.open_views.sent > 0)
    assert panel.runner.state == "running"
    now[0] += 31
    until(lambda: panel.runner.state == "paused")
    panel.grid.receive({"kind": "ready", "view": "b"})
    assert panel.runner.state == "running"


@pytest.mark.parametrize("name", [*PANELS, "explorer"])
def test_malformed_messages_end_no_run_of_any_panel(keep, monkeypatch, tmp_path, name):
    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path))
    repr(messages)  # Hypothesis keeps it; to describe it while a panel's thread imports or compiles is no safe thing
    whole = keep(cx.explore("lenet", cx.digit(3)) if name == "explorer" else PANELS[name]())
    panel, slow = getattr(whole, "panel", whole), []
    views = [one for one in _instances.values() if isinstance(one, View)]
    assert views

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(messages)
    def send(content):
        for view in views:
            start = time.thread_time()
            if isinstance(content, dict):
                view.set_state(content)
            if not isinstance(content, dict) or content.get("kind") not in ("pick", "window", "stroke", "action"):
                view.receive(content)
            else:
                view.receive({**content, "kind": content["kind"], "row": -1, "window": [3], "cells": [[0]], "view": 0})
            slow.append(time.thread_time() - start)

    gc.disable()  # a collection of what earlier tests left takes half a second
    try:
        send()
    finally:
        gc.enable()
    assert len(slow) >= 300 * len(views)
    print(f"{name}: {len(slow)} messages, the slowest {1000 * max(slow):.1f} ms")
    assert max(slow) < 0.05
    for runner in panel._awaited:  # a message may be a page that opens and says no more, or the key that pauses
        if runner.state == "paused":
            runner.resume()
    assert panel.wait(120)
    assert {runner.state for runner in panel._awaited} <= {"finished", "idle"}, panel.run_view.status
    assert panel.run_view.status["state"] != "failed"
