"""The loop behind a panel: drives one run at a time in a thread and can be steered from any callback."""

from __future__ import annotations

import itertools
import threading
import traceback
from collections.abc import Callable
from typing import Any

from ...errors import ExploreError
from . import kernel_runs
from .post import post, wait_for
from .task import Drivable, release

_serial = itertools.count()


def _nothing(*arguments: object) -> None:
    """A callback that is not set."""


class Runner:
    """Drives runs in a thread, one at a time, and reports what happens.

    The threads are shared by all runners of a kernel. A runner has one only while a run goes on or is paused; one whose
    views are all closed has none.

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
    on_step : callable
        Called without arguments after each step, in the thread of the loop. It must not change a control.
    on_error : callable
        Called with a sentence and the traceback, on the kernel's thread.
    """

    def __init__(self, key: str | None = None):
        self.key = key or f"anonymous {next(_serial)}"
        self.run: Any = None  # a Drivable
        self.state = "idle"
        self._forget_callbacks()
        self._lock = threading.RLock()
        self._generation = 0  # of what is posted: nothing is reported of an earlier run, or of one before `stop`
        self._drive_number = 0  # of the thread that drives now; an earlier one ends before its next step
        self.drives = False  # whether that thread goes on, or will
        self._again = False  # asked to go on while it ran: one that was lengthened in its last step is driven on
        self._gives_way = 0  # the number of a drive that is to end, because there are too many
        self._turn = threading.Lock()  # held by the thread that drives the run: two at once would take the same step
        self._steps_left: int | None = None
        self._asleep = False  # paused because no view was open
        self._closed = False
        self._idle = threading.Event()
        self._idle.set()
        kernel_runs.register(self)

    def _forget_callbacks(self) -> None:
        self.on_made: Callable[[Any], None] = _nothing
        self.on_frame: Callable[[Any], None] = _nothing
        self.on_step: Callable[[], None] = _nothing
        self.on_run: Callable[[Any], None] = _nothing
        self.on_result: Callable[[Any], None] = _nothing
        self.on_state: Callable[[str], None] = _nothing
        self.on_error: Callable[[str, str], None] = _nothing

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
            if self._closed:
                return
            self._generation += 1
            self._let_go()
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

    def watch(self, view: Any) -> None:
        """Pause while a view is open in no browser; each step asks those that are open for an answer.

        Parameters
        ----------
        view : View
            One with `on_views` and `probe`.
        """
        view.on_views, self.on_step = self.watched, view.probe

    def watched(self, views: int) -> None:
        """Pause while no view is open, without a thread, and go on with the next one if that was why.

        Parameters
        ----------
        views : int
            How many views are open.
        """
        with self._lock:
            if views == 0 and self.state == "loading":
                self._asleep = True
            elif views == 0 and self.state in ("running", "paused"):
                self._asleep = self._asleep or self.state == "running"
                self._end_drive()
                if self.state == "running":
                    self._set_state("paused")
            elif views and self._asleep and self.state == "loading":
                self._asleep = False
            elif views and self._asleep:
                self.resume()

    def stop(self) -> None:
        """End the thread; `resume` starts another."""
        with self._lock:
            self._generation += 1
            self._asleep = False
            self._end_drive()
            if self.state in ("running", "paused", "loading"):
                self._set_state("stopped")
            self._idle.set()

    def close(self) -> None:
        """End the thread for good; no callback is called again, and the run is let go."""
        with self._lock:
            self._closed = True
            self._forget_callbacks()
            self.stop()
            self._let_go()
        kernel_runs.forget(self)

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
            if self.state == "running":
                self._again = True
                return
            self._set_state("running")
            run.resume()
            if not self.drives:
                self._launch(lambda: run, False)

    def _launch(self, make: Callable[[], Drivable], paused: bool) -> None:
        self._drive_number += 1
        self.drives, self._again = True, False
        self._idle.clear()
        kernel_runs.make_room(self)
        number, generation, turn = self._drive_number, self._generation, self._turn
        kernel_runs.WORKERS.submit(self, lambda: self._drive(make, paused, number, generation, turn))

    def _end_drive(self) -> None:
        """Have the thread end before its next step."""
        self._drive_number += 1
        self.drives = False
        kernel_runs.WORKERS.drop(self)
        if self.run is not None:
            self.run.stop()

    def _let_go(self) -> None:
        """End the run for good: by the thread that drives it, or here."""
        self._end_drive()
        run, turn = self.run, self._turn
        self.run, self._turn = None, threading.Lock()
        release(run, turn)

    def give_way(self) -> None:
        """Have the run stop soon. Without the lock: the caller may hold one that the thread of the loop waits for."""
        run, self._gives_way = self.run, self._drive_number
        if run is not None:
            run.stop()

    def _post(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a callback on the kernel's thread, unless another run has begun by then; its error ends the run."""
        generation = self._generation

        def call() -> None:
            if generation == self._generation:
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
            self._end_drive()
            known = isinstance(error, ExploreError)
            self._post(self.on_error, str(error) if known else f"{type(error).__name__}: {error}", _traceback(error))
            self._set_state("failed")
            self._idle.set()

    def _set_state(self, state: str) -> None:
        self.state = state
        self._post(self.on_state, state)

    def _drive(
        self, make: Callable[[], Drivable], paused: bool, number: int, generation: int, turn: threading.Lock
    ) -> None:
        """Make a run and drive it; in a thread."""
        run = None
        with turn:
            try:
                run = self._made(make, paused, number)
                for frame in run.frames() if run is not None else ():
                    if not self._take(frame, number, generation):
                        break
            except Exception as error:
                with self._lock:
                    if number == self._drive_number:
                        self._fail(error)
        with self._lock:
            if number == self._drive_number:
                if self._again and run is not None and run.step < run.total and not self._unwanted(number):
                    self._launch(lambda: run, False)  # it was lengthened while its last step was reported
                    return
                self.drives = False
                self._set_state("finished" if run is not None and run.step >= run.total else "stopped")
                self._idle.set()
            left = run is not None and self.run is not run
        if left:
            release(run, turn)

    def _made(self, make: Callable[[], Drivable], paused: bool, number: int) -> Drivable | None:
        """The run, ready to be driven; None if it is not to be driven now."""
        with self._lock:
            if self._unwanted(number):
                return None
            if self.run is None:
                self._set_state("loading")
        run = make()
        with self._lock:
            if self._unwanted(number):
                return None
            if self.run is run:  # it goes on
                return run
            self.run = run
            self.on_made(run)
            self._post(self.on_run, run)
            self._set_state("paused" if paused or self._asleep else "running")
            if self._asleep:  # the last view was closed meanwhile
                self._end_drive()
                return None
            if paused:
                run.pause()
            if self._unwanted(number):  # asked meanwhile, perhaps before the pause
                run.resume()
        return run

    def _take(self, frame: Any, number: int, generation: int) -> bool:
        """Report a frame; return whether there is to be another one.

        The step that was under way when the drive was to end is reported, too, if its run can still go on.
        """
        with self._lock:
            if generation != self._generation:
                return False
            if self._steps_left is not None:
                self._steps_left -= 1
                if self._steps_left <= 0:
                    self._steps_left = None
                    self.pause()
            self.on_frame(frame)
            self.on_step()
            if self.on_result is not _nothing:
                self._post(self.on_result, frame)
            if self.state == "paused":  # the step that was under way when it was asked to wait
                self._post(self.on_state, "paused")
            return not self._unwanted(number)

    def _unwanted(self, number: int) -> bool:
        """Whether a drive is to end: by another one, by `stop` or `close`, or because there are too many."""
        return number != self._drive_number or number == self._gives_way


def _traceback(error: Exception) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))
