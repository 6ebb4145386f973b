"""The thread behind a panel: drives one run at a time and can be steered from any callback."""

from __future__ import annotations

import atexit
import itertools
import threading
import traceback
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from ...errors import ExploreError
from .post import post, wait_for

MAX_RUNS = 8  # that go on at once in one kernel; one more stops the oldest
_serial = itertools.count()
_runners: weakref.WeakValueDictionary[str, Runner] = weakref.WeakValueDictionary()
_registry_lock = threading.Lock()


class Drivable(Protocol):
    """What a Runner drives: a `Run` of `cnnexplore.preimage` or a `Task`."""

    @property
    def step(self) -> int: ...
    @property
    def total(self) -> int: ...
    def frames(self) -> Iterator[Any]: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...


def _nothing(*arguments: object) -> None:
    """A callback that is not set."""


class Runner:
    """Drives runs in a daemon thread, one at a time, and reports what happens.

    Parameters
    ----------
    key : str, optional
        A new runner with the key of another one stops that: a cell that is run again. None: a key of its own.

    Attributes
    ----------
    on_made : callable
        Called with a run before its first step, in the thread of the loop. It must not change a control.
    on_frame : callable
        Called with each frame, in the thread of the loop. It must not change a control.
    on_run : callable
        Called with a run that is ready, on the kernel's thread.
    on_result : callable
        Called with each frame, on the kernel's thread.
    on_state : callable
        Called with "loading", "running", "paused", "finished", "stopped" or "failed", on the kernel's thread.
    on_error : callable
        Called with a sentence and the traceback, on the kernel's thread.
    """

    def __init__(self, key: str | None = None):
        self.key = key or f"anonymous {next(_serial)}"
        self.run: Any = None  # a Drivable
        self.state = "idle"
        self._forget_callbacks()
        self._lock = threading.RLock()
        self._generation = 0
        self._thread: threading.Thread | None = None
        self._steps_left: int | None = None
        self._asleep = False  # paused because no view was open
        self._idle = threading.Event()
        self._idle.set()
        _register(self)

    def begin(self, make: Callable[[], Drivable], paused: bool = False) -> None:
        """Make a run in the thread, in place of the one there is, and drive it.

        Parameters
        ----------
        make : callable
            Called in the thread; what it returns is driven.
        paused : bool
            The run is made and waits for `resume`.
        """
        with self._lock:
            if self.run is not None:
                self.run.stop()
            self.run = None
            self._steps_left, self._asleep = None, False
            self._launch(make, paused)

    def resume(self) -> None:
        """Go on with the run, also after the cause of an error was mended."""
        self._go(None)

    def step(self) -> None:
        """Take one step and pause."""
        self._go(1)

    def pause(self) -> None:
        """Wait before the next step."""
        with self._lock:
            self._asleep = False
            if self.run is not None and self.state == "running":
                self.run.pause()
                self._set_state("paused")

    def watched(self, views: int) -> None:
        """Pause while no view is open, and go on with the next one if that was why.

        Parameters
        ----------
        views : int
            How many views are open.
        """
        with self._lock:
            if views == 0 and self.state == "running":
                self.pause()
                self._asleep = True
            elif views and self._asleep:
                self.resume()

    def stop(self) -> None:
        """End the thread; `resume` starts it again."""
        with self._lock:
            self._generation += 1
            if self.run is not None:
                self.run.stop()
            if self.state in ("running", "paused", "loading"):
                self._set_state("stopped")
            self._idle.set()

    def close(self) -> None:
        """End the thread for good; no callback is called again, and the run is let go."""
        with self._lock:
            self._forget_callbacks()
            self.stop()
            self.run = self._thread = None
        with _registry_lock:
            if _runners.get(self.key) is self:
                del _runners[self.key]

    @property
    def idle(self) -> bool:
        """Whether no run goes on."""
        return self._idle.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Block until the run has ended or failed and its results are shown; an interrupt only ends the waiting.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits without limit.

        Returns
        -------
        bool
            Whether it ended in time.
        """
        return wait_for(self._idle, timeout)

    def _go(self, steps: int | None) -> None:
        with self._lock:
            run = self.run
            if run is None or run.step >= run.total:
                return
            self._steps_left, self._asleep = steps, False
            if self._thread is not None and self._thread.is_alive() and self.state == "paused":
                self._set_state("running")
                run.resume()
            elif self.state != "running":
                run.resume()
                self._launch(lambda: run, False)

    def _launch(self, make: Callable[[], Drivable], paused: bool) -> None:
        self._generation += 1
        self._idle.clear()
        _make_room(self)
        arguments = (make, paused, self._generation)
        self._thread = threading.Thread(target=self._drive, args=arguments, daemon=True, name=f"cnnexplore {self.key}")
        self._thread.start()

    def _current(self, generation: int) -> bool:
        return generation == self._generation

    def _post(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a callback on the kernel's thread, unless another run has begun by then; its error ends the run."""
        generation = self._generation

        def call() -> None:
            if self._current(generation):
                try:
                    function(*arguments)
                except Exception as error:
                    self._fail(error)

        post(call)

    def _fail(self, error: Exception) -> None:
        """End the run with an error, which is reported once."""
        with self._lock:
            if self.state == "failed":
                return
            self._generation += 1
            if self.run is not None:
                self.run.stop()
            known = isinstance(error, ExploreError)
            self._post(self.on_error, str(error) if known else f"{type(error).__name__}: {error}", _traceback(error))
            self._set_state("failed")
            self._idle.set()

    def _set_state(self, state: str) -> None:
        self.state = state
        self._post(self.on_state, state)

    def _drive(self, make: Callable[[], Drivable], paused: bool, generation: int) -> None:
        try:
            with self._lock:
                if not self._current(generation):
                    return
                if self.run is None:
                    self._set_state("loading")
            run = make()
            with self._lock:
                if not self._current(generation):
                    return
                if self.run is not run:
                    self.run = run
                    self.on_made(run)
                    self._post(self.on_run, run)
                self._set_state("paused" if paused else "running")
                if paused:
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
                    if self.on_result is not _nothing:
                        self._post(self.on_result, frame)
                    if self.state == "paused":  # the step that was under way when it was asked to wait
                        self._post(self.on_state, "paused")
            with self._lock:
                if self._current(generation) and run.step >= run.total:
                    self._set_state("finished")
                    self._idle.set()
        except Exception as error:
            with self._lock:
                if self._current(generation):
                    self._fail(error)

    def _forget_callbacks(self) -> None:
        self.on_made: Callable[[Any], None] = _nothing
        self.on_frame: Callable[[Any], None] = _nothing
        self.on_run: Callable[[Any], None] = _nothing
        self.on_result: Callable[[Any], None] = _nothing
        self.on_state: Callable[[str], None] = _nothing
        self.on_error: Callable[[str, str], None] = _nothing


def _traceback(error: Exception) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


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
        surplus = busy[: max(0, len(busy) - MAX_RUNS + 1)]
    if surplus:  # elsewhere: the caller may hold locks that these wait for
        threading.Thread(target=_stop_all, args=(surplus,), daemon=True, name="making room").start()


def _stop_all(runners: list[Runner]) -> None:
    for runner in runners:
        runner.stop()


@atexit.register
def _end_all() -> None:
    """A thread that is inside PyTorch while Python ends would take the whole process down."""
    _stop_all(list(_runners.values()))
    for thread in threading.enumerate():
        if thread.name.startswith("cnnexplore "):
            thread.join(5)
