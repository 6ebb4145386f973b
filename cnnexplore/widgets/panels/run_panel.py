"""RunPanel: a panel of an optimisation, steered while it goes on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as w
import numpy as np

from ...arguments import checked
from ...errors import SettingError
from ...network import Layer
from ...preimage import Frame, Parameter, Prior, Run, Settings, SteeredRun, Values
from ...preimage.patch_prior import GAMMA, PatchPrior
from ..elements import WRAP, button
from ..live.selection import Selection, SharedSelection
from ..views.map_view import nearest_position, receptive_box
from ..views.run_view import RunView
from .arguments import START, STARTED
from .base import NetworkLike, Panel
from .patch_controls import PatchControls
from .run_pictures import RunPictures, picture_row
from .run_status import RunStatus
from .settings_controls import SettingsControls, StartControls

# From 100 steps of refinement on, the energy after a change of C or beta is as low as that of a run from noise.
_MORE_STEPS = 100


class RunPanel(Panel):
    """An optimisation: its pictures, its settings as sliders that act at once, a chart of its energy, a scrub bar.

    A kind of panel makes the run (`_make`), gives the published settings (`_usual`), the Python and the caption, and
    what else stands above the pictures (`_above`) or beside the chart (`_beside`).

    Parameters
    ----------
    net, image, layer, selection
        As for `Panel`.
    values : dict
        Settings by name; None for the published choice.
    steps : int
        The length of a run.
    seed : int
        The first seed.
    seeds : int
        How many pictures grow side by side, each from its own seed.
    start : bool
        Begin at once; else wait for the button "start".

    Raises
    ------
    LayerNotFound, ImageError, SettingError, NetworkError, WeightsError
    """

    layer_help = "the layer whose activation is used"
    weighed = "activation"  # what C weighs
    loading = "computing the activation of the image …"
    again = "begin again from noise"
    metric_unit = metric_help = ""  # of the number that the run is judged by
    scales_C = False  # whether C keeps its ratio to the published one at another layer, whatever the ratio is
    priors: tuple[Prior, ...] = ()  # terms of the energy beside the usual ones
    patches: PatchControls | None = None  # where the patch prior can be switched on

    @checked(**STARTED)
    def __init__(
        self,
        net: NetworkLike,
        image: Any,
        layer: str | None,
        selection: SharedSelection | None,
        *,
        values: dict[str, float | None],
        steps: int,
        seed: int,
        seeds: int,
        start: bool,
    ):
        self._given, self._given_starts = values, (seed, seeds, steps)
        self._copies = False  # whether the Python of the run that is being made was asked for
        super().__init__(net, image, layer, selection)
        self._begin(paused=not start)

    # what a kind of panel defines

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What can be steered; the weight of patches among it, also while they are switched off."""
        return Run.parameters_for(priors=(*self.priors, PatchPrior))

    @abstractmethod
    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        """The published settings for a layer."""

    @abstractmethod
    def _make(self) -> Callable[[], SteeredRun]:
        """What makes the run of all that is chosen now; it is called in the thread of the loop."""

    def _options(self) -> dict[str, Any]:
        """What every run is given: its length, its seeds and its settings."""
        return {"steps": self.starts.steps, "seed": self.starts.seed_or_seeds, "settings": self.settings}

    @abstractmethod
    def _run_to_python(self, run: Any, step: int | None) -> str:
        """The Python of a run, up to a step."""

    @abstractmethod
    def _caption(self, run: Any) -> str:
        """The caption of the estimate."""

    def _above(self) -> list[w.Widget]:
        return []

    def _beside(self) -> list[w.Widget]:
        return []

    def _more_controls(self) -> list[w.Widget]:
        """Controls below the sliders."""
        return []

    def _rows(self, settings: w.Widget) -> list[list[w.Widget]]:
        """The rows of pictures, settings and chart."""
        return [[self.run_pictures.widget, settings], [*self._beside(), self.run_view]]

    def _show_run(self, run: Any) -> None:
        """Show what else another run brings."""

    def _looked_at(self) -> tuple:
        """All that a run belongs to; another one begins by itself when it changes."""
        s = self.selection.value
        return s.net, id(s.image), s.layer

    # what is on the screen

    def _prepare(self) -> None:
        self._published = self._usual(self.layer, self.net.size)
        self.settings = Settings(self._published)
        self.settings.update(**{name: value for name, value in self._given.items() if value is not None})
        self.starts = StartControls(*self._given_starts)

    def _methods(self) -> dict[str, str]:
        """The names of the methods that can be chosen, and what each does; none where there is one only."""
        return {}

    def _make_run_view(self) -> RunView:
        view = RunView(self.metric_unit, self.metric_help, layout=w.Layout(flex="1 1 320px", min_width="0"))
        view.on_scrub = self.scrub
        return view

    def _build(self) -> list[w.Widget]:
        self.run_status = RunStatus(self.run_view, self.loading)
        image = self.selection.value.image if self.looks_at_image else None
        self.run_pictures = RunPictures(self.net, image, self.patches)
        self.estimate = self.run_pictures.estimate
        self.runner.watch(self.estimate)
        if self.run_pictures.original is not None:
            self.run_pictures.original.on_pick = self.estimate.on_pick = self._pick
        self.controls = SettingsControls(self.settings, self._usual, self.weighed, self._methods())
        self.controls.set_layer(self.layer, self.net.size)
        self.controls.on_change = self._settings_moved
        self.starts.on_change = self._begin
        self.starts.on_wrong = self.run_view.set_message
        if self.patches is not None:
            self.patches.on_switch, self.patches.on_change = self._begin, self._settings_moved
        runner = self.runner
        runner.on_made, runner.on_frame = self._made, self._frame
        runner.on_run, runner.on_state, runner.on_error = self._run_ready, self._state, self._error
        columns = "repeat(auto-fit, minmax(min(306px, 100%), 1fr))"  # two where they stand below the pictures
        right = w.Layout(grid_template_columns=columns, flex="1 1 306px", min_width="0", align_items="center")
        above = self._above()
        settings = w.GridBox(self._settings_rows(), layout=right)
        return [*above, *(w.HBox(row, layout=w.Layout(**WRAP)) for row in self._rows(settings))]

    def _settings_rows(self) -> list[w.Widget]:
        buttons = [
            button("start", "play", "go on, also after the end", self.start),
            button("pause", "pause", "wait before the next step", self.pause, 78),
            button("step", "step-forward", "one step, then wait", self.step, 68),
            button("reset", "undo", self.again, self.reset),
        ]
        patches = [] if self.patches is None else [self.patches.row]
        starts = [self.starts.seed_box, self.starts.seeds_box, self.starts.steps_box]
        more = self._more_controls()
        presets = [self.controls.preset, *([] if self.controls.about is None else [self.controls.about])]
        return [*self.controls.sliders.values(), *patches, *more, *presets, w.HBox(starts), w.HBox(buttons)]

    def _shown_elsewhere(self) -> list[w.Widget]:
        return [] if self.original is None else [self.original]

    def _shared_controls(self) -> dict[str, w.Widget]:
        patches = self.patches
        return {} if patches is None else {"patches": patches.switch, "patch_weight": patches.weight}

    def shared_settings(self) -> dict[str, Any]:
        """The settings of the run, what it begins with, and the controls beside them."""
        values = {name: value for name, value in self.settings.snapshot().items() if name != GAMMA.name}
        return {**super().shared_settings(), **values, **{name: getattr(self.starts, name) for name in START}}

    def _take(self, settings: Mapping[str, Any]) -> None:
        parameters = {p.name for p in self.parameters} - {GAMMA.name}
        starts = {name: START[name](name, value) for name, value in settings.items() if name in START}
        values = {name: value for name, value in settings.items() if name in parameters}
        self.settings.update(**values)
        self.controls.show(self.settings.snapshot())
        self.starts.take(**starts)
        super()._take({name: value for name, value in settings.items() if name not in {*values, *starts}})
        self._begin()

    def _hidden_widgets(self) -> list[w.Widget]:
        pictures = self.run_pictures
        return [*pictures.views, pictures.learned, *([self.patches.view] if self.patches is not None else [])]

    # what a person does

    @property
    def run(self) -> Any:
        """The run that goes on or has ended; None before the first."""
        return self.runner.run

    @property
    def original(self) -> Any:
        """The view of the original, None where the panel looks at no image."""
        return self.run_pictures.original

    def start(self) -> None:
        """Go on with the run, also after its end; begin again if it has none."""
        self.run_pictures.shown = None
        if self.run is None or (self._has_ended and not isinstance(self.run, Run)):
            self._begin()
        else:
            self._go_on()

    def pause(self) -> None:
        """Wait before the next step."""
        self.runner.pause()

    def step(self) -> None:
        """Take one step, also after the end, then wait."""
        self.run_pictures.shown = None
        if self._has_ended and isinstance(self.run, Run):
            self.run.lengthen(1)
        self.runner.step()

    def reset(self) -> None:
        """Begin again and wait for `start`."""
        self._begin(paused=True)

    def scrub(self, step: int) -> None:
        """Look back at the kept picture that is nearest to a step; the run pauses.

        Parameters
        ----------
        step : int
            The step.
        """
        if self.run is None or not self.run_pictures.show_step(step):
            return
        self.runner.pause()
        self._say_step_shown()

    def _say_step_shown(self) -> None:
        shown = self.run_pictures.shown
        if shown is not None:
            text = f"looking back at step {shown} of {self.run.step}; start goes on"
            self.run_view.set_status(self.runner.state, text, live=False, step=shown)

    def to_python(self) -> str:
        """The Python that makes the picture on the screen again.

        Raises
        ------
        SettingError
            If there is no run yet.
        """
        if self._is_made:
            raise SettingError("the run is being made; wait a moment.")
        if self.run is None:
            raise SettingError("there is no run yet; press start.")
        return self._run_to_python(self.run, self.run_pictures.shown)

    def copy_python(self) -> None:
        """Put the Python of the picture on the clipboard and show it; of a run that is being made, when it ends."""
        self._copies = self._is_made
        if self._copies:
            self.run_view.set_message("the run is being made; its Python is copied when it is paused or has ended.")
        else:
            super().copy_python()

    @property
    def _is_made(self) -> bool:
        """Whether a run begins that is not there yet."""
        return self.run is None and not self.runner.idle

    @property
    def picture(self) -> np.ndarray:
        """The estimate on the screen, (H, W, 3) uint8; (N, H, W, 3) for several seeds."""
        return self.run_pictures.picture

    @property
    def number(self) -> str:
        """The number that judges the picture, in words: "relative error 0.064"; "" before the first step."""
        shown = self.run_pictures.shown
        if self.run is None or not (step := self.run.step if shown is None else shown):
            return ""
        name = self.run.loss.metric_name
        value = float(self.run.records(step - 1)[name][0].mean())
        return f"{'relative error' if name == 'error' else name} {value:.3g}{self.metric_unit}"

    def poster(self) -> bytes:
        """A PNG of the original and the estimates in a row, for where no kernel runs."""
        return self.run_pictures.poster(self.to_python() if self.run is not None else "")

    def _saved_picture(self) -> np.ndarray:
        return picture_row(self.picture)

    def _pick(self, row: int, column: int) -> None:
        """A click on a picture shows the receptive field of the unit in that place."""
        position = nearest_position(self.layer, row % self.net.size[0], column % self.net.size[1])
        self.selection.set(position=position)
        self.run_pictures.set_box(receptive_box(self.layer, position))
        size = " x ".join(f"{side:g}" for side in self.layer.rf_size)
        self.original.caption = f"original; the unit at ({position[0]}, {position[1]}) sees {size} px"

    def _selected(self, old: Selection, new: Selection) -> None:
        if {"net", "layer"} & new.differences(old):
            self._keep_published()
        if self._begun != self._looked_at():
            self.controls.set_layer(self.layer, self.net.size)
            self._begin()

    def _keep_published(self) -> None:
        """A setting that was the published one, or that of the chosen preset, for another layer is so for this one."""
        before, now = self._published, self._usual(self.layer, self.net.size)
        values, self._published = self.settings.snapshot(), now
        changes, ratio = {}, values.C / before.C
        if ratio == 1 or self.scales_C or self.controls.of_preset:
            changes["C"] = now.C if values.C == before.C else float(f"{ratio * now.C:.3g}")
        changes |= {
            name: now[name] for name, value in before.items() if name != "C" and value == values[name] != now[name]
        }
        self.settings.update(**changes)
        self.controls.show(self.settings.snapshot())

    def _settings_moved(self) -> None:
        """Have a setting act on a run that is at its end, or failed; one that goes on reads it before its next step."""
        run = self.run
        if self.runner.state == "failed":
            self.start()
        elif not isinstance(run, Run):
            if self._has_ended:
                self._begin()
        elif run.step >= run.steps and self.settings.snapshot().jitter != run.applied.jitter:
            self._begin()  # the refinement does not use it
        elif self._has_ended:
            self.run_pictures.shown = None
            self._go_on()
        elif run.step >= run.steps:
            run.lengthen(_MORE_STEPS)

    @property
    def _has_ended(self) -> bool:
        """Whether the run took its last step."""
        return self.run is not None and self.run.step >= self.run.total

    def _go_on(self) -> None:
        if self._has_ended:
            self.run.lengthen(_MORE_STEPS)
        self.runner.resume()

    # the run

    def _begin(self, paused: bool = False) -> None:
        self._begun = self._looked_at()
        self.run_pictures.shown = None
        self.runner.begin(self._make(), paused)

    def _made(self, run: Any) -> None:
        """Prepare for another run; in the thread of the loop, before the first step."""
        self.run_pictures.record(run)

    def _run_ready(self, run: SteeredRun) -> None:
        seeds = "" if len(set(run.seeds)) == 1 else f", seeds {min(run.seeds)} to {max(run.seeds)}"
        self.run_pictures.show_run(run, self.selection.value.image, self._caption(run) + seeds)
        self.run_view.set_run(run)
        self.run_status.begin()
        self._show_run(run)

    def _frame(self, frame: Frame) -> None:
        """Send a step's picture and numbers; in the thread of the loop, so no control is touched."""
        self.run_pictures.update(frame)
        if self.estimate.stream.views and self.runner.state == "running":
            self.run_status.update(frame.step)

    def _state(self, state: str) -> None:
        if state in ("paused", "finished", "stopped", "failed") and self.run is not None:
            self.run_view.update()
            self.run_pictures.show_last()
            self._update_poster()
            if self._copies:
                self.copy_python()
        if state in ("loading", "running"):
            self.hide_python()
        self.run_status.set_state(state, self.run.step if self.run is not None else 0)
        if state == "paused":  # by a look back, perhaps after one more step
            self._say_step_shown()

    def _error(self, sentence: str, trace: str) -> None:
        self.run_view.set_status("failed", sentence, trace)
