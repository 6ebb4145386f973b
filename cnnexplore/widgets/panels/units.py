"""UnitPanel: what a unit answers to: its filter, its top patches, their projections, its receptive field."""

from __future__ import annotations

from collections.abc import Iterator

import ipywidgets as w
import numpy as np

from ... import drawing
from ...data import Images
from ...errors import SettingError
from ...network import Layer, Network, resolve_unit
from ...units import ReceptiveField, TopPatches, activation_maps, receptive_field, top_stream
from ..live.selection import Selection
from ..views.frame_view import FrameView
from ..views.unit_grid import UnitGrid
from . import thumbnails
from .images import middle_layer
from .look_panel import LookPanel
from .unit_gallery import captions

_RULES = {"deconvnet": "deconvnet", "guided backprop": "guided_backprop", "gradient": "gradient"}
_FIELD_IMAGES = 3
_ROW = 720  # screen pixels of a row of patches, about, where one patch is no larger


class UnitPanel(LookPanel):
    """A layer's units as thumbnails: top patches, filters or maps; of the chosen one all that is known.

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
        unit: int | str | None = None,
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
        self._thumbs: dict[tuple, dict[int, np.ndarray]] = {}
        self.top: TopPatches | None = None
        self.field: ReceptiveField | None = None
        self._projections: np.ndarray | None = None
        self._first = unit
        self._shown: tuple | None = None  # what the thumbnails are of
        self._image: int | None = None  # whose maps the thumbnails show
        super().__init__(net, None, layer, selection)

    def _first_layer(self, net: Network) -> Layer:
        return middle_layer(net)

    # what is on the screen

    def _build(self) -> list[w.Widget]:
        s = self.selection
        if self._first is not None:
            s.unit = resolve_unit(s.net, self._layer, self._first)
        self.grid = UnitGrid(rows=2.2)
        self.grid.on_select(lambda unit: setattr(self.selection, "unit", unit))
        self.grid.on_views = self._views
        self.rule = w.Dropdown(
            options=_RULES, description="projection", tooltip="by which rule a response is sent back to the pixels",
            layout=w.Layout(width="250px"), style={"description_width": "66px"},
        )  # fmt: skip
        self.rule.observe(self._rule_chosen, "value")
        self.kind = w.Dropdown(
            options=["top patches"], description="grid of", tooltip="what the small pictures of all units show",
            layout=w.Layout(width="250px"), style={"description_width": "66px"},
        )  # fmt: skip
        self.kind.observe(self._rule_chosen, "value")
        self.patches = FrameView((8, 8), "patches")
        self.patches.on_item = self._patch_chosen
        self.projections = FrameView((8, 8), "projections")
        self.whole = FrameView((8, 8), "image")
        self.filter = FrameView((8, 8), "filter")
        self.field_view = FrameView((8, 8), "receptive field")
        wrap = {"flex_flow": "row wrap", "align_items": "flex-start", "grid_gap": "12px"}
        side = w.HBox([self.whole, self.field_view, self.filter], layout=w.Layout(margin="8px 0 0 0", **wrap))
        return [self.kind, self.grid, side, self.patches, self.rule, self.projections]

    def _looked_at(self) -> tuple:
        s = self.selection
        kind = self.kind.value
        return s.net, s.layer, s.unit, self.rule.value, kind, self._image if kind == "maps" else None

    def _rule_chosen(self, change) -> None:
        self._begin()

    def _begin(self) -> None:
        offered = thumbnails.kinds(self.selection.net, self._layer)
        if list(self.kind.options) != offered:
            self.kind.unobserve(self._rule_chosen, "value")
            now = self.kind.value
            self.kind.options = offered
            self.kind.value = now if now in offered else offered[0]
            self.kind.observe(self._rule_chosen, "value")
        super()._begin()

    def _patch_chosen(self, item: int) -> None:
        """Shows the whole image of another patch; maps are then of that image."""
        if self.top is None or item >= self.top.indices.shape[1]:
            return
        self._image = int(self.top.indices[0, item])
        if self.kind.value == "maps":
            self._begin()
        else:
            self._show_whole(self._image, self.top.pictures()[item], self.top.boxes()[item])

    # the work

    def _stream(self, looked_at: tuple) -> tuple[Iterator, int]:
        net, layer, chosen, rule, kind, image = looked_at
        where = net.layers[layer]

        def steps() -> Iterator:
            source = Images.of(net, self.images)
            top = self._kept.get((net, where.name))
            if top is None:
                for top in top_stream(net, where.name, None, source, k=self.k):
                    yield "seen", (top.seen, len(source))
                self._kept[net, where.name] = top
            order = np.argsort(-top.values[:, 0], kind="stable").tolist()
            unit = order[0] if chosen is None else chosen
            one = top.only(unit)
            maps, number = None, image
            if kind == "maps":
                number = int(one.indices[0, 0]) if image is None else image
                maps = activation_maps(net, source[number], where.name)
            yield "unit", (top, unit, order, number)
            yield "patches", one.patches()
            if maps is None:
                yield "whole", (int(one.indices[0, 0]), one.pictures()[0], one.boxes()[0])
            else:
                place = np.unravel_index(maps.maps[unit].argmax(), maps.maps.shape[1:])
                yield "whole", (number, maps.image, where.rf_box(*map(int, place)))
            key = (net, where.name, kind, number)
            left = [u for u in order if u not in self._thumbs.setdefault(key, {})]
            if kind != "top patches":  # these are ready at once
                yield from self._small(kind, top, maps, left)
            yield "projections", one.projections(rule=rule)
            if max(where.size) > 1 and one.values[0, 0] > 0:
                try:
                    yield "field", receptive_field(net, where.name, unit, top, k=_FIELD_IMAGES, progress=False)
                except SettingError:  # nothing changes its response: a unit that is dead, or never looked at
                    yield "field", None
            else:
                yield "field", None
            if kind == "top patches":
                yield from self._small(kind, top, maps, left)

        return steps(), 100_000

    @staticmethod
    def _small(kind: str, top: TopPatches, maps, units: list[int]) -> Iterator:
        if kind == "filters":
            made = thumbnails.of_filters(thumbnails.filters_of(top.net, top.layer), units)
        else:
            made = thumbnails.of_patches(top, units) if maps is None else thumbnails.of_maps(maps, units)
        for some in made:
            yield "thumbnails", some

    def _frame(self, frame) -> None:
        what, found = frame
        getattr(self, f"_show_{what}")(*found if what == "whole" else (found,))

    def _show_seen(self, found: tuple[int, int]) -> None:
        self.status.set_status("running", f"{found[0]} of {found[1]} images seen by all {self._layer.channels} units")

    def _show_unit(self, found) -> None:
        top, unit, order, number = found
        s, kind = self.selection, self.kind.value
        self.top, self.field, self._projections = top.only(unit), None, None
        self._begun = (s.net, s.layer, unit, self.rule.value, kind, self._begun[-1])
        before, self._shown = self._shown, (s.net, s.layer, kind, number)
        if before is None or before[:3] != self._shown[:3]:  # maps of another image take the places of the old ones
            side = thumbnails.side_of(kind, top.layer, s.net.size)
            self.grid.reset(top.layer.channels, side, captions(s.net, top.layer), order)
        if before != self._shown:
            for u, picture in self._thumbs.get(self._shown, {}).items():
                self.grid.put(u, picture)
        s.unit = unit
        self.grid.selected = unit
        values = self.top.values[0]
        maps = "" if number is None else f"maps of image {number}; "
        self.grid.note = f"{maps}responses {values[0]:.3g} to {values[-1]:.3g}"
        self._show_filter(top.layer, unit)
        self.status.set_status("running", f"unit {unit}: patches and projections …")

    def _show_filter(self, layer: Layer, unit: int) -> None:
        found = thumbnails.filters_of(self.selection.net, layer)
        self.filter.layout.display = "none" if found is None else ""
        if found is None:
            return
        _draw(self.filter, thumbnails.of_filter(found, unit), 200)
        seen = found.weights.shape[1]
        self.filter.caption = "its filter" if found.of_pixels else f"its weights on {min(64, seen)} of {seen} maps"

    def _show_patches(self, patches: np.ndarray) -> None:
        _draw(self.patches, patches, _ROW // len(patches) - 10)
        count = len(self.top.images)
        self.patches.caption = f"the {len(patches)} patches that excite it most, of {count} images; click for the image"

    def _show_whole(self, number: int, picture: np.ndarray, box) -> None:
        _draw(self.whole, picture, 200)
        self.whole.caption = f"image {number}, and where it answers most"
        self.whole.box = [float(box[0]), float(box[1]), float(box[2] - 1), float(box[3] - 1)]

    def _show_projections(self, found: np.ndarray) -> None:
        self._projections = found
        _draw(self.projections, found, _ROW // len(found) - 10)
        self.projections.caption = f"what in them excites it, by {self.rule.label}"
        self.status.set_status("running", f"unit {self.top.units[0]}: sliding a patch over its top images …")

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
        self.status.set_status("running", f"{self.grid.done} of {self.grid.count} thumbnails")

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

    def to_python(self) -> str:
        """The Python that finds the patches again, and what the thumbnails show."""
        if self.top is None:
            raise SettingError("the patches are not found yet; wait a moment.")
        s, images = self.selection, ""
        if self._given is not None:
            images = f", {self._given!r}" if isinstance(self._given, str) else ", images"
        found = f"cx.top_patches({s.net.to_python()}, {s.layer!r}, {self.top.units[0]}{images}, k={self.k})"
        kind, number = self._shown[2:]
        if kind == "filters":
            return f"{found}\ncx.filters({s.net.to_python()}, {s.layer!r})"
        if kind == "maps":
            return f"top = {found}\ncx.activation_maps({s.net.to_python()}, top.images[{number}], {s.layer!r})"
        return found


def _draw(view: FrameView, pictures: np.ndarray, wide: int) -> None:
    """Shows pictures of any size, each at most so many screen pixels wide where a whole factor allows it."""
    size = pictures.shape[-3:-1]
    scale = max(1, min(wide // max(size), 16))
    if (view.height, view.width, view.scale) != (*size, scale):
        view.resize(size, scale)
    view.draw(pictures)
