"""The thread behind a panel."""

from __future__ import annotations

import gc
import os
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.live import kernel_runs
from cnnexplore.widgets.live.runner import Runner
from cnnexplore.widgets.live.task import Task
from cnnexplore.widgets.live.workers import MOST


def raises(error):
    """A method that raises an error."""

    def method(*arguments):
        raise error

    return method


@pytest.fixture(scope="module")
def net():
    return cx.load("lenet")


@pytest.fixture
def make(net):
    return partial(cx.Inversion, net, cx.digit(2), "conv2", steps=20_000)


@pytest.fixture
def runner():
    made = []

    def new(key=None):
        made.append(Runner(key))
        made[-1].frames, made[-1].states, made[-1].errors = [], [], []
        made[-1].on_frame = lambda frame, r=made[-1]: r.frames.append(frame.step)
        made[-1].on_state = made[-1].states.append
        made[-1].on_error = lambda sentence, trace, r=made[-1]: r.errors.append((sentence, trace))
        return made[-1]

    yield new
    for r in made:
        r.stop()


def test_a_run_goes_pauses_steps_and_goes_on(runner, make):
    r = runner()
    r.begin(make)
    until(lambda: len(r.frames) > 5)
    r.pause()
    until(lambda: r.state == "paused")
    time.sleep(0.1)
    step = r.run.step
    time.sleep(0.2)
    assert r.run.step == step
    r.step()
    until(lambda: r.run.step == step + 1)
    time.sleep(0.1)
    assert (r.run.step, r.state) == (step + 1, "paused")
    r.resume()
    until(lambda: r.run.step > step + 5)
    assert r.frames == list(range(1, len(r.frames) + 1)), "each step once, in order"


def test_the_end_is_told_and_waited_for(runner, net):
    r = runner()
    r.begin(partial(cx.Inversion, net, cx.digit(2), "conv2", steps=5, refine=2))
    assert r.wait(20)
    assert r.states == ["loading", "running", "finished"]
    assert r.frames == [1, 2, 3, 4, 5, 6, 7]


def test_a_run_that_is_only_made_waits(runner, make):
    r = runner()
    r.begin(make, paused=True)
    until(lambda: r.state == "paused")
    time.sleep(0.1)
    assert r.frames == []
    r.resume()
    until(lambda: len(r.frames) > 2)


def test_a_new_run_replaces_the_one_there_is(runner, make):
    r = runner()
    r.begin(make)
    until(lambda: len(r.frames) > 3)
    first = r.run
    r.begin(make)
    until(lambda: r.run is not None and r.run is not first and r.run.step > 3)
    step = first.step
    time.sleep(0.2)
    assert first.step == step
    until(lambda: cnnexplore_threads() == 1)


def test_the_same_key_takes_the_place_of_the_earlier_runner(runner, make):
    earlier, later = runner("cell 1"), None
    earlier.begin(make)
    until(lambda: len(earlier.frames) > 3)
    later = runner("cell 1")
    assert earlier.state == "stopped"
    later.begin(make)
    until(lambda: len(later.frames) > 3)


def test_runs_are_bounded_and_the_oldest_gives_way(runner, make):
    crowd = [runner() for _ in range(kernel_runs.MAX_RUNS + 1)]
    for r in crowd:
        r.begin(make)
        until(lambda r=r: len(r.frames) > 0)
    until(lambda: crowd[0].state == "stopped")
    assert all(r.state == "running" for r in crowd[1:])
    crowd[0].resume()
    until(lambda: crowd[1].state == "stopped")


def test_an_error_is_a_sentence_and_the_run_goes_on_when_it_is_mended(runner, make, monkeypatch):
    r = runner()
    r.begin(make)
    until(lambda: len(r.frames) > 3)
    monkeypatch.setattr(type(r.run), "_inputs", raises(cx.SettingError("mend this.")))
    until(lambda: r.state == "failed" and r.errors)
    assert r.errors[0][0] == "mend this."
    assert "Traceback" in r.errors[0][1]
    step = r.run.step
    monkeypatch.undo()
    r.resume()
    until(lambda: r.run.step > step + 3)
    assert r.state == "running"


def test_a_run_that_cannot_be_made_is_told(runner, net):
    r = runner()
    r.begin(partial(cx.Inversion, net, cx.digit(2), "conv9"))
    assert r.wait(20)
    assert "'conv9' is not a layer" in r.errors[0][0]
    assert r.state == "failed"


def test_it_waits_while_nobody_looks_and_goes_on_only_then(runner, make):
    r = runner()
    r.begin(make)
    until(lambda: r.state == "running")
    r.watched(0)
    assert r.state == "paused"
    r.watched(1)
    assert r.state == "running"
    r.pause()  # a person asked for that
    r.watched(0)
    r.watched(1)
    assert r.state == "paused"


