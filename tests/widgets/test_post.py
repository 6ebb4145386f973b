"""Functions that a loop's thread posts to the kernel's thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from cnnexplore.widgets.live.post import handles_messages, post, wait_for


@pytest.fixture
def kernel(monkeypatch):
    """An asyncio loop in a thread that handles messages, as a kernel's."""
    monkeypatch.setattr("cnnexplore.widgets.live.post.running_kernel", lambda: object())
    loop, ready = asyncio.new_event_loop(), threading.Event()

    def run():
        loop.call_soon(handles_messages)
        loop.call_soon(ready.set)
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(5)
    yield loop, thread
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def test_without_a_kernel_it_is_called_at_once():
    called = []
    post(lambda: called.append(threading.current_thread()))
    assert called == [threading.current_thread()]


def test_with_one_it_runs_there_in_order(kernel):
    seen = []
    for k in range(100):
        post(lambda k=k: seen.append((k, threading.get_ident())))
    done = threading.Event()
    done.set()
    assert wait_for(done, 5)
    assert seen == [(k, kernel[1].ident) for k in range(100)]


def test_the_kernel_s_thread_runs_them_itself_while_it_waits(kernel):
    seen, ended = [], threading.Event()

    def cell():
        done = threading.Event()

        def work():
            post(lambda: seen.append(threading.get_ident()))
            done.set()

        threading.Thread(target=work, daemon=True).start()
        assert wait_for(done, 5)
        assert seen == [kernel[1].ident]
        ended.set()

    kernel[0].call_soon_threadsafe(cell)
    assert ended.wait(10)


def test_a_thread_that_ended_is_forgotten(kernel):
    loop, thread = kernel
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    called = []
    post(lambda: called.append(1))
    assert called == [1]


def test_a_loop_that_is_no_kernel_s_is_not_used():
    """Such a loop, a browser driver's for example, may not run for a long time."""

    called = []

    async def receive():
        handles_messages()
        post(lambda: called.append(1))

    thread = threading.Thread(target=lambda: asyncio.run(receive()))  # the tests' own thread may have a loop
    thread.start()
    thread.join(5)
    assert called == [1]
