"""RunPanel: what all live panels have in common, so that who knows one knows all."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w
import numpy as np

from ...errors import SettingError
from ...network import Layer, Network
from ...preimage import Frame, Parameter, Prior, Run, Settings, Values
from ...preimage.patch_prior import PatchPrior
from ...results import png
from ...zoo import DEFAULT, load
from ..live.notebook import cell_key, show_with_still
from ..live.runner import Runner
from ..live.selection import Selection
from ..views.map_view import nearest_position, receptive_box
from ..views.run_view import RunView
from .images import ImageChoices, middle_layer
from .patch_controls import PatchControls
from .run_pictures import RunPictures, picture_row
from .run_status import RunStatus
from .selectors import Selectors
from .settings_controls import SettingsControls, StartControls


class RunPanel:
    """A live run: choosers, pictures, controls that act at once, a chart, a sentence, its code.

    A kind of panel says what it runs (`_make`), with which published settings (`_usual`), in which words, and what
    else stands above the pictures (`_above`), beside the chart (`_beside`) or elsewhere (`_below`).
    Raises LayerNotFound, ImageError, SettingError, NetworkError, WeightsError.
    """

    looks_at_image = True
    layer_help = "the layer whose code is used"
    counts = "code"  # what C weighs
    loading = "encoding the image …"
    again = "begin again from noise"
    unit = means = ""  # of the number that the run is judged by
    patches: PatchControls | None = None  # where the patch prior can be switched on
    priors: tuple[Prior, ...] = ()  # terms of the energy beside the usual ones

    def __init__(self, net, image, layer: str | None, given: dict, steps, seed, seeds, start, selection):
        if selection is not None:
            net, layer = net or selection.net, layer or selection.layer
        net = net if isinstance(net, Network) else load(net or DEFAULT)
        where = net.layers[layer] if layer else middle_layer(net)
        choices, self.image_choices = {"net": net, "layer": where.name}, None
        if self.looks_at_image:
            self.image_choices = ImageChoices(image, net)
            choices["image"], choices["image_python"] = self.image_choices[self.image_choices.first]
            if selection is not None and image is None and selection.image is not None:
                choices["image"], choices["image_python"] = selection.image, selection.image_python
                self.image_choices.add("shared", selection.image, selection.image_python)
                self.image_choices.first = "shared"
        self.selection = selection or Selection()
        self.selection.set(**choices)
        values = self._usual(where, net.size)
        self.settings = Settings(values)
        self.settings.update(**{name: value for name, value in given.items() if value is not None})
        self.starts = StartControls(seed, seeds, steps)
        self.runner = Runner(cell_key())
        self.runner.on_run, self.runner.on_frame = self._run_ready, self._frame
        self.runner.on_made = lambda run: self.run_pictures.record(run)
        self.runner.on_state, self.runner.on_error = self._state, self._error
        self._still = None
        self._prepare()
        self._build()
        self._begin(go=start)

    # what a kind of panel says

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What can be steered; the weight of patches among it, also while they are switched off."""
        return Run.parameters_for(priors=(*self.priors, PatchPrior))

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        """The published settings for a layer."""
        raise NotImplementedError

    def _make(self) -> Callable[[], Run]:
        """What makes the run of all that is chosen now; it is called in the runner's thread."""
        raise NotImplementedError

    def _python_of(self, run: Run, step: int | None) -> str:
        raise NotImplementedError

    def _says(self, run: Run) -> str:
        """The caption of the estimate."""
        raise NotImplementedError

    def _prepare(self) -> None:
        """Looks at what was given beside net, image and layer; the selection is in place, nothing else is."""

    def _above(self) -> list[w.Widget]:
        return []

    def _beside(self) -> list[w.Widget]:
        return []

    def _below(self, settings: w.Widget) -> list[list[w.Widget]]:
        """The rows of pictures, settings and chart."""
        return [[self.run_pictures.widget, settings], [*self._beside(), self.run_view]]

    def _new_run(self, run: Run) -> None:
        """Shows what else a new run brings; called from its thread."""

    # what is on the screen

    def _build(self) -> None:
        net, s = self.selection.net, self.selection
        self.run_view = RunView(self.unit, self.means, layout=w.Layout(flex="1 1 320px", min_width="0"))
        self.run_view.on_scrub = self._scrub
        self.run_status = RunStatus(self.run_view, self.loading)
        self.run_pictures = RunPictures(net, s.image if self.looks_at_image else None, self.patches)
        self.estimate = self.run_pictures.estimate
        self.estimate.on_views = self.runner.watched
        if self.looks_at_image:
            self.original = self.run_pictures.original
            self.original.on_pick = self.estimate.on_pick = self._pick
        self.selectors = Selectors(s, self.image_choices, self.run_view, self.layer_help)
        self.network, self.layer = self.selectors.network, self.selectors.layer
        if self.looks_at_image:
            self.image, self.upload = self.selectors.image, self.selectors.upload
        s.observe(self._selected, ["net", "image", "layer"])
        self.controls = SettingsControls(self.settings, self._usual, self.counts)
        self.controls.suit(net.layers[s.layer], net.size)
        self.controls.on_change = self._changed
        self.starts.on_change = self._begin
        if self.patches is not None:
            self.patches.on_switch, self.patches.on_change = self._begin, self._changed
        self.starts.on_wrong = lambda sentence: self.run_view.set_status("failed", sentence)
        self.python_button = self._button("Python", "code", "copy the Python that remakes this picture", self._copy)
        self.save_button = self._button("save", "download", "save the picture as PNG, with its Python", self._save)
        self.python_box = w.Textarea(layout=w.Layout(width="98%", height="58px", display="none"), disabled=False)

        wrap = {"flex_flow": "row wrap", "align_items": "flex-start"}
        space = w.Box(layout=w.Layout(flex="1 1 0"))
        top = [*self.selectors.row, space, self.python_button, self.save_button]
        columns = "repeat(auto-fit, minmax(min(306px, 100%), 1fr))"  # two where they stand below the pictures
        right = w.Layout(grid_template_columns=columns, flex="1 1 306px", min_width="0", align_items="center")
        settings = w.GridBox(self._settings_rows(), layout=right)
        self.widget = w.VBox(
            [
                w.HBox(top, layout=w.Layout(**wrap)),
                self.python_box,
                *self._above(),
                *(w.HBox(row, layout=w.Layout(**wrap)) for row in self._below(settings)),
            ],
            layout=w.Layout(max_width="900px"),
        )
        self.widget.add_class("cx-panel")

    def _settings_rows(self) -> list[w.Widget]:
        buttons = {
            "start": ("play", "go on; from the beginning if the run has ended", self.start),
            "pause": ("pause", "wait before the next step", self.pause, 78),
            "step": ("step-forward", "one step, then wait", self.step, 68),
            "reset": ("undo", self.again, self.reset),
        }
        row = [self._button(name, *rest) for name, rest in buttons.items()]
        c, patches = self.controls, [] if self.patches is None else [self.patches.row]
        starts = [self.starts.seed_box, self.starts.seeds_box, self.starts.steps_box]
        return [c.C, c.beta, c.jitter, c.alpha, *patches, c.preset, w.HBox(starts), w.HBox(row)]

    def _button(self, name: str, icon: str, tip: str, act, width: int = 72) -> w.Button:
        button = w.Button(description=name, icon=icon, tooltip=tip, layout=w.Layout(width=f"{width}px"))
        button.on_click(lambda _: act())
        return button

    def _ipython_display_(self) -> None:
        self._still = show_with_still(self.widget, self.poster())

    # what a person does

    def start(self) -> None:
        """Goes on with the run, or begins again if it has ended."""
        self.run_pictures.shown = None
        run = self.runner.run
        if run is None or run.step >= run.total:
            self._begin()
        else:
            self.runner.resume()

    def pause(self) -> None:
        """Waits before the next step."""
        self.runner.pause()

    def step(self) -> None:
        """Takes one step, then waits."""
        self.run_pictures.shown = None
        self.runner.step()

    def reset(self) -> None:
        """Begins again and waits for start."""
        self._begin(go=False)

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until the run has ended; an interrupt only ends the waiting. Says whether it ended."""
        return self.runner.wait(timeout)

    def to_python(self) -> str:
        """The line of Python that remakes the picture on the screen."""
        run = self.runner.run
        if run is None:
            raise SettingError("there is no run yet; press start.")
        return self._python_of(run, self.run_pictures.shown)

    @property
    def picture(self) -> np.ndarray:
        """The estimate on the screen, (H, W, 3) uint8; (N, H, W, 3) for several seeds."""
        return self.run_pictures.picture

    def poster(self) -> bytes:
        """A PNG of the original and the estimates in a row, for where no kernel runs."""
        return self.run_pictures.poster(self.to_python() if self.runner.run is not None else "")

    def _copy(self) -> None:
        with self.run_view.show_errors():
            text = self.to_python()
            self.python_box.value = text
            self.python_box.layout.display = ""
            self.run_view.copy(text)

    def _save(self) -> None:
        with self.run_view.show_errors():
            code, run = self.to_python(), self.runner.run
            name = f"{run.net.name}-{run.layer.name.replace('/', '-')}.png"
            self.run_view.download(name, png(picture_row(self.picture), code))

    def _scrub(self, step: int) -> None:
        if self.runner.run is None or not self.run_pictures.show_step(step):
            return
        self.runner.pause()
        shown = self.run_pictures.shown
        if shown is not None:
            text = f"looking back at step {shown} of {self.runner.run.step}; start goes on"
            self.run_view.set_status(self.runner.state, text, live=False)

    def _pick(self, row: int, column: int) -> None:
        """A click on a picture shows what the unit in that place sees."""
        self.selection.position = where = nearest_position(self._layer, row, column)
        self.run_pictures.set_box(receptive_box(self._layer, where))
        sees = " x ".join(f"{s:g}" for s in self._layer.rf_size)
        self.original.caption = f"original; unit ({where[0]}, {where[1]}) sees {sees} px"

    @property
    def _layer(self) -> Layer:
        return self.selection.net.layers[self.selection.layer]

    def _looked_at(self) -> tuple:
        """All that a run belongs to; another one begins by itself when it changes."""
        s = self.selection
        return s.net, id(s.image), s.layer

    def _selected(self, change) -> None:
        net, layer = self.selection.net, self.selection.layer
        with self.run_view.show_errors():
            if layer not in net.layers or self._begun == self._looked_at():
                return  # the other half of a change follows, or has been acted on
            self.controls.suit(net.layers[layer], net.size)
            self._begin()

    def _changed(self) -> None:
        run = self.runner.run
        if self.runner.state == "finished" or (run is not None and run.step >= run.total):
            self._begin()
        elif self.runner.state == "failed":
            self.start()

    # the run

    def _begin(self, go: bool = True) -> None:
        self._begun = self._looked_at()
        self.run_pictures.shown = None
        self.runner.begin(self._make(), paused=not go)

    def _run_ready(self, run: Run) -> None:
        seeds = "" if len(set(run.seeds)) == 1 else f", seeds {min(run.seeds)} to {max(run.seeds)}"
        self.run_pictures.show_run(run, self.selection.image, self._says(run) + seeds)
        self.run_view.set_run(run)
        self.run_status.begin()
        self._new_run(run)

    def _frame(self, frame: Frame) -> None:
        self.run_pictures.update(frame)
        if self.estimate.stream.views and self.runner.state == "running":
            self.run_status.follow(frame.step)

    def _state(self, state: str) -> None:
        run = self.runner.run
        if state in ("paused", "finished", "stopped", "failed") and run is not None:
            self.run_view.update()
            self.run_pictures.show_last()
            if self._still is not None:
                self._still(self.poster())
        self.run_status.state(state, run.step if run is not None else 0)

    def _error(self, sentence: str, trace: str) -> None:
        self.run_view.set_status("failed", sentence, trace)
