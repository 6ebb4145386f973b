"""AttributionPanel: the pixels that a class or a unit depends on, by all methods side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ipywidgets as w
import numpy as np

from ... import drawing
from ...arguments import checked, fraction
from ...attribution import Attribution, attribute_stream, attribution_methods, find_method
from ...errors import ExploreError, LayerError, SettingError
from ...network import Layer, Network, bottleneck_layers, resolve_unit
from ...results import whole_scale
from ...units import ActivationMaps, activation_maps
from ..elements import WRAP, colour_bar
from ..live.selection import Selection, SharedSelection
from ..views.class_bars import ClassBars
from ..views.frame_view import FrameView, side_by_side
from ..views.map_view import MapView, nearest_position, receptive_box
from ..views.unit_grid import UnitGrid
from .base import NetworkLike
from .image_python import image_python
from .method_controls import MethodControls
from .predictions import predicted
from .task_panel import TaskPanel

OPACITY = 0.7  # of the map over the image, unless another is chosen


class AttributionPanel(TaskPanel):
    """An image, its attribution by a method, a map on which a unit is chosen, and all methods as thumbnails.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "photonet").
    image : object, optional
        An image, a list, or a dict by name (default: the bundled images).
    target : int or str, optional
        A class's number or label (default: the predicted class).
    method : str
        One of `attribution_methods()`.
    layer : str, optional
        The layer of the map, and of Grad-CAM (default: the last one with a map before the class scores).
    opacity : float
        Of the attribution over the image, 0 to 1.
    selection : SharedSelection, optional
        Shares what is looked at with other panels.

    Raises
    ------
    LayerNotFound, ImageError, SettingError, NetworkError, WeightsError

    Examples
    --------
    >>> import cnnexplore as cx
    >>> panel = cx.AttributionPanel("lenet", cx.digit(3), method="gradcam")
    >>> panel.wait(60)
    True
    >>> panel.attribution.about
    '3'
    >>> panel.close()
    """

    layer_help = "the layer of the map and of Grad-CAM"

    @checked(opacity=fraction("the weight of the map over the image"))
    def __init__(
        self,
        net: NetworkLike = None,
        image: Any = None,
        target: int | str | None = None,
        method: str = "gradient",
        *,
        layer: str | None = None,
        opacity: float = OPACITY,
        selection: SharedSelection | None = None,
    ):
        find_method(method)
        self.methods = list(attribution_methods())
        self._given = (target, method, opacity)
        self.found: dict[str, Attribution] = {}  # by method
        self.failed: dict[str, str] = {}  # the sentence by method
        self._unfinished: set[str] = set()  # methods whose map is found only in part, or approximate
        self._maps: np.ndarray | None = None
        super().__init__(net, image, layer, selection)

    def _prepare(self) -> None:
        target = self._given[0]
        self._target = None if target is None else resolve_unit(self.net, self.net.scores, target)

    def _first_layer(self, net: Network) -> Layer:
        maps = [layer for layer in bottleneck_layers(net, net.scores.name) if min(layer.size) > 1]
        return maps[-1] if maps else next(iter(net.layers.values()))

    # what is on the screen

    def _build(self) -> list[w.Widget]:
        _, method, opacity = self._given
        net, names = self.net, [name.replace("_", " ") for name in self.methods]
        label = None if self._target is None else self._name_of(self._target)
        self.target = w.Combobox(
            value=label or "", options=net.labels, placeholder="the predicted class",
            description="target", continuous_update=False, tooltip="a label or a number; empty: the predicted class",
            layout=w.Layout(width="290px"), style={"description_width": "44px"},
        )  # fmt: skip
        self.method = w.Dropdown(
            options=list(zip(names, self.methods, strict=True)), value=method, description="method",
            layout=w.Layout(width="250px"), style={"description_width": "52px"},
        )  # fmt: skip
        self.opacity = w.FloatSlider(
            opacity, min=0, max=1, step=0.05, description="opacity", tooltip="of the attribution over the image",
            layout=w.Layout(width="290px"), style={"description_width": "52px"},
        )  # fmt: skip
        self.original, self.overlay = FrameView(net.size, "image"), FrameView(net.size, method)
        self.original.on_pick = self.overlay.on_pick = self._image_picked
        self.runner.watch(self.overlay)
        self.bar = w.HTML(layout=w.Layout(margin="2px 0 0 0"))
        self.map = MapView(False, "explain class", "explain the class and no longer a unit")
        self.map.on_choose = self._position_chosen
        self.unit = w.BoundedIntText(
            0, min=0, max=1, description="unit", tooltip="the unit whose map is shown; a change explains it",
            layout=w.Layout(width="128px"), style={"description_width": "30px"},
        )  # fmt: skip
        self.method_controls = MethodControls(min(net.size), self._setting_moved)
        self.grid = UnitGrid(len(names), 96, names, rows=2, shown=84, labelled=True, label="methods")
        self.predictions = ClassBars(layout=w.Layout(width="206px"))
        self.predictions.on_choose = self._class_chosen
        self.grid.selected = self.methods.index(method)
        self.target.observe(self._target_chosen, "value")
        self.method.observe(self._method_chosen, "value")
        self.opacity.observe(lambda _: self._draw(), "value")
        self.unit.observe(self._unit_chosen, "value")
        self.grid.on_select(lambda k: setattr(self.method, "value", self.methods[k]))
        self.method_controls.show(method)
        pictures = w.HBox([self.original, w.VBox([self.overlay, self.bar])], layout=w.Layout(grid_gap="10px", **WRAP))
        side = [self.predictions, self.map.widget, self.unit, self.method_controls.widget]
        return [
            w.HBox([self.target, self.method, self.opacity], layout=w.Layout(**WRAP)),
            w.HBox(
                [pictures, w.VBox(side, layout=w.Layout(margin="0 0 0 14px", width="216px"))],
                layout=w.Layout(margin="8px 0 0 0", **WRAP),
            ),
            self.grid,
            self.run_view,
        ]

    def _shared_controls(self) -> dict[str, w.Widget]:
        own = {"method": self.method, "opacity": self.opacity}
        return own | self.method_controls.shown(self.method.value)

    def _shown_elsewhere(self) -> list[w.Widget]:
        return [self.original, self.predictions]

    def _hidden_widgets(self) -> list[w.Widget]:
        return self.method_controls.sliders

    def _name_of(self, target: int) -> str:
        """What names a class in the box of the target: its label, or its number where others have the same label."""
        labels = self.net.labels
        label = labels[target] if target < len(labels) else ""
        return label if labels.count(label) == 1 else str(target)

    # what a person does

    def _restart(self) -> None:
        self.found.clear()
        self.failed.clear()
        self._begin()

    def _class_chosen(self, number: int | None) -> None:
        """A bar that is pressed: its class is explained, and no longer a unit."""
        self.selection.set(target=number, unit=None, position=None)

    def _target_chosen(self, change: dict) -> None:
        number = self._explained_class
        self.selection.set(target=number)
        if self._begun is not None and self._begun[0] is self.net:  # else the network has changed, and all begins anew
            self._restart()

    def _method_chosen(self, change: dict) -> None:
        self.grid.selected = self.methods.index(change["new"])
        self.method_controls.show(change["new"])
        if change["new"] in self.found:
            self._draw()
        else:
            self._begin()

    def _setting_moved(self, method: str) -> None:
        self.found.pop(method, None)
        self.failed.pop(method, None)
        self._begin()

    def _unit_chosen(self, change: dict) -> None:
        if self._maps is not None and change["new"] != self._shown_unit:
            self.selection.set(unit=change["new"], position=None)

    def _position_chosen(self, position: tuple[int, ...] | None) -> None:
        self.selection.set(unit=None if position is None else self._shown_unit, position=position)

    def _image_picked(self, row: int, column: int) -> None:
        """A click on the image chooses the position that sees it."""
        if self.layer.has_map and self._maps is not None:
            self._position_chosen(nearest_position(self.layer, row % self.net.size[0], column % self.net.size[1]))

    @property
    def _shown_unit(self) -> int:
        unit = self.selection.value.unit
        if unit is not None:
            return unit
        return 0 if self._maps is None else int(self._maps.max((1, 2)).argmax())

    # the work

    def _looked_at(self) -> tuple:
        s = self.selection.value
        return s.net, id(s.image), s.layer, s.unit, s.position

    @property
    def _explained_class(self) -> int | None:
        """The number of the class in the box; None for the predicted one, or for what names no class."""
        typed = self.target.value.strip()
        try:
            return resolve_unit(self.net, self.net.scores, int(typed) if typed.isdigit() else typed) if typed else None
        except ExploreError:
            return None

    def _explained(self) -> dict[str, Any]:
        """What is explained, as `attribute` takes it."""
        s = self.selection.value
        if s.unit is not None:
            return {"layer": s.layer, "unit": s.unit, "position": s.position}
        typed = self.target.value.strip()
        if not typed:
            return {}
        return {"target": int(typed) if typed.isdigit() and typed not in self.net.labels else typed}

    def _selected(self, old: Selection, new: Selection) -> None:
        if new.net is old.net and new.target != self._explained_class:
            self.target.value = "" if new.target is None else self._name_of(new.target)  # which begins anew
        if self._begun == self._looked_at():
            return
        if self._begun is not None and self._begun[0] is not new.net:
            self.target.options, self.target.value = self.net.labels, ""
            self.method_controls.reset(min(self.net.size))
            self.method_controls.show(self.method.value)
        self._restart()

    def _stream(self, looked_at: tuple) -> tuple[Iterator, int]:
        net, image, explained = self.net, self.selection.value.image, self._explained()
        layer = self.layer
        done = {*self.found, *self.failed} - self._unfinished
        left = [m for m in [self.method.value, *self.methods] if m not in done]
        order = list(dict.fromkeys(left))
        options: dict[str, dict[str, Any] | ExploreError] = {}
        for method in order:
            try:
                options[method] = self._options(method, layer, explained)
            except ExploreError as error:  # it was registered when the panel was made, and is no longer
                options[method] = error

        def steps() -> Iterator[tuple[str, Any, float]]:
            yield "maps", activation_maps(net, image, layer.name) if layer.has_map else None, 1.0
            yield "predictions", predicted(net, image), 1.0
            approximate: dict[str, Iterator[tuple[Attribution, float]]] = {}  # refined when all others are there
            for method in order:
                given = options[method]
                if isinstance(given, ExploreError):
                    yield method, given, 1.0
                    continue
                try:
                    stream = attribute_stream(net, image, method=method, **explained, **given)
                    for found, share in stream:
                        yield method, found, share
                        if share < 1 and found.accuracy.startswith("approximate"):
                            approximate[method] = stream
                            break
                except ExploreError as error:
                    yield method, error, 1.0
            for method, stream in approximate.items():
                try:
                    for found, share in stream:
                        yield method, found, share
                except ExploreError as error:
                    yield method, error, 1.0

        return steps(), 10_000

    def _options(self, method: str, layer: Layer, explained: dict[str, Any]) -> dict[str, Any]:
        moved: dict[str, Any] = {**self.method_controls.values(method)}
        takes_layer = any(option.name == "at" for option in find_method(method).options)
        if takes_layer and "layer" not in explained and layer.has_map and layer != self.net.scores:
            moved["at"] = layer.name
        return moved

    def _show_result(self, result: tuple) -> None:
        what, found, share = result
        if what == "maps":
            self._show_maps(found)
            return
        if what == "predictions":
            self.predictions.show(found, f"of its {self.net.scores.channels:,} classes it predicts")
            return
        place = self.methods.index(what)
        if isinstance(found, ExploreError):
            self.failed[what] = str(found)
            self.grid.say(place, "does not fit" if isinstance(found, LayerError) else "no map", str(found))
        else:
            self.found[what] = found
            (self._unfinished.add if share < 1 else self._unfinished.discard)(what)
            explained = found.target if self.selection.value.unit is None else None
            self.predictions.mark(explained)
            if share == 1 or found.accuracy.startswith("approximate"):
                self.grid.put(place, found.picture)
        if what == self.method.value:
            self._draw()
        if self.method.value not in self.failed:
            done = sum(m in self.found or m in self.failed for m in self.methods)
            part = f", {share:.0%} of {'this one' if what == self.method.value else what}" if share < 1 else ""
            self.run_view.set_status("running", f"{done} of {len(self.methods)} methods{part}")

    def _show_maps(self, maps: ActivationMaps | None) -> None:
        s, net, layer = self.selection.value, self.net, self.layer
        self._maps = None if maps is None else maps.maps
        for view in (self.original, self.overlay):
            if (view.height, view.width) != net.size:
                view.resize(net.size)
            view.box = []
        self.original.draw(net.picture(net.pixels_of(s.image)))
        self.unit.layout.display = "none" if maps is None else ""
        if self._maps is None:
            self.map.widget.layout.display = "none"
            return
        shown = self._shown_unit
        self.unit.max = layer.channels - 1
        if self.unit.value != shown:
            self.unit.value = shown
        values = self._maps[shown]
        position = s.position
        if s.unit is not None and position is None:
            position = divmod(int(values.argmax()), values.shape[1])
        picture = drawing.heat(values, signed=bool((values < 0).any()))
        self.map.show(layer, picture, position, f"unit {shown} of {layer.name}; click a position to explain it")
        if position is not None:
            self.original.box = self.overlay.box = receptive_box(layer, position)

    def _draw(self) -> None:
        method = self.method.value
        a, name = self.found.get(method), method.replace("_", " ")
        if a is None:
            if method in self.failed:
                self.overlay.caption, self.bar.value = f"no map by {name}: {self.failed[method]}", ""
                self.overlay.draw(self.net.picture(self.net.pixels_of(self.selection.value.image)))
                self.run_view.set_status("failed", self.failed[method])
            return
        picture = a.overlay(self.opacity.value)
        self.overlay.draw(picture)
        self.overlay.caption = f"{name} of {a.about}, score {a.score:.3g}" + (f"; {a.in_short}" if a.in_short else "")
        width = self.overlay.width * whole_scale(picture.shape[:2])
        self.bar.value = colour_bar(*drawing.limits(a.map, a.signed), a.signed, width)

    def _finished(self) -> str:
        if self.method.value in self.failed:
            return self.failed[self.method.value]
        return f"{len(self.found)} methods; click one, or a position on the map or the image to explain the unit there"

    # what leaves the panel

    @property
    def attribution(self) -> Attribution:
        """The attribution on the screen. Raises SettingError if it is not computed yet, or does not fit."""
        method = self.method.value
        if method not in self.found:
            raise SettingError(self.failed.get(method, f"{method} is not computed yet; wait a moment."))
        return self.found[method]

    @property
    def picture(self) -> np.ndarray:
        """The image, and the attribution over it, side by side, (H, W', 3) uint8."""
        a = self.attribution
        return side_by_side([a.image, a.overlay(self.opacity.value)])

    def to_python(self) -> str:
        """The line of Python that makes the attribution again. Raises SettingError if it is not computed yet."""
        python, image = self.attribution.to_python(), image_python(self.selection.value)
        if f", {image}, " not in python:
            python = python.replace(", image", f", {image}", 1)
        opacity = round(self.opacity.value, 4)
        return python if opacity == OPACITY else f"{python}  # on the screen: .overlay({opacity})"
