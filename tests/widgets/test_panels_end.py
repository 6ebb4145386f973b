"""The end of a panel, whoever causes it: nothing stays behind."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
import weakref
from pathlib import Path
from types import SimpleNamespace

import ipywidgets as w
import pytest
import torch
from comm import get_comm_manager
from IPython.core.events import EventManager, available_events
from ipywidgets.widgets.widget import _instances
from panels import PANELS
from waiting import until

import cnnexplore as cx


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("CNNEXPLORE_CACHE", str(tmp_path))


class Kernel:
    """A notebook's kernel that runs cells: what panels see of it."""

    def __init__(self):
        self.kernel = self
        self.events = EventManager(self, available_events)
        self._message, self._cell = 0, None

    def get_parent(self, channel):
        return {"metadata": {"cellId": self._cell}, "header": {"msg_id": str(self._message)}}

    def run(self, cell, *makes):
        """Run a cell that makes panels."""
        self._message, self._cell = self._message + 1, cell
        self.events.trigger("pre_run_cell", SimpleNamespace(cell_id=cell))
        return [make() for make in makes]


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    monkeypatch.setattr("IPython.get_ipython", lambda: kernel)
    monkeypatch.setattr("cnnexplore.widgets.live.post.running_kernel", lambda: None)
    yield kernel
    for cell in ("a", "b", "c"):
        kernel.run(cell)


def inversion():
    return cx.InversionPanel("lenet", layer="conv2", steps=20_000)


def explorer():
    return cx.explore("lenet", cx.digit(3))


def threads() -> int:
    return sum(t.name.startswith(("cnnexplore", "ThreadPool")) for t in threading.enumerate())


def test_a_cell_that_runs_again_closes_what_it_made(kernel):
    (first, second), (other,) = kernel.run("a", inversion, inversion), kernel.run("b", inversion)
    until(lambda: all(p.runner.state == "running" for p in (first, second, other)))
    (again,) = kernel.run("a", inversion)
    assert (first.closed, second.closed, other.closed, again.closed) == (True, True, False, False)
    until(lambda: again.runner.state == "running" and threads() == 2)
    kernel.run("a")  # the cell is another one now, or raises before it makes a panel
    assert again.closed
    assert not other.closed


def test_a_cell_that_runs_again_closes_its_explorer(kernel):
    (first,) = kernel.run("a", explorer)
    first.ask("attribution")
    (again,) = kernel.run("a", explorer)
    assert first.closed
    assert all(panel.closed for panel in first.panels.values())
    assert not again.closed
    again.wait(60)


@pytest.mark.parametrize("make", [inversion, explorer])
@pytest.mark.parametrize("who", ["the widget", "all widgets", "the browser"])
def test_a_panel_ends_with_its_widget(make, who):
    before = set(_instances)
    made = make()
    until(threads)
    if who == "the widget":
        made.widget.close()
    elif who == "the browser":
        made.widget.comm.handle_close({})
    else:
        w.Widget.close_all()
    assert made.closed
    assert set(_instances) <= before
    until(lambda: threads() == 0)


@pytest.mark.parametrize("name", PANELS)
def test_panels_can_be_made_after_all_widgets_were_closed(keep, name):
    keep(PANELS[name]()).wait(120)
    w.Widget.close_all()
    p = keep(PANELS[name]())
    assert p.wait(120)
    assert "cx." in p.to_python()


def test_a_closed_panel_says_so_and_does_nothing(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda thing, **options: shown.append(thing))
    p = inversion()
    p.close()
    p._ipython_display_()
    assert "this panel is closed" in shown[0].data
    p.start()
    p.run_view.set_status("running", "x")
    until(lambda: threads() == 0)


def test_a_pass_over_images_that_is_left_ends_its_reading_ahead(tmp_path):
    images = cx.world.dataset(2000, 5)
    p = cx.UnitPanel("worldnet", "conv1", images=images)
    until(lambda: any(t.name.startswith("ThreadPool") for t in threading.enumerate()))
    p.close()
    until(lambda: threads() == 0)


def use(panel):
    """Do what a person does with a panel: choose each option of each control once."""
    boxes = [one for one in every(panel.widget) if isinstance(one, (w.Dropdown, w.ToggleButton, w.ToggleButtons))]
    for box in boxes:
        if box is panel.selectors.network:
            continue
        if isinstance(box, w.ToggleButton):
            box.value = not box.value
            continue
        for value in [value for _, value in box._options_full][:4]:
            box.value = value


def every(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from every(child)


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_that_was_used_leaves_nothing(name):
    before, files = set(_instances), len(os.listdir("/proc/self/fd"))
    p = PANELS[name]()
    assert p.wait(120)
    use(p)
    p.close()
    assert set(_instances) <= before, {type(one) for key, one in _instances.items() if key not in before}
    until(lambda: threads() == 0)
    panel = weakref.ref(p)
    del p
    until(lambda: gc.collect() >= 0 and panel() is None, 20)
    assert len(os.listdir("/proc/self/fd")) <= files + 1  # a bundled file that stays mapped


@pytest.mark.long
@pytest.mark.parametrize("name", [*PANELS, "explorer"])
def test_two_hundred_rounds_of_a_panel_leave_nothing(kernel, name):
    alive, make = weakref.WeakSet(), PANELS.get(name, explorer)

    def rounds(count):
        for k in range(count):
            (panel,) = kernel.run("a", make)
            alive.add(panel)
            if k % 10 == 0:
                assert panel.wait(120)
        kernel.run("a")
        del panel
        until(lambda: threads() == 0)
        until(lambda: gc.collect() >= 0 and not alive, 20)
        return len(_instances), len(get_comm_manager().comms), len(os.listdir("/proc/self/fd")), hooks(), resident()

    rounds(100)  # until the arenas of the C library have their size
    *before, memory = rounds(5)
    *after, more = rounds(200)
    print(f"{name}: {(more - memory) / 1e6:.1f} MB more; widgets, comms, files and hooks {before}, then {after}")
    assert after == before
    assert more - memory < 20e6


def hooks() -> int:
    """How many hooks modules have."""
    modules = [one for one in gc.get_objects() if issubclass(type(one), torch.nn.Module)]
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in modules)


def resident() -> int:
    """Bytes of memory that this process has now, without what the C library only keeps for later."""
    ctypes.CDLL(None).malloc_trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
