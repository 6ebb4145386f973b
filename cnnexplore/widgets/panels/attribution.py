"""AttributionPanel: which pixels make the network say this, by all methods side by side."""

from __future__ import annotations

from collections.abc import Iterator

import ipywidgets as w
import numpy as np

from ... import drawing
from ...attribution import Attribution, attribute_stream, attribution_methods, find_method
from ...errors import ExploreError, SettingError
from ...network import Layer, Network, bottleneck_layers
from ...results import whole_scale
from ...units import activation_maps
from ..live.selection import Selection
from ..views.frame_view import FrameView, side_by_side
from ..views.map_view import MapView, nearest_position, receptive_box
from ..views.unit_grid import UnitGrid
from .look_panel import LookPanel
from .method_controls import MethodControls


class AttributionPanel(LookPanel):
    """An image, what a method says of it, the map of a layer to choose a unit on, and all methods as thumbnails.

    net: a Network, a name or a path for `cx.load` (default: photonet). image: one, a list, or a dict by name. target: a
    class's number or label (default: the predicted one). method: one of `cx.attribution_methods()`. layer: whose units
    can be explained, and at which Grad-CAM looks (default: the last one with a map). selection: share what is looked
    at. Raises LayerNotFound, ImageError, SettingError, NetworkError, WeightsError.
    """

    layer_help = "the layer whose units can be explained, and at which Grad-CAM looks"

    def __init__(
        self,
        net=None,
        image=None,
        target: int | str | None = None,
        method: str = "gradient",
        *,
        layer: str | None = None,
        opacity: float = 0.7,
        selection: Selection | None = None,
    ):
        find_method(method)
        if not 0 <= opacity <= 1:
            raise SettingError(f"opacity is {opacity!r}; expected 0 to 1.")
        self.methods = list(attribution_methods())  # the names, as they are registered now
        self._first = (target, method, opacity)
        self._found: dict[str, Attribution] = {}
        self._failed: dict[str, str] = {}
        self._maps: np.ndarray | None = None
        super().__init__(net, image, layer, selection)

    def _first_layer(self, net: Network) -> Layer:
        maps = [layer for layer in bottleneck_layers(net, net.scores.name) if min(layer.size) > 1]
        return maps[-1] if maps else next(iter(net.layers.values()))

    # what is on the screen

    def _build(self) -> list[w.Widget]:
        target, method, opacity = self._first
        net = self.selection.net
        named = net.labels[target] if isinstance(target, int) and 0 <= target < len(net.labels) else target
        self.target = w.Combobox(
            value="" if named is None else str(named), options=net.labels, placeholder="the predicted class",
            description="target", continuous_update=False, tooltip="a label or a number; empty: the predicted one",

            layout=w.Layout(width="290px"), style={"description_width": "44px"},
        )  # fmt: skip
        self.method = w.Dropdown(
            options=[(name.replace("_", " "), name) for name in self.methods], value=method, description="method",
            layout=w.Layout(width="250px"), style={"description_width": "52px"},
        )  # fmt: skip
        self.opacity = w.FloatSlider(
            opacity, min=0, max=1, step=0.05, description="opacity", tooltip="of the map over the image",
            layout=w.Layout(width="290px"), style={"description_width": "52px"},
        )  # fmt: skip
        self.original, self.overlay = FrameView(net.size, "image"), FrameView(net.size, method)
        self.original.on_pick = self.overlay.on_pick = self._image_picked
        self.overlay.on_views = self._views
        self.bar = w.HTML(layout=w.Layout(margin="2px 0 0 0"))
        self.map = MapView(False, "the class again", "explain the class and no longer a unit")
        self.map.on_choose = self._place_chosen
        self.unit = w.BoundedIntText(
            0, min=0, max=1, description="unit", tooltip="the channel whose map is shown; changing it explains it",
            layout=w.Layout(width="128px"), style={"description_width": "30px"},
        )  # fmt: skip
        self.sliders = MethodControls(min(net.size), self._setting_moved)
        self.grid = UnitGrid(len(self.methods), 96, [m.replace("_", " ") for m in self.methods], rows=1.1, shown=76)
        self.grid.selected = self.methods.index(method)
        self.target.observe(self._restart, "value")
        self.method.observe(self._method_chosen, "value")
        self.opacity.observe(lambda _: self._draw(), "value")
        self.unit.observe(self._unit_chosen, "value")
        self.grid.on_select(lambda k: setattr(self.method, "value", self.methods[k]))
        self.sliders.show(method)
        wrap = {"flex_flow": "row wrap", "align_items": "flex-start"}
        pictures = w.HBox([self.original, w.VBox([self.overlay, self.bar])], layout=w.Layout(grid_gap="10px", **wrap))
        side = w.VBox(
            [self.map.widget, self.unit, self.sliders.widget], layout=w.Layout(margin="0 0 0 14px", width="216px")
        )
        return [
            w.HBox([self.target, self.method, self.opacity], layout=w.Layout(**wrap)),
            w.HBox([pictures, side], layout=w.Layout(margin="8px 0 0 0", **wrap)),
            self.grid,
        ]

    # what a person does

    def _restart(self, _=None) -> None:
        self._found.clear()
        self._failed.clear()
        self._begin()

    def _method_chosen(self, change) -> None:
        self.grid.selected = self.methods.index(change.new)
        self.sliders.show(change.new)
        if change.new in self._found:
            self._draw()
        else:
            self._begin()

    def _setting_moved(self, method: str) -> None:
        self._found.pop(method, None)
        self._failed.pop(method, None)
        self._begin()

    def _unit_chosen(self, change) -> None:
        if self._maps is not None and change.new != self._shown_unit:
            self.selection.set(unit=change.new, position=None)

    def _place_chosen(self, place: tuple[int, int] | None) -> None:
        chosen = {"unit": None, "position": None} if place is None else {"unit": self._shown_unit, "position": place}
        self.selection.set(**chosen)

    def _image_picked(self, row: int, column: int) -> None:
        """A click on the image chooses the unit that looks there."""
        if max(self._layer.size) > 1 and self._maps is not None:
            self._place_chosen(nearest_position(self._layer, row, column))

    @property
    def _shown_unit(self) -> int:
        if self.selection.unit is not None:
            return self.selection.unit
        return 0 if self._maps is None else int(self._maps.max((1, 2)).argmax())

    # the work

    def _looked_at(self) -> tuple:
        s = self.selection
        return s.net, id(s.image), s.layer, s.unit, s.position

    def _asked(self) -> dict:
        """What is explained, as `attribute` takes it."""
        s = self.selection
        if s.unit is not None:
            return {"layer": s.layer, "unit": s.unit, "position": s.position}
        typed = self.target.value.strip()
        if not typed:
            return {}
        return {"target": int(typed) if typed.isdigit() and typed not in s.net.labels else typed}

    def _selected(self, change) -> None:
        s = self.selection
        if self._begun is not None and s.layer in s.net.layers and self._begun != self._looked_at():
            self._found.clear()
            self._failed.clear()
            if self._begun[0] is not s.net:
                self.target.options, self.target.value = s.net.labels, ""
                self.sliders.reset(min(s.net.size))
                self.sliders.show(self.method.value)
        super()._selected(change)

    def _stream(self, looked_at: tuple) -> tuple[Iterator, int]:
        net, image, asked, chosen = self.selection.net, self.selection.image, self._asked(), self.method.value
        layer = net.layers[self.selection.layer]
        left = [m for m in [chosen, *self.methods] if m not in self._found and m not in self._failed]
        order = list(dict.fromkeys(left))
        settings = {m: self._options(m, layer, asked) for m in order}

        def steps() -> Iterator:
            yield "maps", activation_maps(net, image, layer.name) if max(layer.size) > 1 else None, 1.0
            for method in order:
                try:
                    for found, share in attribute_stream(net, image, method=method, **asked, **settings[method]):
                        yield method, found, share
                except ExploreError as error:
                    yield method, str(error), 1.0

        return steps(), 10_000

    def _options(self, method: str, layer: Layer, asked: dict) -> dict:
        moved = self.sliders.values(method)
        looks_at_a_layer = any(option.name == "at" for option in find_method(method).options)
        if looks_at_a_layer and "layer" not in asked and layer.has_map and layer != self.selection.net.scores:
            moved["at"] = layer.name
        return moved

    def _frame(self, frame) -> None:
        what, found, share = frame
        if what == "maps":
            self._show_maps(found)
            return
        if isinstance(found, str):
            self._failed[what] = found
            self.grid.put(self.methods.index(what), np.full((8, 8, 3), 170, np.uint8))
        else:
            self._found[what] = found
            if share == 1:
                self.grid.put(self.methods.index(what), found.picture)
        if what == self.method.value:
            self._draw()
        done = sum(m in self._found or m in self._failed for m in self.methods)
        if self.method.value not in self._failed:
            grows = f", {share:.0%} of the windows" if share < 1 else ""
            self.status.set_status("running", f"{done} of {len(self.methods)} methods{grows}")

    def _show_maps(self, maps) -> None:
        s, layer = self.selection, self._layer
        self._maps = None if maps is None else maps.maps
        image = s.net.picture(s.net.pixels_of(s.image))
        for view in (self.original, self.overlay):
            if (view.height, view.width) != s.net.size:
                view.resize(s.net.size)
            view.box = []
        self.original.draw(image)
        self.unit.layout.display = "none" if maps is None else ""
        if maps is None:
            self.map.widget.layout.display = "none"
            return
        shown = self._shown_unit
        self.unit.max = layer.channels - 1
        if self.unit.value != shown:
            self.unit.value = shown
        values = self._maps[shown]
        place = s.position
        if s.unit is not None and place is None:
            place = tuple(int(v) for v in np.unravel_index(values.argmax(), values.shape))
        picture = drawing.heat(values, signed=bool((values < 0).any()))
        self.map.show(layer, picture, place, f"unit {shown} of {layer.name}; click a place to explain it")
        if place is not None:
            self.original.box = self.overlay.box = receptive_box(layer, place)

    def _draw(self) -> None:
        method = self.method.value
        a = self._found.get(method)
        if a is None:
            if method in self._failed:
                self.overlay.caption, self.bar.value = f"{method.replace('_', ' ')}: does not fit", ""
                self.overlay.draw(self._blank())
                self.status.set_status("failed", self._failed[method])
            return
        picture = a.overlay(self.opacity.value)
        self.overlay.offer(lambda: picture)
        self.overlay.draw(picture)
        self.overlay.caption = f"{method.replace('_', ' ')} of {a.about}, score {a.score:.3g}"
        self.bar.value = _colour_bar(
            *drawing.limits(a.map, a.signed), a.signed, self.overlay.width * whole_scale(picture.shape[:2])
        )

    def _blank(self) -> np.ndarray:
        return np.full((*self.selection.net.size, 3), 170, np.uint8)

    def _finished(self) -> str:
        method = self.method.value
        if method in self._failed:
            return self._failed[method]
        return f"{len(self._found)} methods, click one; or a place on the map or the image, to explain the unit there"

    # what leaves the panel

    @property
    def attribution(self) -> Attribution:
        """What is on the screen. Raises SettingError if there is nothing yet."""
        method = self.method.value
        if method not in self._found:
            raise SettingError(self._failed.get(method, f"{method} is not computed yet; wait a moment."))
        return self._found[method]

    @property
    def picture(self) -> np.ndarray:
        """The image and the map over it, side by side, (H, W', 3) uint8."""
        a = self.attribution
        return side_by_side([a.image, a.overlay(self.opacity.value)])

    def to_python(self) -> str:
        """The line of Python that remakes the map."""
        code, image = self.attribution.to_python(), self.selection.image_python
        return code if f", {image}, " in code else code.replace(", image", f", {image}", 1)


def _colour_bar(low: float, high: float, signed: bool, width: int) -> str:
    """HTML of the colour scale of `drawing.heat` with its end values, `width` screen pixels wide."""
    steps = drawing.heat(np.linspace(low, high, 9), signed, (low, high))
    colours = ", ".join(f"rgb({r},{g},{b})" for r, g, b in steps.tolist())
    middle = "<span>0</span>" if signed else ""
    title = "against … for" if signed else ""
    return (
        f'<div style="width:{width}px;line-height:1.4;color:var(--jp-ui-font-color2)">'
        f'<div style="height:8px;background:linear-gradient(to right,{colours})" title="{title}"></div>'
        f'<div style="display:flex;justify-content:space-between;font-size:11px"><span>{low:.2g}</span>{middle}'
        f"<span>{high:.2g}</span></div></div>"
    )
