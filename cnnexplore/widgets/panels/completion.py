"""CompletionPanel: the painted part of a photograph fills with an object of a class and style while one watches."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w
import numpy as np

from ...errors import SettingError
from ...network import Layer, Network, class_score_layer, resolve_unit
from ...preimage import Run, Values, paper_jitter, paper_weight
from ...results import png
from ...styles import Completion
from ...styles.completion import INITS, completion_weight
from ...styles.masked_photograph import MaskedPhotograph
from ...zoo import DEFAULT, load
from ..live.selection import Selection
from ..views.mask_painter import MaskPainter
from .class_selector import ClassSelector, crossed, through
from .run_panel import RunPanel
from .run_pictures import picture_row

_CONTEXT = "as the rest suggests"


class CompletionPanel(RunPanel):
    """A live completion: paint a mask on a photograph, choose class and style, watch it fill.

    net: a Network, a name or a path for `cx.load` (default: photonet). image: an image, a list, or a dict by name
    (default: pictures at hand). mask: as for `cx.complete`; None finds the part that the predicted class depends on
    most. target: a class's number or label; None: what the rest of the image suggests. styles: a cx.Topics, a list of
    what `cx.complete` takes as a style, or a dict of either by class. fill: what the fill begins as, "surroundings",
    "noise" or "image". C, jitter: None for the usual choice. seeds: how many fills grow side by side. start: begin at
    once. selection: share what is looked at with other panels.
    Raises ImageError, SettingError, NetworkError, WeightsError.
    """

    counts = "class"
    loading = "looking around the hole …"
    again = "begin again from the empty hole"
    unit = " M"
    means = "the class's score, through the style's pathway if there is one, in units of its largest one (M)"

    def __init__(
        self,
        net=None,
        image=None,
        mask=None,
        *,
        target: int | str | None = None,
        styles=None,
        fill: str = "surroundings",
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int = 200,
        seed: int = 0,
        seeds: int = 1,
        start: bool = True,
        selection: Selection | None = None,
    ):
        net = net or (selection.net if selection is not None else None)
        net = net if isinstance(net, Network) else load(net or DEFAULT)
        if fill not in INITS:
            raise SettingError(f"fill is {fill!r}; expected one of {', '.join(map(repr, INITS))}.")
        self._first, self.masked = (mask, target, styles, fill), None
        given = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, image, None, given, steps, seed, seeds, start, selection)

    def _prepare(self) -> None:
        s, (mask, target, styles, _) = self.selection, self._first
        if target is not None:
            s.target = resolve_unit(s.net, s.net.scores, target)
        self.class_selector = ClassSelector(s, styles, free=_CONTEXT)
        self.mask = mask  # what the person chose; None: found by itself
        self._dig()
        s.observe(self._selected, ["target", "styles", "style"])

    def _dig(self) -> None:
        """The hole in the image that is selected; a C that was usual stays usual when another share is free."""
        s = self.selection
        class_score_layer(s.net)
        usual = self.settings.C == self._usual(s.net.scores, s.net.size).C
        self.masked = MaskedPhotograph(s.net, s.image, self.mask)
        if usual:
            self.settings.update(C=completion_weight(s.net.scores, self.masked))

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        scores = self.selection.net.scores
        C = paper_weight(scores, size) if self.masked is None else completion_weight(scores, self.masked)
        return Values(self.parameters, C=C, jitter=paper_jitter(scores))

    def _looked_at(self) -> tuple:
        return self.selection.net, id(self.selection.image), self.class_selector.looked_for

    def _make(self) -> Callable[[], Run]:
        masked, image = self.masked, self.selection.image
        topic, seed, self._columns = crossed(self.class_selector.styles, self.starts.noises)
        settings = {"topic": topic, "seed": seed, "steps": self.starts.steps, "settings": self.settings}
        target, init = self.class_selector.target, self.fill.value
        return lambda: Completion(masked.net, image, masked, target=target, init=init, **settings)

    def _begin(self, go: bool = True) -> None:
        with self.run_view.show_errors():
            super()._begin(go)

    def _python_of(self, run: Completion, step: int | None) -> str:
        return run.to_python(self.selection.image_python, step=step)

    def _says(self, run: Completion) -> str:
        return through(f"{run.class_name}, filled in", self.class_selector.names)

    # what is on the screen

    def _above(self) -> list[w.Widget]:
        self.layer.layout.display = "none"
        self.painter = MaskPainter(self.original)
        self.painter.on_change, self.painter.on_find = self._painted, self._find
        self.fill = w.Dropdown(options=list(INITS), value=self._first[3], description="begin")
        self.fill.tooltip = "what the fill begins as: its surroundings, noise, or the image as it is"
        self.fill.layout.width, self.fill.style.description_width = "180px", "38px"
        self.fill.observe(lambda change: self._begin(), "value")
        wrap = w.Layout(flex_flow="row wrap", align_items="center")
        row = [self.class_selector.class_box, self.class_selector.style_box, self.fill]
        return [w.HBox(row, layout=wrap), w.HBox(self.painter.row, layout=wrap)]

    def _new_run(self, run: Completion) -> None:
        self.estimate.columns = self._columns if len(run.seeds) > self._columns > 0 else 0
        self.painter.show(run.net.picture(run.net.pixels_of(run.image)), run.masked.update_mask)
        self.original.caption = f"drag or paint what is to be filled: {run.masked.update_mask.mean():.0%}"
        self._before = run.probability(run.image)

    def _state(self, state: str) -> None:
        super()._state(state)
        run = self.runner.run
        if state in ("paused", "finished") and run is not None:
            after = dict.fromkeys(f"{run.probability(run.masked.fill(x[None])):.0%}" for x in run.x)
            self.estimate.caption = f"{self._says(run)}: {self._before:.0%} → {', '.join(after)}"

    # what a person does

    def _painted(self, mask: np.ndarray) -> None:
        if not mask.any():
            self.run_view.set_status("failed", "nothing is masked; paint what is to be filled.")
            return
        self._mask_anew(mask.copy())

    def _find(self) -> None:
        self._mask_anew(None)

    def _mask_anew(self, mask: np.ndarray | None) -> None:
        with self.run_view.show_errors():
            self.mask = mask
            self._dig()
            self.controls.show(self.settings.snapshot())
            self._begin()

    def _pick(self, row: int, column: int) -> None:
        """A click paints; it chooses no unit."""

    def _save(self) -> None:
        with self.run_view.show_errors():
            run = self.runner.run
            if run is None:
                raise SettingError("there is no run yet; press start.")
            shown = self.picture
            made = [run.masked.paste(one) for one in ([shown] if shown.ndim == 3 else shown)]
            whole = made[0] if shown.ndim == 3 else picture_row(np.stack(made))
            self.run_view.download(f"{self.selection.net.name}-completed.png", png(whole, self.to_python()))

    def _selected(self, change) -> None:
        s = self.selection
        with self.run_view.show_errors():
            if s.layer not in s.net.layers or self._begun == self._looked_at():
                return  # the other half of a change follows, or has been acted on
            net, image, _ = self._begun
            if (s.net, id(s.image)) != (net, image):
                self.mask = None  # it was painted on another picture
                self._dig()
                if s.net is not net:
                    now = self._usual(s.net.scores, s.net.size)
                    self.settings.update(C=now.C, jitter=now.jitter)
                    self.controls.suit(s.net.scores, s.net.size)
                self.controls.show(self.settings.snapshot())
            self._begin()
