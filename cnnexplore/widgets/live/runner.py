"""The thread behind a panel: drives one run at a time and can be steered from any callback."""

from __future__ import annotations

import atexit
import itertools
import threading
import traceback
import weakref
from collections.abc import Callable

from ...errors import ExploreError
from ...preimage import Frame, Run

MOST = 8  # runs that go on at once in one kernel; one more stops the oldest
_serial = itertools.count()
_runners: weakref.WeakValueDictionary[str, Runner] = weakref.WeakValueDictionary()
_registry_lock = threading.Lock()


class Runner:
    """Drives runs in a daemon thread, one at a time, and tells what happens.

    key: a runner with the same key takes the place of the earlier one (a cell that is run again). Called from the
    thread: on_run(run) when a run is ready, on_frame(frame), on_state(state) with "loading", "running", "paused",
    "finished", "stopped", on_error(sentence, traceback), after which the state is "failed".
    """

    def __init__(self, key: str | None = None):
        self.key = key or f"anonymous {next(_serial)}"
        self.run: Run | None = None
        self.state = "idle"
        self.on_run: Callable[[Run], None] = lambda run: None
        self.on_frame: Callable[[Frame], None] = lambda frame: None
        self.on_state: Callable[[str], None] = lambda state: None
        self.on_error: Callable[[str, str], None] = lambda sentence, trace: None
        self._lock = threading.RLock()
        self._generation = 0
        self._thread: threading.Thread | None = None
        self._steps_left: int | None = None
        self._asleep = False  # paused because nobody looked
        self._idle = threading.Event()
        self._idle.set()
        _register(self)

    def begin(self, make: Callable[[], Run], go: bool = True) -> None:
        """Makes a run in the thread, in place of the one there is, and drives it unless told only to make it."""
        with self._lock:
            if self.run is not None:
                self.run.stop()
            self.run = None
            self._steps_left, self._asleep = None, False
            self._launch(make, go)

    def resume(self) -> None:
        """Goes on with the run, also after an error was mended."""
        self._go(None)

    def step(self) -> None:
        """Takes one step and pauses."""
        self._go(1)

    def _go(self, steps: int | None) -> None:
        with self._lock:
            run = self.run
            if run is None or run.step >= run.total:
                return
            self._steps_left, self._asleep = steps, False
            if self._thread is not None and self._thread.is_alive() and self.state == "paused":
                self._tell("running")
                run.resume()
            elif self.state != "running":
                run.resume()
                self._launch(lambda: run, True)

    def pause(self) -> None:
        """Waits before the next step."""
        with self._lock:
            self._asleep = False
            if self.run is not None and self.state == "running":
                self.run.pause()
                self._tell("paused")

    def watched(self, views: int) -> None:
        """So many views are open: with none it waits, and goes on with the next one if that is why it waited."""
        with self._lock:
            if views == 0 and self.state == "running":
                self.pause()
                self._asleep = True
            elif views and self._asleep:
                self.resume()

    def stop(self) -> None:
        """Ends the thread; `resume` starts it again."""
        with self._lock:
            self._generation += 1
            if self.run is not None:
                self.run.stop()
            if self.state in ("running", "paused", "loading"):
                self._tell("stopped")
            self._idle.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until the run has ended or failed; an interrupt only ends the waiting. Says whether it ended."""
        try:
            return self._idle.wait(timeout)
        except KeyboardInterrupt:
            return False

    def _launch(self, make: Callable[[], Run], go: bool) -> None:
        self._generation += 1
        self._idle.clear()
        _make_room(self)
        arguments = (make, go, self._generation)
        self._thread = threading.Thread(target=self._drive, args=arguments, daemon=True, name=f"cnnexplore {self.key}")
        self._thread.start()

    def _current(self, generation: int) -> bool:
        return generation == self._generation

    def _tell(self, state: str) -> None:
        self.state = state
        self.on_state(state)

    def _drive(self, make: Callable[[], Run], go: bool, generation: int) -> None:
        try:
            with self._lock:
                if not self._current(generation):
                    return
                if self.run is None:
                    self._tell("loading")
            run = make()
            with self._lock:
                if not self._current(generation):
                    return
                if self.run is not run:
                    self.run = run
                    self.on_run(run)
                self._tell("running" if go else "paused")
                if not go:
                    run.pause()
            for frame in run.frames():
                with self._lock:
                    if not self._current(generation):
                        return
                    if self._steps_left is not None:
                        self._steps_left -= 1
                        if self._steps_left <= 0:
                            self._steps_left = None
                            self.pause()
                    self.on_frame(frame)
                    if self.state == "paused":  # the step that was under way when it was asked to wait
                        self.on_state("paused")
            with self._lock:
                if self._current(generation) and run.step >= run.total:
                    self._tell("finished")
                    self._idle.set()
        except Exception as error:
            with self._lock:
                if self._current(generation):
                    own = isinstance(error, ExploreError)
                    sentence = str(error) if own else f"{type(error).__name__}: {error}"
                    self.on_error(sentence, traceback.format_exc())
                    self._tell("failed")
                    self._idle.set()


def _register(runner: Runner) -> None:
    with _registry_lock:
        earlier = _runners.pop(runner.key, None)
        _runners[runner.key] = runner
    if earlier is not None:
        earlier.stop()


def _make_room(newcomer: Runner) -> None:
    with _registry_lock:
        _runners.pop(newcomer.key, None)
        _runners[newcomer.key] = newcomer  # the youngest last
        busy = [r for r in _runners.values() if r is not newcomer and r.state in ("loading", "running", "paused")]
        surplus = busy[: max(0, len(busy) - MOST + 1)]
    if surplus:  # elsewhere: who makes room may hold locks that these wait for
        threading.Thread(target=lambda: [runner.stop() for runner in surplus], daemon=True, name="making room").start()


@atexit.register
def _end_all() -> None:
    """A thread that is inside PyTorch while Python ends would take the whole process down."""
    for runner in list(_runners.values()):
        runner.stop()
    for thread in threading.enumerate():
        if thread.name.startswith("cnnexplore "):
            thread.join(5)
