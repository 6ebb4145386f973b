"""InversionPanel: what a layer keeps of a photograph, growing while its settings are moved."""

from __future__ import annotations

import time
from functools import partial

import ipywidgets as w
import numpy as np

from ..errors import ExploreError, SettingError
from ..network import Layer, Network, read_image
from ..preimage import Frame, Inversion, Settings, Values
from ..preimage.result import png
from ..preimage.settings import paper_C, paper_jitter
from ..zoo import DEFAULT, embedded, load
from .choices import Album, layer_choices, middle_layer
from .controls import HELP, SettingsControls
from .frame_view import FrameView, picture_of, raw, side_by_side
from .notebook import cell_key, show_with_still
from .reel import Reel
from .run_view import RunView
from .runner import Runner
from .selection import Selection

_NETWORKS = ("squeezenet1_1", "alexnet", "vgg16", "resnet18")  # offered beside the one given and the embedded ones


class InversionPanel:
    """A live inversion: the original beside the estimate, its energy and its error, under controls that act at once.

    net: a Network, a name or a path for `cx.load` (default: photonet). image: an image, a list, or a dict
    by name (default: pictures at hand). layer: default one in the middle. C, jitter: None for the paper's choice.
    start: begin at once. selection: share what is looked at with other panels.
    Raises LayerNotFound, ImageError, SettingError, NetworkError, WeightsError.
    """

    def __init__(
        self,
        net=None,
        image=None,
        layer: str | None = None,
        *,
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int = 300,
        seed: int = 0,
        start: bool = True,
        selection: Selection | None = None,
    ):
        if selection is not None:
            net, layer = net or selection.net, layer or selection.layer
        net = net if isinstance(net, Network) else load(net or DEFAULT)
        where = net.layers[layer] if layer else middle_layer(net)
        self.album = Album(image, net)
        picture, code = self.album[self.album.first]
        if selection is not None and image is None and selection.image is not None:
            picture, code = selection.image, selection.image_code
            self.album.add("shared", picture, code)
            self.album.first = "shared"
        self.selection = selection or Selection()
        self.selection.set(net=net, image=picture, image_code=code, layer=where.name)
        values = Values(
            paper_C(where, net.size) if C is None else C,
            alpha,
            beta,
            paper_jitter(where) if jitter is None else jitter,
        )
        self.settings = Settings(values)
        self.steps, self.seed = steps, seed
        self.runner = Runner(cell_key())
        self.runner.on_run, self.runner.on_frame = self._run_ready, self._frame
        self.runner.on_state, self.runner.on_error = self._state, self._error
        self._reel = Reel()
        self._shown: int | None = None  # the step looked back at, None for the newest
        self._asleep = False
        self._beat = (0, 0.0)
        self._still = None
        self._original = net.picture(net.pixels_of(picture))
        self._build()
        self._begin(go=start)

    # what is on the screen

    def _build(self) -> None:
        net, s = self.selection.net, self.selection
        self.original = FrameView(net.size, caption="original")
        self.estimate = FrameView(net.size, caption=f"what {s.layer} keeps")
        self.original.draw(self._original)
        self.original.on_pick = self.estimate.on_pick = self._pick
        self.estimate.on_views = self._views
        self.run_view = RunView()
        self.run_view.on_scrub = self._scrub

        names = list(dict.fromkeys([net.name, *embedded(), *_NETWORKS]))
        self._nets = {net.name: net}
        self.network = w.Dropdown(options=names, value=net.name, tooltip="the network", layout=w.Layout(width="150px"))
        self.layer = w.Dropdown(options=layer_choices(net, s.layer), value=s.layer, layout=w.Layout(width="230px"))
        self.layer.tooltip = (
            "the layer whose code is inverted: rows x columns x channels, and how much of the image one unit sees"
        )
        self.image = w.Dropdown(options=self.album.names, value=self.album.first, layout=w.Layout(width="140px"))
        self.image.tooltip = "the image that is encoded"
        self.upload = w.FileUpload(
            accept="image/*", multiple=False, description="upload", layout=w.Layout(width="96px")
        )
        self.controls = SettingsControls(self.settings)
        self.controls.suit(net.layers[s.layer], net.size)
        self.controls.on_change = self._changed
        narrow = w.Layout(width="150px")
        self.seed_box = w.IntText(self.seed, description="seed", layout=narrow, style={"description_width": "52px"})
        self.seed_box.tooltip = HELP["seed"]
        self.steps_box = w.IntText(self.steps, description="steps", layout=narrow, style={"description_width": "52px"})
        self.steps_box.tooltip = HELP["steps"]
        buttons = {
            "start": ("play", "go on; from the beginning if the run has ended", self.start),
            "pause": ("pause", "wait before the next step", self.pause),
            "step": ("step-forward", "one step, then wait", self.step),
            "reset": ("undo", "begin again from noise", self.reset),
        }
        row = [self._button(name, *rest) for name, rest in buttons.items()]
        self.code_button = self._button("code", "code", "copy the Python that remakes this picture", self._copy, "80px")
        self.save_button = self._button(
            "save", "download", "save the picture as PNG, with its code", self._save, "80px"
        )
        self.code_box = w.Textarea(layout=w.Layout(width="98%", height="58px", display="none"), disabled=False)
        self.network.observe(self._network_chosen, "value")
        self.layer.observe(self._layer_chosen, "value")
        self.image.observe(self._image_chosen, "value")
        self.upload.observe(self._uploaded, "value")
        self.seed_box.observe(partial(self._number_typed, "seed"), "value")
        self.steps_box.observe(partial(self._number_typed, "steps"), "value")
        self.selection.observe(self._selected, ["net", "image", "layer"])

        wrap = {"flex_flow": "row wrap", "align_items": "center"}
        c = self.controls
        right = w.VBox(
            [c.C, c.beta, c.jitter, c.alpha, c.preset, w.HBox([self.seed_box, self.steps_box]), w.HBox(row)],
            layout=w.Layout(margin="0 0 0 14px", min_width="330px"),
        )
        space = w.Box(layout=w.Layout(flex="1 1 0"))
        top = [self.network, self.layer, self.image, self.upload, space, self.code_button, self.save_button]
        self.widget = w.VBox(
            [
                w.HBox(top, layout=w.Layout(**wrap)),
                self.code_box,
                w.HBox([w.HBox([self.original, self.estimate], layout=w.Layout(**wrap, grid_gap="10px")), right],
                       layout=w.Layout(flex_flow="row wrap", align_items="flex-start")),
                self.run_view,
            ],
            layout=w.Layout(max_width="900px"),
        )  # fmt: skip
        self.widget.add_class("cx-panel")

    def _button(self, name: str, icon: str, tip: str, act, width: str = "78px") -> w.Button:
        button = w.Button(description=name, icon=icon, tooltip=tip, layout=w.Layout(width=width))
        button.on_click(lambda _: act())
        return button

    def _ipython_display_(self) -> None:
        self._still = show_with_still(self.widget, self.poster())

    # what a person does

    def start(self) -> None:
        """Goes on with the run, or begins again if it has ended."""
        self._look_ahead()
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
        self._look_ahead()
        self.runner.step()

    def reset(self) -> None:
        """Begins again from noise and waits for start."""
        self._begin(go=False)

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until the run has ended; an interrupt only ends the waiting. Says whether it ended."""
        return self.runner.wait(timeout)

    def code(self) -> str:
        """The line of Python that remakes the picture on the screen."""
        run = self.runner.run
        if run is None:
            raise SettingError("there is no run yet; press start.")
        return run.code(self.selection.image_code, step=self._shown)

    @property
    def picture(self) -> np.ndarray:
        """The estimate on the screen, (H, W, 3) uint8."""
        kept = self._reel.nearest(self._shown) if self._shown is not None else None
        if kept is not None:
            return kept[1]
        run = self.runner.run
        return picture_of(run.x, run.net) if run is not None else np.full_like(self._original, 128)

    def poster(self) -> bytes:
        """A PNG of the original beside the estimate, for where no kernel runs."""
        pair = [self._original, self.picture]
        sheet = side_by_side(pair if pair[0].shape == pair[1].shape else pair[1:])
        return png(sheet, self.code() if self.runner.run is not None else "")

    def _copy(self) -> None:
        with self.run_view.sentences():
            text = self.code()
            self.code_box.value = text
            self.code_box.layout.display = ""
            self.run_view.copy(text)

    def _save(self) -> None:
        with self.run_view.sentences():
            name = f"{self.selection.net.name}-{self.selection.layer.replace('/', '-')}.png"
            self.run_view.download(name, png(self.picture, self.code()))

    def _scrub(self, step: int) -> None:
        run, kept = self.runner.run, self._reel.nearest(step)
        if run is None or kept is None:
            return
        self.runner.pause()
        self._shown = kept[0] if step < run.step else None
        self.estimate.draw(self.picture)
        if self._shown is not None:
            self.run_view.tell(
                self.runner.state, f"looking back at step {self._shown} of {run.step}; start goes on", live=False
            )

    def _look_ahead(self) -> None:
        self._shown = None

    def _pick(self, row: int, column: int) -> None:
        layer = self._layer
        where = [
            min(max(round((p - o) / s), 0), n - 1)
            for p, o, s, n in zip((row, column), layer.rf_offset, layer.rf_stride, layer.size, strict=True)
        ]
        self.selection.unit = tuple(where)
        box = [float(v) for v in layer.rf_box(*where)]
        for view in (self.original, self.estimate):
            view.box = box
        sees = " x ".join(f"{s:g}" for s in layer.rf_size)
        self.original.caption = f"original; unit ({where[0]}, {where[1]}) sees {sees} px"

    # what is chosen

    @property
    def _layer(self) -> Layer:
        return self.selection.net.layers[self.selection.layer]

    def _network_chosen(self, change) -> None:
        name = change.new
        with self.run_view.sentences():
            try:
                if name not in self._nets:
                    self.run_view.tell("loading", f"loading {name} …")
                    self._nets[name] = load(name)
            except ExploreError:
                self.network.value = change.old  # the choice stays what the picture shows
                raise
            net = self._nets[name]
            layer = middle_layer(net)
            self.selection.set(net=net, layer=layer.name)

    def _layer_chosen(self, change) -> None:
        if change.new:
            self.selection.layer = change.new

    def _image_chosen(self, change) -> None:
        if change.new:
            with self.run_view.sentences():
                picture, code = self.album[change.new]
                self.selection.image_code = code
                self.selection.image = picture

    def _uploaded(self, change) -> None:
        if not change.new:
            return
        file = change.new[0]
        with self.run_view.sentences():
            picture = np.moveaxis(read_image(bytes(file["content"])).numpy(), 0, -1).round().astype(np.uint8)
            self.album.add(file["name"], picture, repr(file["name"]))
            self.image.options = self.album.names
            self.image.value = file["name"]

    def _number_typed(self, name: str, change) -> None:
        least = 1 if name == "steps" else 0
        if not least <= change.new <= 100_000:
            wanted = f"expected a whole number from {least} to 100000"
            self.run_view.tell("failed", f"{name} is {change.new}; {wanted}, so {getattr(self, name)} stays.")
            return
        setattr(self, name, change.new)
        self._begin()

    def _selected(self, change) -> None:
        net, layer = self.selection.net, self.selection.layer
        with self.run_view.sentences():
            if layer not in net.layers or self._begun == (net, id(self.selection.image), layer):
                return  # the other half of a change follows, or has been acted on
            choices = layer_choices(net, layer)
            if list(self.layer.options) != choices:
                self.layer.unobserve(self._layer_chosen, "value")
                self.layer.options = choices
                self.layer.value = layer
                self.layer.observe(self._layer_chosen, "value")
            elif self.layer.value != layer:
                self.layer.value = layer
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
        s = self.selection
        self._begun = (s.net, id(s.image), s.layer)
        self._look_ahead()
        make = partial(
            Inversion, s.net, s.image, s.layer, steps=self.steps, seed=self.seed, settings=self.settings
        )  # fmt: skip
        self.runner.begin(make, go)

    def _run_ready(self, run: Inversion) -> None:
        net = run.net
        self._original = net.picture(run.target[:1])
        self._reel.clear()
        for view in (self.original, self.estimate):
            if (view.height, view.width) != net.size:
                view.resize(net.size)
            elif view.box:
                view.box = []
        self.original.caption, self.estimate.caption = "original", f"what {run.layer.name} keeps"
        self.original.draw(self._original)
        first = picture_of(run.x, net)
        self._reel.add(0, first)
        self.estimate.draw(first)
        self.run_view.begin(run)
        self._beat = (0, time.monotonic())

    def _frame(self, frame: Frame) -> None:
        stream = self.estimate.stream
        if self._shown is None:
            stream.offer(lambda: raw(self._keep(frame)))
        if not stream.views and frame.step % 4 == 0:
            self._keep(frame)  # nobody looks now; somebody may look back later
        now = time.monotonic()
        step, since = self._beat
        if (
            now - since > 0.4 and stream.views and self.runner.state == "running"
        ):  # numbers are read slower than pictures
            self._beat = (frame.step, now)
            self.run_view.follow(f"running, {(frame.step - step) / (now - since):.0f} steps/s")

    def _keep(self, frame: Frame) -> np.ndarray:
        picture = picture_of(frame.x, frame.run.net)
        self._reel.add(frame.step, picture)
        return picture

    def _state(self, state: str) -> None:
        run = self.runner.run
        done = run.step if run is not None else 0
        words = {
            "loading": "encoding the image …",
            "running": "running",
            "paused": f"paused at step {done}; start goes on",
            "stopped": f"stopped at step {done}: another panel took over; start goes on",
            "finished": f"finished after {done} steps; move anything and it begins again",
        }
        if state == "running":
            self._beat = (done, time.monotonic())
        if state in ("paused", "finished", "stopped", "failed") and run is not None:
            self.run_view.follow()
            if self._shown is None:
                self._reel.add(done, self.picture)
                self.estimate.draw(self.picture)
            self._keep_still()
        if state in words:
            self.run_view.tell(state, words[state])

    def _error(self, sentence: str, trace: str) -> None:
        self.run_view.tell("failed", sentence, trace)

    def _keep_still(self) -> None:
        poster = self.poster()
        self.estimate.poster = png(self.picture)
        self.original.poster = png(self._original)
        if self._still is not None:
            self._still(poster)

    def _views(self, count: int) -> None:
        """Nobody looks any more: wait; somebody looks again: go on."""
        if count == 0 and self.runner.state == "running":
            self._asleep = True
            self.runner.pause()
        elif count and self._asleep:
            self._asleep = False
            self.runner.resume()