def test_an_error_while_a_result_is_shown_is_a_sentence_too(runner, make):
    r = runner()
    r.on_result = raises(cx.SettingError("this cannot be drawn."))
    r.begin(make)
    assert r.wait(20)
    assert [sentence for sentence, _ in r.errors] == ["this cannot be drawn."]
    assert "raises" in r.errors[0][1] or "method" in r.errors[0][1]
    assert r.states[-1] == "failed"
    r.on_result = lambda frame: None
    step = r.run.step
    r.resume()
    until(lambda: r.run.step > step + 3)


def cnnexplore_threads() -> int:
    return sum(t.name.startswith("cnnexplore") for t in threading.enumerate())


def test_a_thousand_beginnings_in_a_row_have_few_threads(runner, make):
    r = runner()
    for _ in range(1000):
        r.begin(make)
        until(lambda: cnnexplore_threads() <= MOST)  # a thread that has left the others needs a moment to end
    until(lambda: len(r.frames) > 3)
    r.close()
    until(lambda: cnnexplore_threads() == 0)


def test_many_runners_at_once_have_few_threads_and_the_youngest_go_on(runner, make):
    crowd = [runner() for _ in range(30)]
    for r in crowd:
        r.begin(make)
    until(lambda: cnnexplore_threads() <= MOST)
    until(lambda: all(r.frames for r in crowd[-MOST:]))
    until(lambda: all(r.state == "stopped" for r in crowd[:-MOST]))
    assert all(r.idle for r in crowd[:-MOST])
    until(lambda: cnnexplore_threads() <= MOST)


def test_without_views_a_run_has_no_thread_and_goes_on_where_it_was(runner, make):
    r = runner()
    r.begin(make)
    until(lambda: len(r.frames) > 3)
    r.watched(0)
    until(lambda: cnnexplore_threads() == 0)
    step = r.run.step
    r.watched(1)
    until(lambda: r.run.step > step + 3)
    assert r.frames == list(range(1, len(r.frames) + 1)), "each step once, in order"


def test_views_that_close_while_a_run_is_made_are_noticed(runner, make):
    r, may_go = runner(), threading.Event()

    def slowly():
        assert may_go.wait(20)
        return make()

    r.begin(slowly)
    until(lambda: r.state == "loading")
    r.watched(0)
    may_go.set()
    until(lambda: r.state == "paused" and cnnexplore_threads() == 0)
    assert r.frames == []
    r.watched(1)
    until(lambda: len(r.frames) > 3)


def test_no_result_is_lost_when_views_close_and_open_again(runner):
    r, shown = runner(), []
    r.on_frame, r.on_result = (lambda frame: None), shown.append
    r.begin(lambda: Task(iter_slowly(40), 40))
    for _ in range(20):
        r.watched(0)
        time.sleep(0.003)
        r.watched(1)
        time.sleep(0.003)
    assert r.wait(20)
    assert shown == list(range(40))
    assert r.errors == []


def iter_slowly(count):
    for k in range(count):
        time.sleep(0.005)
        yield k


class Held:
    """A stream of results that holds something until it is closed."""

    def __init__(self):
        self.closed = threading.Event()

    def stream(self):
        try:
            yield from iter_slowly(100_000)
        finally:
            self.closed.set()


@pytest.mark.parametrize("end", ["close", "begin", "close while asleep", "close while paused"])
def test_a_stream_that_is_left_is_closed(runner, make, end):
    r, held, shown = runner(), Held(), []
    r.on_frame, r.on_result = (lambda frame: None), shown.append
    r.begin(lambda: Task(held.stream(), 100_000))
    until(lambda: len(shown) > 2)
    if end == "close while asleep":
        r.watched(0)
        until(lambda: cnnexplore_threads() == 0)
    if end == "close while paused":
        r.pause()
        time.sleep(0.05)
    assert not held.closed.is_set()
    if end == "begin":
        r.begin(make)
    else:
        r.close()
    assert held.closed.wait(10)


@pytest.mark.slow
def test_a_thousand_starts_and_stops_leave_nothing(runner, make):
    r = runner()

    def cycle(times):
        for _ in range(times):
            r.frames.clear()
            r.begin(make)
            until(lambda: len(r.frames) > 1)
            r.stop()
        until(lambda: cnnexplore_threads() == 0)
        gc.collect()

    cycle(50)
    hooks = sum(len(m._forward_hooks) for m in make.args[0].module.modules())
    files, memory = len(os.listdir("/proc/self/fd")), resident()
    cycle(1000)
    assert sum(len(m._forward_hooks) for m in make.args[0].module.modules()) == hooks == 0
    assert len(os.listdir("/proc/self/fd")) == files
    assert resident() - memory < 20e6


def resident() -> int:
    """Bytes of memory that this process has now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_runs_of_one_kernel_get_equal_shares(runner, make):
    """Several panels draw at once: none waits until another one is done."""
    runners = [runner() for _ in range(3)]
    for one in runners:
        one.begin(make)
    until(lambda: all(len(one.frames) > 2 for one in runners))
    before = [one.frames[-1] for one in runners]
    until(lambda: max(one.frames[-1] - first for one, first in zip(runners, before, strict=True)) >= 60)
    taken = [one.frames[-1] - first for one, first in zip(runners, before, strict=True)]
    assert min(taken) > max(taken) / 3, taken
