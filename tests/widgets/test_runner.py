"""The thread behind a panel."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.live import runner as room
from cnnexplore.widgets.live.runner import Runner


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
    assert sum(t.name.startswith("cnnexplore") and t.is_alive() for t in threading.enumerate()) == 1


def test_the_same_key_takes_the_place_of_the_earlier_runner(runner, make):
    earlier, later = runner("cell 1"), None
    earlier.begin(make)
    until(lambda: len(earlier.frames) > 3)
    later = runner("cell 1")
    assert earlier.state == "stopped"
    later.begin(make)
    until(lambda: len(later.frames) > 3)


def test_runs_are_bounded_and_the_oldest_gives_way(runner, make):
    crowd = [runner() for _ in range(room.MAX_RUNS + 1)]
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
    monkeypatch.setattr(type(r.run), "energy", raises(cx.SettingError("mend this.")))
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
