"""DecodingPanel: every unit of a layer as a filter in the space of the image."""

from __future__ import annotations

import ipywidgets as w
import numpy as np

from ...decoding import decode
from ...decoding.unpooling import METHODS, check
from ...errors import SettingError
from ...network import Network
from ...results import png
from ...zoo import load
from ..live.notebook import cell_key, show_with_still
from ..live.selection import Selection
from ..views.frame_view import side_by_side
from ..views.run_view import RunView
from ..views.unit_grid import UnitGrid
from .filter_detail import Chosen, FilterDetail
from .filter_gallery import ORDERS, FilterGallery
from .images import ImageChoices
from .selectors import Selectors

_SHOWN = {"whole": "", "strong": "both", "strong +": "positive", "strong −": "negative"}
_DEFAULT = "lenet-smooth"  # the paper's, with filters that decode well


class DecodingPanel:
    """A gallery of a layer's decoded filters; the chosen one with what it is made of and what it responds to.

    net: a Network, a name or a path for `cx.load` (default: lenet-smooth). image: one, a list or a dict by name, as
    `cx.explore` takes them. layer: default the second with filters. unit: default the one that responds most. unpool:
    "nearest", "bilinear" or "bicubic". selection: share what is looked at with other panels.
    Raises LayerNotFound, ImageError, SettingError, NetworkError, WeightsError.
    """

    def __init__(
        self,
        net=None,
        image=None,
        layer: str | None = None,
        unit: int | None = None,
        *,
        unpool: str = "bilinear",
        selection: Selection | None = None,
    ):
        if selection is not None:
            net, layer = net or selection.net, layer or selection.layer
        net = net if isinstance(net, Network) else load(net or _DEFAULT)
        where = net.layers[layer] if layer else net.layers[_second(net)]
        if unit is not None and not (isinstance(unit, int) and 0 <= unit < where.channels):
            raise SettingError(f"unit is {unit!r}; expected a channel of {where.name}, 0 to {where.channels - 1}.")
        self.image_choices = ImageChoices(image, net)
        picture, code = self.image_choices[self.image_choices.first]
        self.selection = selection or Selection()
        choices = {"net": net, "layer": where.name, "unit": unit}
        self.selection.set(image=picture, image_python=code, **choices)
        self.unpool = check(unpool)
        self._above: list[tuple[str, int]] = []  # where a walk down came from
        self._still = None
        self._build(cell_key())
        self.selection.observe(self._selected, ["net", "image", "layer", "unit"])
        self._show()

    def _build(self, key: str | None) -> None:
        self.status = RunView(quiet=True)
        self.selectors = Selectors(
            self.selection, self.image_choices, self.status, "the layer whose filters are decoded"
        )
        self.selectors.image.tooltip = "the image whose responses are compared"
        self.grid = UnitGrid()
        self.gallery = FilterGallery(self.grid, key, self.status.set_status)
        self.runner = self.gallery.runner
        self.gallery.on_ready = self._first_unit
        self.detail = FilterDetail(
            f"{key} detail" if key else None, self.gallery.drawn, self.status.set_status, self._walk
        )
        self.grid.on_select(self._unit_chosen)

        def chooser(options, value, name: str, tip: str, width: str) -> w.Dropdown:
            layout = w.Layout(width=width)
            style = {"description_width": "initial"}
            return w.Dropdown(options=options, value=value, description=name, tooltip=tip, layout=layout, style=style)

        tip = "how a map is carried up through a pooling"
        self.unpool_box = chooser(list(METHODS), self.unpool, "unpooling", tip, "176px")
        self.part_box = chooser(list(_SHOWN), "whole", "show", "all of a filter, or only where it is strong", "130px")
        self.order_box = chooser(list(ORDERS), "by response", "order", "; ".join(ORDERS.values()), "170px")
        self.share_box = w.FloatSlider(
            0.3, min=0.05, max=0.95, step=0.05, description="threshold", readout_format=".0%",
            tooltip="strong: at least this part of the filter's largest magnitude",
            layout=w.Layout(width="290px", visibility="hidden"), style={"description_width": "initial"},
        )  # fmt: skip
        self.unpool_box.observe(self._unpool_chosen, "value")
        for box in (self.part_box, self.share_box):
            box.observe(self._look_changed, "value")
        self.order_box.observe(self._order_chosen, "value")
        self.detail.back.on_click(lambda _: self._walk_back())
        self.python_button = self._button("Python", "code", "copy the Python that remakes this filter", self._copy)
        self.save_button = self._button("save", "download", "save the filter as PNG, with its Python", self._save)
        self.python_box = w.Textarea(layout=w.Layout(width="98%", height="58px", display="none"))
        wrap = w.Layout(flex_flow="row wrap", align_items="center")
        space = w.Box(layout=w.Layout(flex="1 1 0"))
        self.widget = w.VBox(
            [
                w.HBox([*self.selectors.row, space, self.python_button, self.save_button], layout=wrap),
                self.python_box,
                w.HBox([self.unpool_box, self.order_box, self.part_box, self.share_box], layout=wrap),
                self.grid,
                self.detail.widget,
                self.status,
            ],
            layout=w.Layout(max_width="900px"),
        )
        self.widget.add_class("cx-panel")

    def _button(self, name: str, icon: str, tip: str, act) -> w.Button:
        button = w.Button(description=name, icon=icon, tooltip=tip, layout=w.Layout(width="72px"))
        button.on_click(lambda _: act())
        return button

    def _ipython_display_(self) -> None:
        self._still = show_with_still(self.widget, self.poster())

    # what a person does

    def wait(self, timeout: float | None = None) -> bool:
        """Blocks until the layer's filters are decoded and the chosen one is shown. Says whether they are."""
        return self.runner.wait(timeout) and self.detail.runner.wait(timeout)

    def to_python(self) -> str:
        """The line of Python that remakes the chosen filter as it is shown."""
        s, part = self.selection, self.gallery.part
        text = f"cx.decode({s.net.to_python()}, {s.layer!r}, {s.unit}, unpool={self.unpool!r})"
        return f"{text}.threshold({self.gallery.share:g}, {part!r})" if part else text

    @property
    def picture(self) -> np.ndarray:
        """The chosen filter as it is shown, (h, w, 3) uint8."""
        s = self.selection
        if s.unit is None:
            raise SettingError("no filter is chosen yet; click one.")
        return self.gallery.drawn(self._decoded(s.unit))[0]

    def poster(self) -> bytes:
        """A PNG of the first filters in their order, for where no kernel runs."""
        units = self.grid.order[:8] or list(range(min(8, self._layer.channels)))
        return png(side_by_side(list(self.gallery.drawn(self._decoded(units))), scale=2))

    def _decoded(self, units: int | list[int]) -> np.ndarray:
        s = self.selection
        return decode(s.net, s.layer, units, unpool=self.unpool, progress=False).filters

    def _copy(self) -> None:
        with self.status.show_errors():
            text = self.to_python()
            self.python_box.value, self.python_box.layout.display = text, ""
            self.status.copy(text)

    def _save(self) -> None:
        with self.status.show_errors():
            s = self.selection
            name = f"{s.net.name}-{s.layer.replace('/', '-')}-{s.unit}.png"
            self.status.download(name, png(self.picture, self.to_python(), scale=4))

    # what follows from a choice

    @property
    def _layer(self):
        return self.selection.net.layers[self.selection.layer]

    def _show(self) -> None:
        """The gallery of the layer, and the chosen unit if there is one."""
        s = self.selection
        self._shown = (s.net, s.layer, self.unpool)
        self.gallery.show(s.net, self._layer, self.unpool)
        self._look()

    def _look(self) -> None:
        s = self.selection
        if s.unit is not None:
            self.detail.look(Chosen(s.net, s.layer, s.unit, self.unpool, s.image))
        self.detail.back.layout.visibility = "visible" if self._above else "hidden"

    def _first_unit(self, order: list[int]) -> None:
        s = self.selection
        if s.unit is None and order:
            s.unit = order[0]
        elif s.unit is not None:
            self.grid.selected = s.unit

    def _selected(self, change) -> None:
        s = self.selection
        with self.status.show_errors():
            if s.layer not in s.net.layers:
                return  # the other half of a change follows
            if self._shown != (s.net, s.layer, self.unpool):
                if change.name == "net":
                    self._above.clear()
                self._show()
            elif change.name in ("unit", "image"):
                if s.unit is not None and self.grid.count > s.unit:
                    self.grid.selected = s.unit
                self._look()

    def _unit_chosen(self, unit: int) -> None:
        self.selection.unit = unit

    def _walk(self, layer: str, unit: int) -> None:
        s = self.selection
        self._above.append((s.layer, s.unit))
        s.set(layer=layer, unit=unit)

    def _walk_back(self) -> None:
        if self._above:
            layer, unit = self._above.pop()
            self.selection.set(layer=layer, unit=unit)

    def _unpool_chosen(self, change) -> None:
        self.unpool = change.new
        self._show()

    def _order_chosen(self, change) -> None:
        self.gallery.order = change.new
        with self.status.show_errors():
            self.gallery.reorder()

    def _look_changed(self, change) -> None:
        self.gallery.part, self.gallery.share = _SHOWN[self.part_box.value], round(self.share_box.value, 2)
        self.share_box.layout.visibility = "visible" if self.gallery.part else "hidden"
        self.gallery.redraw()
        self.detail.redraw()


def _second(net: Network) -> str:
    """The second layer with filters of its own, whose decoded ones are the first that nobody can guess."""
    found = [name for name, layer in net.layers.items() if layer.kind.lower().endswith(("conv2d", "linear"))]
    return (found or list(net.layers))[min(1, max(0, len(found) - 1))]
