"""UnitPanel: what a unit answers to: its filter, its top patches, their projections, its receptive field."""

from __future__ import annotations

from collections.abc import Iterator

import ipywidgets as w
import numpy as np

from .. import drawing
from ..data import Images
from ..errors import LayerError, SettingError
from ..network import Layer, Network
from ..units import ReceptiveField, TopPatches, filters, receptive_field, top_stream
from .choices import middle_layer
from .frame_view import FrameView
from .gallery import captions
from .look_panel import LookPanel
from .selection import Selection
from .unit_grid import UnitGrid

_RULES = {"deconvnet": "deconvnet", "guided backprop": "guided_backprop", "gradient": "gradient"}
_CHUNK = 8  # thumbnails made between two looks at what a person wants
_FIELD_IMAGES = 3
_ROW = 720  # screen pixels of a row of patches, about, where one patch is no larger


class UnitPanel(LookPanel):
    """A layer's units as thumbnails of what excites each most; of the chosen one all that is known.

    net: a Network, a name or a path for `cx.load` (default: photonet). layer: default one in the middle. unit: default
    the one that responds most. images: a list, a folder or a data set (default: the pictures at hand). k: how many
    patches. selection: share what is looked at. Raises LayerNotFound, SettingError, NetworkError, WeightsError.
    """

    looks_at_image = False
    layer_help = "the layer whose units are looked at"

    def __init__(
        self,
        net=None,
        layer: str | None = None,
        unit: int | None = None,
        images=None,
        *,
        k: int = 9,
        selection: Selection | None = None,
    ):
        if not isinstance(k, int) or not 1 <= k <= 25:
            raise SettingError(f"k is {k!r}; expected how many patches to show, 1 to 25.")
        self.images, self.k = None if images is None else Images(images), k
        self._given = images
        self._kept: dict[tuple[Network, str], TopPatches] = {}
        self._thumbs: dict[tuple[Network, str], dict[int, np.ndarray]] = {}
        self.top: TopPatches | None = None
        self.field: ReceptiveField | None = None
        self._projections: np.ndarray | None = None
        self._first = unit
        super().__init__(net, None, layer, selection)

    def _first_layer(self, net: Network) -> Layer:
        return middle_layer(net)

    # what is on the screen

    def _build(self) -> list[w.Widget]:
        s = self.selection
        if self._first is not None:
            if not isinstance(self._first, int) or not 0 <= self._first < self._layer.channels:
                raise SettingError(f"unit is {self._first!r}; {s.layer} has units 0 to {self._layer.channels - 1}.")
            s.channel = self._first
        self.grid = UnitGrid(rows=2.2)
        self.grid.on_select(lambda unit: setattr(self.selection, "channel", unit))
        self.grid.on_views = self._views
        self.rule = w.Dropdown(
            options=_RULES, description="projection", tooltip="by which rule a response is sent back to the pixels",
            layout=w.Layout(width="250px"), style={"description_width": "66px"},
        )  # fmt: skip
        self.rule.observe(self._rule_chosen, "value")
        self.patches = FrameView((8, 8), "patches")
        self.projections = FrameView((8, 8), "projections")
        self.whole = FrameView((8, 8), "image")
        self.filter = FrameView((8, 8), "filter")
        self.field_view = FrameView((8, 8), "receptive field")
        wrap = {"flex_flow": "row wrap", "align_items": "flex-start", "grid_gap": "12px"}
        side = w.HBox([self.whole, self.field_view, self.filter], layout=w.Layout(margin="8px 0 0 0", **wrap))
        return [self.grid, side, self.patches, self.rule, self.projections]

    def _looked_at(self) -> tuple:
        s = self.selection
        return s.net, s.layer, s.channel, self.rule.value

    def _rule_chosen(self, change) -> None:
        self._begin()

    # the work

    def _stream(self, looked_at: tuple) -> tuple[Iterator, int]:
        net, layer, channel, rule = looked_at
        where = net.layers[layer]

        def steps() -> Iterator:
            key = (net, where.name)
            top = self._kept.get(key)
            if top is None:
                source = Images.of(net, self.images)
                for top in top_stream(net, where.name, None, source, self.k):
                    yield "seen", (top.seen, len(source))
                self._kept[key] = top
            order = np.argsort(-top.values[:, 0], kind="stable").tolist()
            unit = order[0] if channel is None else channel
            yield "unit", (top, unit, order)
            one = top.only(unit)
            yield "patches", (one.patches(), one.pictures()[0], one.boxes()[0])
            yield "projections", one.projections(rule=rule)
            if max(where.size) > 1 and one.values[0, 0] > 0:
                try:
                    yield "field", receptive_field(net, where.name, unit, top, _FIELD_IMAGES, progress=False)
                except SettingError:  # nothing changes its response: a unit that is dead, or never looked at
                    yield "field", None
            else:
                yield "field", None
            made = self._thumbs.setdefault(key, {})
            left = [u for u in order if u not in made]
            for k in range(0, len(left), _CHUNK):
                yield "thumbnails", {u: _first_patch(top, u) for u in left[k : k + _CHUNK]}

        return steps(), 100_000

    def _frame(self, frame) -> None:
        what, found = frame
        getattr(self, f"_show_{what}")(found)

    def _show_seen(self, found: tuple[int, int]) -> None:
        self.status.tell("running", f"{found[0]} of {found[1]} images seen by all {self._layer.channels} units")

    def _show_unit(self, found) -> None:
        top, unit, order = found
        s = self.selection
        self.top, self.field, self._projections = top.only(unit), None, None
        self._begun = (s.net, s.layer, unit, self.rule.value)
        if (self.grid.count, getattr(self, "_shown", None)) != (top.layer.channels, (s.net, s.layer)):
            self._shown = (s.net, s.layer)
            side = _side(top.layer, s.net.size)
            self.grid.begin(top.layer.channels, side, captions(s.net, top.layer), order)
            for u, picture in self._thumbs.get(self._shown, {}).items():
                self.grid.put(u, picture)
        s.channel = unit
        self.grid.selected = unit
        values = self.top.values[0]
        self.grid.note = f"responses {values[0]:.3g} to {values[-1]:.3g}"
        self._show_filter(top.layer, unit)
        self.status.tell("running", f"unit {unit}: patches and projections …")

    def _show_filter(self, layer: Layer, unit: int) -> None:
        try:
            found = filters(self.selection.net, layer.name)
        except LayerError:
            self.filter.layout.display = "none"
            return
        self.filter.layout.display = ""
        if found.of_pixels:
            _draw(self.filter, found.pictures()[unit], 200)
            self.filter.caption = "its filter"
        else:
            tiles = found.tiles(unit)
            _draw(self.filter, drawing.tiles(tiles[:64], 8, paper=150), 200)
            self.filter.caption = f"its weights on {min(64, len(tiles))} of {len(tiles)} maps"

    def _show_patches(self, found) -> None:
        patches, whole, box = found
        _draw(self.patches, patches, _ROW // len(patches) - 10)
        self.patches.caption = f"the {len(patches)} patches that excite it most, of {len(self.top.images)} images"
        _draw(self.whole, whole, 200)
        self.whole.caption = f"the first one's image, no. {self.top.indices[0, 0]}"
        self.whole.box = [float(box[0]), float(box[1]), float(box[2] - 1), float(box[3] - 1)]

    def _show_projections(self, found: np.ndarray) -> None:
        self._projections = found
        _draw(self.projections, found, _ROW // len(found) - 10)
        self.projections.caption = f"what in them excites it, by {self.rule.label}"
        self.status.tell("running", f"unit {self.top.units[0]}: sliding a patch over its top images …")

    def _show_field(self, found: ReceptiveField | None) -> None:
        self.field = found
        self.field_view.layout.display = "none" if found is None else ""
        if found is not None:
            _draw(self.field_view, drawing.heat(found.map), 200)
            theory = " x ".join(f"{side:g}" for side in found.theoretical)
            self.field_view.caption = f"its field: {found.size:.0f} px in effect, {theory} in theory"

    def _show_thumbnails(self, found: dict[int, np.ndarray]) -> None:
        self._thumbs[self._shown].update(found)
        for unit, picture in found.items():
            self.grid.put(unit, picture)
        self.status.tell("running", f"{self.grid.done} of {self.grid.count} thumbnails")

    def _finished(self) -> str:
        return f"{self.grid.count} units of {self.selection.layer}; click one, or use the arrow keys"

    # what leaves the panel

    @property
    def picture(self) -> np.ndarray:
        """The patches in a row above their projections. Raises SettingError if there are none yet."""
        if self.top is None or self._projections is None:
            raise SettingError("the patches are not found yet; wait a moment.")
        patches = self.top.patches()
        return drawing.tiles(np.concatenate([patches, self._projections]), len(patches), gap=2)

    def code(self) -> str:
        """The line of Python that finds the patches again."""
        if self.top is None:
            raise SettingError("the patches are not found yet; wait a moment.")
        s, images = self.selection, ""
        if self._given is not None:
            images = f", {self._given!r}" if isinstance(self._given, str) else ", images"
        return f"cx.top_patches({s.net.code}, {s.layer!r}, {self.top.units[0]}{images}, k={self.k})"


def _draw(view: FrameView, pictures: np.ndarray, wide: int) -> None:
    """Shows pictures of any size, each at most so many screen pixels wide where a whole factor allows it."""
    size = pictures.shape[-3:-1]
    scale = max(1, min(wide // max(size), 16))
    if (view.height, view.width, view.scale) != (*size, scale):
        view.resize(size, scale)
    view.draw(pictures)


def _side(layer: Layer, size: tuple[int, int]) -> int:
    """The pixels of a thumbnail: a whole multiple of a small patch, or 64."""
    side = round(min(max(layer.rf_size), max(size)))
    return 64 if side > 64 else side * -(-48 // side)


def _first_patch(top: TopPatches, unit: int) -> np.ndarray:
    one = top.only(unit)
    found = one.values[:, :1], one.indices[:, :1], one.positions[:, :1]
    return TopPatches(*found, [unit], top.layer, top.net, top.images).patches()[0]
