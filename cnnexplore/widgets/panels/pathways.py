"""PathwayPanel: a class through some of the network's pathways, growing while they are switched on and off."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w

from ...errors import SettingError
from ...network import Layer, Network, resolve_unit, unit_name
from ...preimage import Maximization, Run, Values, paper_jitter
from ...styles import Pathway, pathway_weight
from ...styles.classifier_head import classifier_head
from ...zoo import DEFAULT, load
from ..live.selection import Selection
from ..views.location_map import LocationMap
from ..views.relu_mask_view import ReluMaskView
from .class_selector import ClassSelector, crossed, through
from .run_panel import RunPanel


class PathwayPanel(RunPanel):
    """Live activation maximisation of a class through pathways: places of pool5, a style's m7, dropout's m6 and m7.

    net: a Network, a name or a path for `cx.load` (default: photonet). unit: a class's number or label (default: the
    first). styles: as a cx.Topics, a list of masks or pathways, or a dict of either by class. places: (rows, columns)
    of pool5, true for those open at first. ensembles: how many networks of dropout stand below each other, 0 for the
    whole one. relu: the relus stay in force. C, jitter: None for the usual choice. seeds: how many starts stand
    beside each other. start: begin at once. selection: share what is looked at with other panels.
    Raises SettingError, NetworkError, WeightsError.
    """

    looks_at_image = False
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
        super().__init__(net, None, None, given, steps, seed, seeds, start, selection)

    def _prepare(self) -> None:
        s, (unit, styles, places, _, _) = self.selection, self._first
        self.locations = LocationMap(s.net, places)
        self.relu_masks = ReluMaskView()
        if unit is not None:
            s.target = resolve_unit(s.net, s.net.scores, unit)
        self.class_selector = ClassSelector(s, styles)
        s.observe(self._selected, ["target", "styles", "style"])

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        scores = self.selection.net.scores
        return Values(self.parameters, C=pathway_weight(self.selection.net), jitter=paper_jitter(scores))

    def _looked_at(self) -> tuple:
        return self.selection.net, self.class_selector.looked_for

    # the masks

    def pathways(self) -> dict[str, Pathway | None]:
        """The pathways that are chosen, one per row of pictures, by what is said of them; None: the whole network."""
        relu = self.relus.value
        rows = dict(zip(self.class_selector.names, self.class_selector.styles, strict=True))
        if relu:
            rows = {name: one and one.with_relu() for name, one in rows.items()}
        if self.ensembles.value:
            drops = {f"network {k + 1}": Pathway.ensemble(k, relu=relu) for k in range(self.ensembles.value)}
            rows = {
                " · ".join(filter(None, (name, drop))): drops[drop] if one is None else one & drops[drop]
                for name, one in rows.items()
                for drop in drops
            }
        if not self.locations.mask.all():
            place = Pathway(m5=self.locations.mask)
            rows = {name: place if one is None else one & place for name, one in rows.items()}
        return rows

    def _make(self) -> Callable[[], Run]:
        net, unit = self.selection.net, self.class_selector.target
        classifier_head(net)
        rows = self.pathways()
        ways, seed, self._columns = crossed(list(rows.values()), self.starts.noises)
        settings = {"steps": self.starts.steps, "seed": seed, "settings": self.settings}
        if any(rows.values()):
            settings["pathway"] = ways
        self._names = list(rows)
        return lambda: Maximization(net, net.scores.name, unit, **settings)

    def _begin(self, go: bool = True) -> None:
        with self.run_view.show_errors():
            super()._begin(go)

    def _python_of(self, run: Maximization, step: int | None) -> str:
        return run.to_python(step=step)

    def _says(self, run: Maximization) -> str:
        some = f" in {self.locations.text}" if self.locations.text else ""
        return through(unit_name(run.net, run.net.scores, run.units[0]) + some, self._names)

    # what is on the screen

    def _above(self) -> list[w.Widget]:
        _, _, _, ensembles, relu = self._first
        self.layer.layout.display = "none"
        choices = [("off", 0), ("1 network", 1), ("2 networks", 2), ("4 networks", 4)]
        self.ensembles = w.Dropdown(options=choices, value=ensembles, description="dropout")
        self.ensembles.tooltip = "random halves of fc6 and fc7: the networks that dropout trains together"
        self.ensembles.layout.width, self.ensembles.style.description_width = "170px", "52px"
        self.relus = w.Checkbox(value=relu, description="relus stay", indent=False, layout=w.Layout(width="100px"))
        self.relus.tooltip = "a mask only closes units; else what it opens passes whatever its sign (equation 4)"
        for box in (self.ensembles, self.relus):
            box.observe(lambda change: self._begin(), "value")
        self._suit()
        row = [self.class_selector.class_box, self.class_selector.style_box, self.ensembles, self.relus]
        return [w.HBox(row, layout=w.Layout(flex_flow="row wrap", align_items="center"))]

    def _beside(self) -> list[w.Widget]:
        self.locations.on_change = self._begin
        return [self.locations.widget, self.relu_masks.widget]

    def _suit(self) -> None:
        """Only what the network has can be masked."""
        gates = classifier_head(self.selection.net).relus[-2:]
        both = len(gates) == 2 and None not in gates
        self.ensembles.value = self.ensembles.value if both else 0
        self.ensembles.layout.display = "" if both else "none"
        self.relus.layout.display = "" if gates and gates[-1] is not None else "none"

    # what a person does

    def _selected(self, change) -> None:
        s = self.selection
        with self.run_view.show_errors():
            if s.layer not in s.net.layers or self._begun == self._looked_at():
                return  # the other half of a change follows, or has been acted on
            if s.net is not self.locations.net:
                self.locations.set_network(s.net)
                self._suit()
                now = self._usual(s.net.scores, s.net.size)
                self.settings.update(C=now.C, jitter=now.jitter)
                self.controls.show(self.settings.snapshot())
                self.controls.suit(s.net.scores, s.net.size)
            self._begin()

    def _new_run(self, run: Maximization) -> None:
        self.estimate.columns = self._columns if len(run.seeds) > self._columns > 0 else 0
        self.run_pictures.set_box(self.locations.box)
        self.relu_masks.show(run.net, run.pathways.each[:: self._columns])
