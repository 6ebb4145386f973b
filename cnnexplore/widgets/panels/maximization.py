"""MaximizePanel: what a unit wants to see, growing while its settings are moved."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as w

from ...network import Layer, resolve_unit
from ...preimage import Maximization, Run, Values, paper_jitter, paper_weight
from ...preimage.maximization import GAMMA
from ..live.selection import Selection
from ..views.map_view import MapView, receptive_box
from ..views.unit_grid import UnitGrid
from .patch_controls import PatchControls
from .run_panel import RunPanel
from .unit_gallery import UnitGallery, by_interest


class MaximizePanel(RunPanel):
    """Live activation maximisation: a layer's units as thumbnails, the chosen one's picture growing below.

    net: a Network, a name or a path for `cx.load` (default: photonet). layer: default one in the middle. unit: a
    number or a class's label; default the one that responds most to the images at hand. position: (row, column) on
    the layer's map, or None for a canvas of what the unit sees. C, jitter: None for the paper's choice. seeds: how many
    grow side by side. patches, gamma: as for `InversionPanel`, such as photographs of a class. thumbnails: make them;
    without, the grid is plain but for the units that were chosen. start: begin at once. selection: share what is
    looked at with other panels.
    Raises LayerNotFound, SettingError, NetworkError, WeightsError.
    """

    looks_at_image = False
    layer_help = "the layer whose units are looked at"
    counts = "unit"
    loading = "seeing what the units respond to …"
    unit = " M"
    means = "the unit's response, in units of its largest one (M) to images at hand"

    def __init__(
        self,
        net=None,
        layer: str | None = None,
        unit: int | str | None = None,
        *,
        position: tuple[int, int] | None = None,
        C: float | None = None,
        alpha: float = 6,
        beta: float = 2,
        jitter: int | None = None,
        steps: int = 200,
        seed: int = 0,
        seeds: int = 1,
        patches=None,
        gamma: float = GAMMA,
        thumbnails: bool = True,
        start: bool = True,
        selection: Selection | None = None,
    ):
        self._first, self._thumbnails, self._patches = (unit, position), thumbnails, (patches, gamma)
        given = {"C": C, "alpha": alpha, "beta": beta, "jitter": jitter}
        super().__init__(net, None, layer, given, steps, seed, seeds, start, selection)

    def _prepare(self) -> None:
        s, (unit, position) = self.selection, self._first
        if unit is not None:
            s.unit = resolve_unit(s.net, self._layer, unit)
        if position is not None:
            s.position = tuple(position)
        self.patches = PatchControls(self.settings, *self._patches, s.net.size)
        self._published = self._usual(self._layer, s.net.size)
        s.observe(self._selected, ["unit", "position"])

    def _usual(self, layer: Layer, size: tuple[int, int]) -> Values:
        return Values(self.parameters, C=paper_weight(layer, size), jitter=paper_jitter(layer))

    def _looked_at(self) -> tuple:
        s = self.selection
        return s.net, s.layer, s.unit, s.position

    def _make(self) -> Callable[[], Run]:
        net, layer, chosen, position = self._looked_at()
        settings = {"steps": self.starts.steps, "seed": self.starts.noises, "settings": self.settings}

        def make() -> Maximization:
            unit = by_interest(net, net.layers[layer])[0] if chosen is None else chosen
            return Maximization(net, layer, unit, position=position, **settings, **self.patches.options(net, None))

        return make

    def _python_of(self, run: Maximization, step: int | None) -> str:
        return run.to_python(step=step)

    def _says(self, run: Maximization) -> str:
        return run.about()

    # units and positions

    def _above(self) -> list[w.Widget]:
        self.grid = UnitGrid()
        self.grid.on_select(self._unit_chosen)
        key = f"{self.runner.key} thumbnails"
        self.gallery = UnitGallery(self.grid, key, lambda: self.runner.state in ("loading", "running"))
        return [self.grid]

    def _beside(self) -> list[w.Widget]:
        self.map = MapView(False, "field only", "show only what the unit sees, nowhere in particular")
        self.map.on_choose = self._position_chosen
        return [self.map.widget]

    def _unit_chosen(self, unit: int) -> None:
        self.selection.unit = unit

    def _position_chosen(self, position: tuple[int, int] | None) -> None:
        self.selection.position = position

    def _selected(self, change) -> None:
        s = self.selection
        if s.layer in s.net.layers and self._begun[:2] != (s.net, s.layer):
            self._keep_published()
        super()._selected(change)

    def _keep_published(self) -> None:
        """A setting that was the paper's for the layer before is the paper's for this one; C keeps its share."""
        before, now = self._published, self._usual(self._layer, self.selection.net.size)
        values, self._published = self.settings.snapshot(), now
        changes = {"C": now.C if values.C == before.C else float(f"{values.C * now.C / before.C:.3g}")}
        if values.jitter == before.jitter:
            changes["jitter"] = now.jitter
        self.settings.update(**changes)
        self.controls.show(self.settings.snapshot())

    def _new_run(self, run: Maximization) -> None:
        s, unit = self.selection, run.units[0]
        self._begun = (run.net, run.layer.name, unit, run.position)
        s.unit = unit
        self.gallery.show(run.net, run.layer, self._thumbnails)
        self.grid.selected = unit
        says = f"{run.layer.name}'s map; click to place the unit"
        if run.position is not None:
            says = f"at ({run.position[0]}, {run.position[1]}) of {run.layer.name}'s map"
            self.estimate.box = receptive_box(run.layer, run.position)
        self.map.show(run.layer, None, run.position, says)

    def _state(self, state: str) -> None:
        super()._state(state)
        run = self.runner.run
        if state == "finished" and run.position is None and len(run.seeds) == 1:
            self.gallery.put(run.net, run.layer.name, run.units[0], self.picture)
