"""What holds for every panel: its loops touch no control, a selection changes once, and `close` ends all of it."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref

import ipywidgets as w
import pytest
from ipywidgets.widgets.widget import _instances
from panels import PANELS
from waiting import until

import cnnexplore as cx
from cnnexplore.widgets.live.post import handles_messages
from cnnexplore.widgets.live.selection import Selection, SharedSelection


@pytest.fixture
def kernel(monkeypatch):
    """The thread of a kernel, which handles the messages of a browser."""
    monkeypatch.setattr("cnnexplore.widgets.live.post.running_kernel", lambda: object())
    loop, ready = asyncio.new_event_loop(), threading.Event()

    def run():
        loop.call_soon(handles_messages)
        loop.call_soon(ready.set)
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(5)
    yield thread
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


@pytest.mark.parametrize("name", PANELS)
def test_no_control_changes_in_the_thread_of_a_loop(kernel, keep, monkeypatch, tmp_path, name):
    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path))
    changed = set()
    notify = w.Widget.notify_change

    def record(self, change):
        changed.add((threading.current_thread(), change["name"]))
        return notify(self, change)

    monkeypatch.setattr(w.Widget, "notify_change", record)
    p = keep(PANELS[name]())
    assert p.wait(120)
    threads = {thread for thread, _ in changed}
    assert kernel in threads, "results are shown by the kernel's thread"
    assert threads == {kernel, threading.current_thread()}, changed
    assert "cx." in p.to_python()


@pytest.mark.parametrize("name", PANELS)
def test_a_closed_panel_leaves_nothing(monkeypatch, tmp_path, name):
    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path))
    before = set(_instances)
    p = PANELS[name]()
    assert p.wait(120)
    p.close()
    p.close()  # a second time is nothing
    assert set(_instances) <= before, "all widgets are closed"
    until(lambda: not any(t.name.startswith("cnnexplore ") for t in threading.enumerate()))
    panel = weakref.ref(p)
    del p
    until(lambda: gc.collect() >= 0 and panel() is None, 20)


def test_a_change_of_several_fields_is_heard_once_and_complete():
    net, shared = cx.load("lenet"), SharedSelection()
    shared.set(net=net, layer="conv2", unit=3, position=(1, 2))
    heard = []
    shared.observe(lambda old, new: heard.append((old, new)))
    shared.set(net=cx.load("worldnet"), layer="conv1", unit=5)
    shared.set(layer="conv1", unit=5)  # as it is
    ((old, new),) = heard
    assert (old.net, old.layer, old.unit, old.position) == (net, "conv2", 3, (1, 2))
    assert (new.net.name, new.layer, new.unit, new.position) == ("worldnet", "conv1", 5, None)
    shared.set(net=net)
    assert shared.value.layer in net.layers, "a network comes with a layer of its own"
    with pytest.raises(cx.LayerNotFound):
        shared.set(layer="conv9")
    assert shared.value.layer != "conv9"
    with pytest.raises(AttributeError):
        shared.value.layer = "conv1"


def test_a_change_by_a_listener_is_reported_after_the_one_before():
    shared = SharedSelection(Selection(cx.load("lenet"), layer="conv1"))
    heard = []

    def chooses(old, new):
        if new.unit is None:
            shared.set(unit=7)

    shared.observe(chooses)
    shared.observe(lambda old, new: heard.append((old.layer, new.layer, new.unit)))
    shared.set(layer="conv2")
    assert heard == [("conv1", "conv2", None), ("conv2", "conv2", 7)]
