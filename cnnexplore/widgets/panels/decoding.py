"""DecodingPanel: every unit of a layer as a filter in the space of the image."""

from __future__ import annotations

from typing import Any

import ipywidgets as w
import numpy as np

from ...arguments import checked, choice
from ...decoding import decode
from ...decoding.unpooling import METHODS
from ...errors import SettingError
from ...network import Layer, Network, resolve_unit
from ...results import png, whole_scale
from ..elements import dropdown
from ..live.selection import Selection, SharedSelection
from ..views.frame_view import side_by_side
from ..views.unit_grid import UnitGrid
from .base import NetworkLike, Panel
from .filter_detail import FilterChoice, FilterDetail
from .filter_gallery import ORDERS, FilterGallery

_POSTER = 600  # pixels that the static picture is wide, at least
_SIGNS = {"whole": "", "strong": "both", "strong +": "positive", "strong −": "negative"}


class DecodingPanel(Panel):
    """A gallery of a layer's decoded filters; of the chosen one, its parts and its responses.

    Parameters
    ----------
    net : Network or str or path, optional
        A network, or what `load` takes (default: "lenet-smooth", the paper's).
    image : object, optional
        An image, a list, or a dict by name (default: the bundled images).
    layer : str, optional
        Default: the second with filters.
    unit : int, optional
        Default: the one that responds most.
    unpool : str
        "nearest", "bilinear" or "bicubic".
    selection : SharedSelection, optional
        Shares what is looked at with other panels.

    Raises
    ------
    LayerNotFound, ImageError, SettingError, NetworkError, WeightsError

    Examples
    --------
    >>> import cnnexplore as cx
    >>> panel = cx.DecodingPanel("lenet", layer="conv1", unit=3)
    >>> panel.wait(60)
    True
    >>> panel.to_python()
    "cx.decode(cx.load('lenet'), 'conv1', 3, unpool='bilinear')"
    >>> panel.close()
    """

    layer_help = "the layer of the decoded filters"
    default_network = "lenet-smooth"  # the paper's, with filters that decode well
    save_scale = 4

    @checked(unpool=choice(METHODS))
    def __init__(
        self,
        net: NetworkLike = None,
        image: Any = None,
        layer: str | None = None,
        unit: int | None = None,
        *,
        unpool: str = "bilinear",
        selection: SharedSelection | None = None,
    ):
        self.unpool, self._given_unit = unpool, unit
        self._above: list[tuple[str, int]] = []  # the filters that the shown one is a part of
        super().__init__(net, image, layer, selection)
        self._show()

    def _first_layer(self, net: Network) -> Layer:
        """The second layer with filters of its own: the first whose filters cannot be read off their weights."""
        found = [name for name, layer in net.layers.items() if layer.kind.lower().endswith(("conv2d", "linear"))]
        return net.layers[(found or list(net.layers))[min(1, max(0, len(found) - 1))]]

    def _prepare(self) -> None:
        if self._given_unit is not None:
            self.selection.set(unit=resolve_unit(self.net, self.layer, self._given_unit))

    def _build(self) -> list[w.Widget]:
        self.selectors.image.tooltip = "the image whose responses are compared"
        self.grid = UnitGrid()
        self.gallery = FilterGallery(self.grid, self.runner, self.run_view.set_status)
        self.gallery.on_ready = self._choose_first
        detail = self._add_runner("detail")
        self.detail = FilterDetail(detail, self.gallery.drawn, self.run_view.set_status, self._walk)
        self.detail.back.on_click(lambda _: self._walk_back())
        self.grid.on_select(lambda unit: self.selection.set(unit=unit))
        tip = "how a map is carried up through a pooling"
        self.unpool_box = dropdown(list(METHODS), "unpooling", tip, 176, self.unpool)
        self.part_box = dropdown(list(_SIGNS), "show", "all of a filter, or only where it is strong", 130)
        self.order_box = dropdown(list(ORDERS), "order", "; ".join(ORDERS.values()), 170)
        self.share_box = w.FloatSlider(
            0.3, min=0.05, max=0.95, step=0.05, description="threshold", readout_format=".0%",
            tooltip="strong: at least this part of the filter's largest magnitude",
            layout=w.Layout(width="290px", visibility="hidden"), style={"description_width": "initial"},
        )  # fmt: skip
        self.unpool_box.observe(self._unpool_chosen, "value")
        self.order_box.observe(self._order_chosen, "value")
        for box in (self.part_box, self.share_box):
            box.observe(self._threshold_moved, "value")
        row = [self.unpool_box, self.order_box, self.part_box, self.share_box]
        layout = w.Layout(flex_flow="row wrap", align_items="center")
        return [w.HBox(row, layout=layout), self.grid, self.detail.widget, self.run_view]

    def _shared_controls(self) -> dict[str, w.Widget]:
        return {
            "unpooling": self.unpool_box, "order": self.order_box, "show": self.part_box, "threshold": self.share_box,
        }  # fmt: skip

    # its picture

    def to_python(self) -> str:
        """The line of Python that makes the chosen filter again, as it is shown."""
        python = f"cx.decode({self.net.to_python()}, {self.layer.name!r}, {self.selection.value.unit}"
        python += f", unpool={self.unpool!r})"
        part = self.gallery.part
        return f"{python}.threshold({self.gallery.share:g}, {part!r})" if part else python

    @property
    def picture(self) -> np.ndarray:
        """The chosen filter as it is shown, (h, w, 3) uint8. Raises SettingError if none is chosen yet."""
        unit = self.selection.value.unit
        if unit is None:
            raise SettingError("no filter is chosen yet; click one.")
        return self.gallery.drawn(self._decoded(unit))[0]

    def poster(self) -> bytes:
        """A PNG of the first filters in their order, for where no kernel runs."""
        units = self.grid.order[:8] or list(range(min(8, self.layer.channels)))
        picture = side_by_side(list(self.gallery.drawn(self._decoded(units))), scale=2)
        return png(picture, scale=whole_scale(picture.shape[:2], _POSTER))

    def _decoded(self, units: int | list[int]) -> np.ndarray:
        return decode(self.net, self.layer.name, units, unpool=self.unpool, progress=False).filters

    def _file_name(self) -> str:
        return f"{self.net.name}-{self.layer.name.replace('/', '-')}-{self.selection.value.unit}.png"

    # what follows from a choice

    def _show(self) -> None:
        """Show the filters of the layer, and the chosen one if there is one."""
        self._shown = (self.net, self.layer.name, self.unpool)
        self.gallery.show(self.net, self.layer, self.unpool)
        self._look()

    def _look(self) -> None:
        s = self.selection.value
        if s.unit is not None:
            self.detail.look(FilterChoice(self.net, s.layer, s.unit, self.unpool, s.image))
        self.detail.back.layout.visibility = "visible" if self._above else "hidden"

    def _choose_first(self, order: list[int]) -> None:
        self._update_poster()
        unit = self.selection.value.unit
        if unit is not None:
            self.grid.selected = unit
        elif order:
            self.selection.set(unit=order[0])

    def _selected(self, old: Selection, new: Selection) -> None:
        if new.net is not old.net:
            self._above.clear()
        if self._shown != (self.net, new.layer, self.unpool):
            self._show()
        elif {"unit", "image"} & new.differences(old):
            if new.unit is not None and self.grid.count > new.unit:
                self.grid.selected = new.unit
            self._look()

    def _walk(self, layer: str, unit: int) -> None:
        now = self.selection.value
        if now.unit is not None:
            self._above.append((now.layer, now.unit))
        self.selection.set(layer=layer, unit=unit)

    def _walk_back(self) -> None:
        if self._above:
            layer, unit = self._above.pop()
            self.selection.set(layer=layer, unit=unit)

    def _unpool_chosen(self, change: dict) -> None:
        self.unpool = change["new"]
        self._show()

    def _order_chosen(self, change: dict) -> None:
        self.gallery.order = change["new"]
        with self.run_view.show_errors():
            self.gallery.reorder()

    def _threshold_moved(self, change: dict) -> None:
        self.gallery.part, self.gallery.share = _SIGNS[self.part_box.value], round(self.share_box.value, 2)
        self.share_box.layout.visibility = "visible" if self.gallery.part else "hidden"
        self.gallery.redraw()
        self.detail.redraw()
