"""UnitPanel: everything about a unit, filled in as it is computed; silenced and raised live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as w
import numpy as np

from ... import drawing
from ...arguments import checked, choice, optional, several, whole
from ...data import Images
from ...errors import SettingError
from ...network import Network, resolve_unit
from ...reports import PARTS, Part, Question, UnitReport, part_stream
from ...reports.unit_report import checkpoints_given, concepts_given, report_to_python
from ...results import png
from ...units import ActivationMaps, ReceptiveField, TopPatches, activation_maps, top_stream
from ..elements import WRAP, button, dropdown
from ..live.selection import SharedSelection
from ..live.task import Task
from ..views.frame_view import FrameView
from ..views.unit_grid import UnitGrid
from . import thumbnails
from .arguments import read_first
from .base import NetworkLike
from .evolution_view import EvolutionView
from .part_view import PartView, draw
from .strength import StrengthControl
from .task_panel import TaskPanel
from .unit_gallery import captions

_RULES = {"deconvnet": "deconvnet", "guided backprop": "guided_backprop", "gradient": "gradient"}
_WIDE = {"decoded filter": 210, "maximisation": 210, "generator": 210, "word": 430, "effect": 430}  # screen pixels
_WANTED = ("maximisation", "generator", "word")  # beside each other
_QUICK = ("decoded filter", "effect", "maximisation")  # computed for every unit that is looked at
SLOW = tuple(name for name in PARTS if name not in (*_QUICK, "filter", "top patches", "projections", "receptive field"))
_ROW = 720  # screen pixels of a row of patches, about, where one patch is no larger
_FEW = 8  # images in one step: thumbnails of the first are shown until all have passed through the network
_FIRST = 48  # units that have such thumbnails


def _by_response(top: TopPatches) -> list[int]:
    """The units, that of the largest response first."""
    return np.argsort(-top.values[:, 0], kind="stable").tolist()


class UnitPanel(TaskPanel):
    """A layer's units as thumbnails, and everything about the chosen one, filled in as it is computed.

    Its filter, decoded filter, receptive field and maximisation; its top patches and what in them excites it; what the
    classes lose when it is silenced, with a slider that silences or raises it live. Its word, what it wants
    with a generator as prior, its evolution in training and its facets take longer: a button for each computes them for
    every unit that is chosen. The button "page" saves all that is known as
    one picture, that of `cx.ask`.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "photonet").
    layer : str, optional
        Default: one in the middle.
    unit : int or str, optional
        A unit, or a class's label where the layer is the class scores (default: the one that responds most).
    images : object, optional
        A list, a folder or a data set (default: the bundled images).
    k : int
        How many patches, 1 to 25.
    concepts : ConceptData or Dissection, optional
        Images with masks of concepts for the unit's word (default: scenes of the world, for a network of its classes).
    checkpoints : str, path, list or dict, optional
        The networks or weights files of a training, in order (default: those that ship with the network).
    parts : sequence of str
        The slow parts that are computed from the start: "word", "generator", "evolution", "facets".
    selection : SharedSelection, optional
        Shares what is looked at with other panels.

    Raises
    ------
    LayerNotFound, SettingError, NetworkError, WeightsError

    Examples
    --------
    >>> import cnnexplore as cx
    >>> panel = cx.UnitPanel("lenet", "conv1", 3, [cx.digit(k) for k in range(10)], k=4)
    >>> panel.wait(60)
    True
    >>> panel.to_python()
    "cx.top_patches(cx.load('lenet'), 'conv1', 3, images, k=4)"
    >>> panel.close()
    """

    looks_at_image = False
    layer_help = "the layer of the units"

    @checked(
        k=whole(1, 25, "how many patches to show"),
        concepts=optional(concepts_given),
        checkpoints=optional(checkpoints_given),
        parts=several(choice(SLOW), f"a list of parts among {', '.join(SLOW)}", 100),
    )
    def __init__(
        self,
        net: NetworkLike = None,
        layer: str | None = None,
        unit: int | str | None = None,
        images: Any = None,
        *,
        k: int = 9,
        concepts: Any = None,
        checkpoints: Any = None,
        parts: Sequence[str] = (),
        selection: SharedSelection | None = None,
    ):
        self._concepts, self._checkpoints, self._given_parts = concepts, checkpoints, tuple(parts)
        self.parts: dict[str, Part] = {}  # what is known of the chosen unit
        self._top_of_all: TopPatches | None = None
        self._parts_of: tuple[Network, str, int] | None = None  # (net, layer, unit) that they are of
        self.images, self.k = None if images is None else Images(images), k
        self._given_images, self._given_unit = images, unit
        self._kept: dict[tuple[Network, str], TopPatches] = {}
        self._thumbnails: dict[tuple, dict[int, np.ndarray]] = {}
        self.top: TopPatches | None = None
        self.field: ReceptiveField | None = None
        self.projected: np.ndarray | None = None  # the projections of the patches, (k, h, w, 3) uint8
        self.shown: tuple | None = None  # of what the thumbnails are: (net, layer, kind, number of the image)
        self._image: int | None = None  # the number of the image of the maps
        super().__init__(net, None, layer, selection)

    def _prepare(self) -> None:
        read_first(self.net, self.images)
        if self._given_unit is not None:
            self.selection.set(unit=resolve_unit(self.net, self.layer, self._given_unit))

    # what is on the screen

    def _build(self) -> list[w.Widget]:
        self.grid = UnitGrid(rows=2.2)
        self.grid.on_select(lambda unit: self.selection.set(unit=unit))
        self.runner.watch(self.grid)
        tip = "the backward rule of the projection to pixels"
        self.rule = dropdown(list(_RULES.items()), "projection", tip, 250)
        self.kind = dropdown(["top patches"], "grid of", "what the thumbnails show", 250)
        for box in (self.rule, self.kind):
            box.style.description_width = "66px"
            box.observe(self._kind_chosen, "value")
        self.patches = FrameView((8, 8), "patches")
        self.patches.on_item = self._patch_chosen
        self.projections = FrameView((8, 8), "projections")
        self.image = FrameView((8, 8), "image")
        self.filter = FrameView((8, 8), "filter")
        self.field_view = FrameView((8, 8), "receptive field")
        self.views: dict[str, PartView] = {"evolution": EvolutionView(PARTS["evolution"][0])}
        for name in (*_QUICK, *SLOW):
            if name not in self.views:
                self.views[name] = PartView(PARTS[name][0], wide=_WIDE.get(name))
        self.maker = self._add_runner("parts")
        self.maker.on_result, self.maker.on_state = self._show_part, self._maker_state
        self.maker.watch(self.patches)
        self.strength = StrengthControl(self._add_runner("strength"))
        self.switches = {
            name: w.ToggleButton(
                name in self._given_parts, description=name, tooltip=f"compute for each unit: {PARTS[name][0]}",
                layout=w.Layout(width="auto"),
            )
            for name in SLOW
        }  # fmt: skip
        for switch in self.switches.values():
            switch.observe(lambda change: self._make_parts(), "value")
        self.page_button = button(
            "page", "file-image-o", "save all that is known of the unit as one picture", self.save_page
        )
        layout = {"grid_gap": "12px", **WRAP}
        pictures = [self.image, self.field_view, self.filter, self.views["decoded filter"].widget]
        row = w.HBox(pictures, layout=w.Layout(margin="8px 0 0 0", **layout))
        wanted = w.HBox([self.views[name].widget for name in _WANTED], layout=w.Layout(**layout))
        causes = w.HBox([self.strength.widget, self.views["effect"].widget], layout=w.Layout(**layout))
        more = w.HBox(
            [w.HTML("also:"), *self.switches.values(), self.page_button], layout=w.Layout(margin="8px 0 0 0", **layout)
        )
        slow = [self.views[name].widget for name in SLOW if name not in _WANTED]
        rows = [self.kind, self.grid, row, self.patches, self.rule, self.projections, more, wanted, causes]
        return [*rows, *slow, self.run_view]

    def _shown_elsewhere(self) -> list[w.Widget]:
        return [self.kind, self.grid]

    def _looked_at(self) -> tuple:
        s, kind = self.selection.value, self.kind.value
        return s.net, s.layer, s.unit, self.rule.value, kind, self._image if kind == "maps" else None

    def _kind_chosen(self, change: dict) -> None:
        self._begin()

    def _begin(self) -> None:
        offered = thumbnails.kinds(self.net, self.layer)
        if list(self.kind.options) != offered:
            now = self.kind.value
            self.kind.unobserve(self._kind_chosen, "value")
            self.kind.options = offered
            self.kind.value = now if now in offered else offered[0]
            self.kind.observe(self._kind_chosen, "value")
        super()._begin()

    def _patch_chosen(self, item: int) -> None:
        """Show the whole image of another patch; maps are then of that image."""
        if self.top is None or item >= self.top.indices.shape[1]:
            return
        self._image = int(self.top.indices[0, item])
        if self.kind.value == "maps":
            self._begin()
        else:
            self._show_image(self._image, self.top.pictures()[item], self.top.boxes()[item])

    # the work

    def _stream(self, looked_at: tuple) -> tuple[Iterator, int]:
        net, layer, chosen, rule, kind, image = looked_at
        where = net.layers[layer]

        def steps() -> Iterator:
            source = Images.of(net, self.images)
            if (net, where.name) not in self._kept:
                for seen in top_stream(net, where.name, None, source, k=self.k, batch=_FEW):
                    if kind == "top patches" and seen.seen <= _FEW < len(source):
                        first = _by_response(seen)
                        yield "first", (seen, first)
                        yield from self._make_thumbnails(kind, seen, None, first[:_FIRST])
                    yield "seen", (seen.seen, len(source))
                self._kept[net, where.name] = seen
            top = self._kept[net, where.name]
            order = _by_response(top)
            unit = order[0] if chosen is None else chosen
            one = top.only(unit)
            maps, number = None, image
            if kind == "maps":
                number = int(one.indices[0, 0]) if image is None else image
                maps = activation_maps(net, source[number], where.name)
            yield "unit", (top, unit, order, number)
            asked = Question(net, where, unit, source, self.k, rule=rule, top=top)
            yield from (("part", part) for part in part_stream(asked, ("filter", "top patches")))
            if maps is None:
                yield "image", (int(one.indices[0, 0]), one.pictures()[0], one.boxes()[0])
            else:
                place = np.unravel_index(maps.maps[unit].argmax(), maps.maps.shape[1:])
                yield "image", (number, maps.image, where.rf_box(*map(int, place)))
            key = (net, where.name, kind, number)
            left = [u for u in order if u not in self._thumbnails.setdefault(key, {})]
            if kind != "top patches":  # these are ready at once
                yield from self._make_thumbnails(kind, top, maps, left)
            yield from (("part", part) for part in part_stream(asked, ("projections", "receptive field")))
            if kind == "top patches":
                yield from self._make_thumbnails(kind, top, maps, left)

        return steps(), 100_000

    @staticmethod
    def _make_thumbnails(kind: str, top: TopPatches, maps: ActivationMaps | None, units: list[int]) -> Iterator:
        filters = thumbnails.filters_of(top.net, top.layer) if kind == "filters" else None
        if filters is not None:
            made = thumbnails.of_filters(filters, units)
        else:
            made = thumbnails.of_patches(top, units) if maps is None else thumbnails.of_maps(maps, units)
        for some in made:
            yield "thumbnails", some

    def _show_result(self, result: tuple) -> None:
        what, found = result
        getattr(self, f"_show_{what}")(*found if what == "image" else (found,))

    def _show_seen(self, found: tuple[int, int]) -> None:
        self.run_view.set_status("running", f"{found[0]} of {found[1]} images passed through the network")

    def _show_first(self, found: tuple[TopPatches, list[int]]) -> None:
        """Empty the grid for thumbnails of the first images, which are shown until all were passed."""
        seen, order = found
        self.shown = (seen.net, seen.layer.name, "top patches", None)
        side = thumbnails.side_of("top patches", seen.layer, seen.net.size)
        self.grid.reset(seen.layer.channels, side, captions(seen.net, seen.layer), order)

    def _show_unit(self, found: tuple) -> None:
        assert self._begun is not None
        top, unit, order, number = found
        s, kind = self.selection.value, self.kind.value
        self.top, self.field, self.projected = top.only(unit), None, None
        self._top_of_all = top
        if self._parts_of != (s.net, s.layer, unit):
            self.parts, self._parts_of = {}, (self.net, s.layer, unit)
        self._begun = (s.net, s.layer, unit, self.rule.value, kind, self._begun[-1])
        before, self.shown = self.shown, (s.net, s.layer, kind, number)
        if before is None or before[:3] != self.shown[:3]:  # maps of another image take the places of the old ones
            side = thumbnails.side_of(kind, top.layer, self.net.size)
            self.grid.reset(top.layer.channels, side, captions(self.net, top.layer), order)
        elif self.grid.order != order:  # that of the first images
            self.grid.order = order
        if before != self.shown:
            for u, picture in self._thumbnails.get(self.shown, {}).items():
                self.grid.put(u, picture)
        self.selection.set(unit=unit)
        self.grid.selected = unit
        values = self.top.values[0]
        maps = "" if number is None else f"maps of image {number}; "
        self.grid.note = f"{maps}responses {values[0]:.3g} to {values[-1]:.3g}"
        self._make_parts()
        self.run_view.set_status("running", f"unit {unit}: patches and projections …")

    def _make_parts(self) -> None:
        """Compute what is wanted and not known yet of the chosen unit."""
        if self.top is None or self._parts_of is None:
            return
        for name, switch in self.switches.items():
            if not switch.value:
                self.views[name].clear()
        wanted = [name for name in PARTS if name in _QUICK or (name in SLOW and self.switches[name].value)]
        left = [name for name in wanted if name not in self.parts or self.parts[name].done < 1]
        for name in wanted:
            if name in left:
                self.views[name].wait("to be computed …")
            else:
                self.views[name].show(self.parts[name])
        net, layer, unit = self._parts_of
        asked = Question(
            net,
            net.layers[layer],
            unit,
            self.top.images,
            self.k,
            concepts=self._concepts,
            checkpoints=self._checkpoints,
            top=self._top_of_all,
        )
        self.maker.begin(lambda: Task(part_stream(asked, left), 100_000))

    def _maker_state(self, state: str) -> None:
        if state in ("finished", "paused", "stopped"):
            self._update_poster()

    def _show_part(self, part: Part) -> None:
        show = {
            "filter": self._show_filter,
            "top patches": self._show_patches,
            "projections": self._show_projections,
            "receptive field": self._show_field,
        }
        if part.name in self.views:
            self.views[part.name].show(part)
        else:
            show[part.name](part)
        self.parts[part.name] = part  # what is known is on the screen

    def _show_filter(self, part: Part) -> None:
        self.filter.layout.display = "none" if part.why else ""
        if not part.why:
            draw(self.filter, part.pictures[0], 200)
            seen = part.value.weights.shape[1]
            pixels = part.value.of_pixels
            self.filter.caption = "its filter" if pixels else f"its weights on {min(64, seen)} of {seen} maps"

    def _show_patches(self, part: Part) -> None:
        patches = np.stack(part.pictures)
        draw(self.patches, patches, _ROW // len(patches) - 10)
        count = len(self.top.images) if self.top is not None else 0
        self.patches.caption = f"the {len(patches)} largest responses of {count} images; click for the whole image"

    def _show_image(self, number: int, picture: np.ndarray, box: Any) -> None:
        draw(self.image, picture, 200)
        if self._parts_of is not None and self.top is not None:
            self.strength.look(*self._parts_of, self.top.images[number])
        self.image.caption = f"image {number}; the box is where the response is largest"
        self.image.box = [float(box[0]), float(box[1]), float(box[2] - 1), float(box[3] - 1)]

    def _show_projections(self, part: Part) -> None:
        self.projected = np.stack(part.pictures)
        draw(self.projections, self.projected, _ROW // len(self.projected) - 10)
        self.projections.caption = f"projections of the responses by {self.rule.label}"
        self.run_view.set_status("running", "occluding the top images …")

    def _show_field(self, part: Part) -> None:
        self.field = part.value
        self.field_view.layout.display = "none" if part.value is None else ""
        if part.value is not None:
            draw(self.field_view, part.pictures[0], 200)
            self.field_view.caption = f"receptive field: {part.note}"

    def _show_thumbnails(self, found: dict[int, np.ndarray]) -> None:
        if self.shown in self._thumbnails:  # not those of the first images only
            self._thumbnails[self.shown].update(found)
        for unit, picture in found.items():
            self.grid.put(unit, picture)
        self.run_view.set_status("running", f"{self.grid.done} of {self.grid.count} thumbnails")

    def _finished(self) -> str:
        return f"{self.grid.count} units of {self.layer.name}; click one, or use the arrow keys"

    # what leaves the panel

    @property
    def report(self) -> UnitReport:
        """All that is known of the chosen unit so far. Raises SettingError if there is nothing yet."""
        if self.top is None or self._parts_of is None:
            raise SettingError("the patches are not found yet; wait a moment.")
        net, layer, unit = self._parts_of
        parts = {name: self.parts[name] for name in PARTS if name in self.parts}
        python = report_to_python(
            net, layer, unit, self._given_images, self._concepts, self._checkpoints, list(parts), self.k
        )
        return UnitReport(net, net.layers[layer], unit, self.top.images, parts, python)

    def save_page(self) -> None:
        """Have the browser save all that is known of the unit as one picture, with its Python inside."""
        with self.run_view.show_errors():
            report = self.report
            name = f"{self.net.name}-{report.layer.name.replace('/', '-')}-unit-{report.unit}.png"
            self.run_view.download(name, png(report.picture, report.to_python()))

    @property
    def picture(self) -> np.ndarray:
        """The patches in a row above their projections, (H, W, 3) uint8. Raises SettingError if there are none yet."""
        if self.top is None or self.projected is None:
            raise SettingError("the patches are not found yet; wait a moment.")
        patches = self.top.patches()
        return drawing.tiles(np.concatenate([patches, self.projected]), len(patches), gap=2)

    def to_python(self) -> str:
        """The Python of the patches and of what the thumbnails show. Raises SettingError if there are none yet."""
        s, images = self.selection.value, ""
        if self.top is None or self.shown is None or self.top.layer.name != s.layer:
            raise SettingError("the patches are not found yet; wait a moment.")
        if self._given_images is not None:
            images = f", {self._given_images!r}" if isinstance(self._given_images, str) else ", images"
        found = f"cx.top_patches({self.net.to_python()}, {s.layer!r}, {self.top.units[0]}{images}, k={self.k})"
        kind, number = self.shown[2:]
        if kind == "filters":
            return f"{found}\ncx.filters({self.net.to_python()}, {s.layer!r})"
        if kind == "maps":
            return f"top = {found}\ncx.activation_maps({self.net.to_python()}, top.images[{number}], {s.layer!r})"
        return found
