"""PathwayPanel: a class through some of the network's pathways, growing while they are switched on and off."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w
import numpy as np

from ..errors import SettingError
from ..network import Layer, Network, head_of
from ..preimage import Maximization, Run, Values
from ..preimage.maximization import channel_of, paper_weight
from ..preimage.settings import paper_jitter
from ..styles import Pathway
from ..zoo import DEFAULT, load
from .frame_view import FrameView
from .run_panel import RunPanel
from .selection import Selection
from .style_chooser import StyleChooser

_OPEN, _CLOSED = np.array([[247, 181, 56], [255, 196, 84]], np.uint8), np.array([[52, 56, 66], [60, 64, 76]], np.uint8)
_MAP = 150  # screen pixels of the map, about
_MOST = 16  # pictures at once


class PathwayPanel(RunPanel):
    """Live activation maximisation of a class through pathways: places of pool5, a style's m7, dropout's m6 and m7.

    net: a Network, a name or a path for `cx.load` (default: photonet). unit: a class's number or label (default: the
    first). styles: as a cx.Topics, a list of masks or pathways, or a dict of either by class. places: (rows, columns)
    of pool5, true for those open at first. ensembles: how many networks of dropout stand below each other, 0 for the
    whole one. relu: the relus stay in force. C, jitter: None for the paper's choice. seeds: how many starts stand
    beside each other. start: begin at once. selection: share what is looked at with other panels.
    Raises SettingError, NetworkError, WeightsError.
    """

    looks_at_image = False
    layer_help = "the layer of the classes"
    counts = "class"
    loading = "finding the fully-connected layers …"
    unit = " M"
    means = "the class's score through the pathway, in units of its largest one (M) to images at hand"

    def __init__(
        self,
        net=None,
        unit: int | str | None = None,
        *,
        styles=None,
        places=None,
        ensembles: int = 0,
        relu: bool = False,
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
        if ensembles not in (0, 1, 2, 4):
            raise SettingError(f"ensembles is {ensembles!r}; expected 0 for the whole network, or 1, 2 or 4.")
        self._first = unit, styles, places, ensembles, relu
        given = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, None, net.scores.name, given, steps, seed, seeds, start, selection)

    def _prepare(self) -> None:
        s, (unit, styles, places, _, _) = self.selection, self._first
        head = head_of(s.net)
        self.places = np.ones(self._grid, bool) if places is None else np.array(places, bool)
        if self.places.shape != self._grid or not self.places.any():
            raise SettingError(
                f"places has shape {self.places.shape} with {int(self.places.sum())} open; expected {self._grid}, one "
                "or more open."
            )
        if unit is not None:
            s.channel = channel_of(s.net, s.net.scores, unit)
        self.chooser = StyleChooser(s.net, s.channel, styles)
        s.channel = self.chooser.channel
        self._gated = all(gate is not None for gate in head.gates[-2:]) and len(head.gates) > 1
        s.observe(self._selected, ["channel"])

    @property
    def _grid(self) -> tuple[int, int]:
        """(rows, columns) of pool5; one place where it is no map."""
        shape = head_of(self.selection.net).shape
        return shape[1:] if len(shape) == 3 else (1, 1)

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        return Values(paper_weight(layer, size), jitter=paper_jitter(layer))

    def _weight(self, places: np.ndarray) -> float:
        """The usual C where only some places of pool5 pass."""
        s = self.selection
        return self._usual(s.net.scores, s.net.size).C * places.size / int(places.sum())

    def _looked_at(self) -> tuple:
        return self.selection.net, self.selection.channel

    # the masks

    def pathways(self) -> list[Pathway | None]:
        """The pathways that are chosen, one for each row of pictures; None for the whole network."""
        relu = self.relus.value
        rows: list[Pathway | None] = self.chooser.styles
        if relu and any(rows):
            rows = [one if one is None else one.closing() for one in rows]
        if self.ensembles.value:
            drops = [Pathway.ensemble(k, relu=relu) for k in range(self.ensembles.value)]
            rows = [drop if one is None else one & drop for one in rows for drop in drops]
        if not self.places.all():
            place = Pathway(m5=self.places)
            rows = [place if one is None else one & place for one in rows]
        return rows

    def _make(self) -> Callable[[], Run]:
        net, channel = self._looked_at()
        rows, seeds = self.pathways(), self.starts.noises
        several = seeds if isinstance(seeds, list) else [seeds]
        if len(rows) * len(several) > _MOST:
            raise SettingError(
                f"{len(rows)} pathways x {len(several)} seeds are more than {_MOST} pictures; take fewer."
            )
        batch = len(rows) > 1 or len(several) > 1
        ways = [one for one in rows for _ in several] if batch else rows[0]
        settings = {
            "steps": self.starts.steps,
            "seed": several * len(rows) if batch else several[0],
            "settings": self.settings,
            "pathway": None if rows == [None] else ways,
        }
        self._columns = len(several)
        return lambda: Maximization(net, net.scores.name, channel, **settings)

    def _begin(self, go: bool = True) -> None:
        with self.run_view.sentences():
            super()._begin(go)

    def _code_of(self, run: Maximization, step: int | None) -> str:
        return run.code(step=step)

    def _says(self, run: Maximization) -> str:
        rows = len(run.seeds) // self._columns
        return run.about() + (f"; each row another pathway, {rows} in all" if rows > 1 else "")

    # what is on the screen

    def _above(self) -> list[w.Widget]:
        _, _, _, ensembles, relu = self._first
        self.layer.layout.display = "none"
        self.chooser.on_change = self._chosen
        choices = [("off", 0), ("1 network", 1), ("2 networks", 2), ("4 networks", 4)]
        self.ensembles = w.Dropdown(options=choices, value=ensembles, description="dropout")
        self.ensembles.tooltip = "random halves of fc6 and fc7: the networks that dropout trains together"
        self.ensembles.layout.width, self.ensembles.style.description_width = "170px", "52px"
        self.relus = w.Checkbox(value=relu, description="relus stay", indent=False, layout=w.Layout(width="100px"))
        self.relus.tooltip = "a mask only closes units; else what it opens passes whatever its sign (equation 4)"
        for box in (self.ensembles, self.relus):
            box.observe(lambda change: self._begin(), "value")
        self._suit()
        row = [self.chooser.unit, self.chooser.style, self.ensembles, self.relus]
        return [w.HBox(row, layout=w.Layout(flex_flow="row wrap", align_items="center"))]

    def _beside(self) -> list[w.Widget]:
        self.map = FrameView((1, 1), windows=True)
        self.map.on_window = self._switch
        self.all_open = w.Button(description="open all", tooltip="let every place of pool5 pass again")
        self.all_open.layout = w.Layout(width="128px", margin="2px 0")
        self.all_open.on_click(lambda _: self._open(np.ones(self._grid, bool)))
        self._draw_map()
        return [w.VBox([self.map, self.all_open], layout=w.Layout(margin="6px 14px 0 0", width="170px"))]

    def _suit(self) -> None:
        """Only what the network has can be masked."""
        for box in (self.ensembles, self.relus):
            box.layout.display = "" if self._gated else "none"

    def _draw_map(self) -> None:
        rows, columns = self._grid
        odd = np.add.outer(np.arange(rows), np.arange(columns)) % 2
        self.map.resize((rows, columns), max(1, _MAP // max(rows, columns)))
        self.map.unframe()
        self.map.draw(np.where(self.places[..., None], _OPEN[odd], _CLOSED[odd]))
        pool = head_of(self.selection.net).pool
        name = pool.name if pool is not None else "pool5"
        count, whole = int(self.places.sum()), self.places.size
        some = f"{count} of {whole} places pass; click or drag to switch"
        self.map.caption = f"{name}: drag the places that may pass" if count == whole else f"{name}: {some}"
        self.all_open.layout.visibility = "hidden" if count == whole else "visible"
        self.map.layout.display = "none" if whole == 1 else ""

    def _frame_places(self) -> None:
        """Frames where the open places' centres lie in the pictures."""
        pool = head_of(self.selection.net).pool
        if self.places.all() or pool is None:
            self.stage.outline([])
            return
        rows, columns = np.flatnonzero(self.places.any(1)), np.flatnonzero(self.places.any(0))
        box = []
        for k, end in ((0, 0), (1, 0), (0, -1), (1, -1)):
            cell = (rows, columns)[k][end]
            box.append(pool.rf_offset[k] + pool.rf_stride[k] * (cell + (0.5 if end else -0.5)))
        self.stage.outline([float(v) for v in box])

    # what a person does

    def _switch(self, top: int, left: int, bottom: int, right: int) -> None:
        places = self.places.copy()
        window = places[top:bottom, left:right]
        if places.all():
            places[:] = False
            window[:] = True  # the first drag says what is kept
        else:
            window[:] = not window[0, 0]
        self._open(places)

    def _open(self, places: np.ndarray) -> None:
        """Lets these places of pool5 pass, and no other; one at least."""
        before, self.places = self.places, places if places.any() else np.ones(self._grid, bool)
        if self._weight(before) == self.settings.C:  # fewer places say less: what was usual stays usual
            self.settings.update(C=self._weight(self.places))
            self.controls.show(self.settings.snapshot())
        self._draw_map()
        self._begin()

    def _chosen(self) -> None:
        if self.selection.channel == self.chooser.channel:
            self._begin()
        else:
            self.selection.channel = self.chooser.channel

    def _selected(self, change) -> None:
        s = self.selection
        with self.run_view.sentences():
            if change.name == "layer" and s.layer not in s.net.layers:
                return
            head = head_of(s.net)
            if s.net is not self.chooser.net:
                self._gated = all(gate is not None for gate in head.gates[-2:]) and len(head.gates) > 1
                self.places = np.ones(self._grid, bool)
                self.ensembles.value = 0 if not self._gated else self.ensembles.value
                self.chooser.suit(s.net, None)
                now = self._usual(s.net.scores, s.net.size)
                self.settings.update(C=now.C, jitter=now.jitter)
                self.controls.show(self.settings.snapshot())
                self._suit()
                self._draw_map()
                s.set(layer=s.net.scores.name, channel=0)  # which begins a run
            elif s.channel is not None and s.channel != self.chooser.channel:
                self.chooser.suit(s.net, s.channel)
            if self._begun == self._looked_at():
                return
            self.controls.suit(s.net.scores, s.net.size)
            self._begin()

    def _new_run(self, run: Maximization) -> None:
        self.estimate.columns = self._columns if len(run.seeds) > self._columns > 0 else 0
        self._frame_places()
