"""ImageView: the image that is looked at, with what a unit sees of it, and what the network predicts."""

from __future__ import annotations

import ipywidgets as w
import numpy as np
import torch

from ... import drawing
from ...network import Layer, Network, scores_if_any, upsample
from ...results import png, whole_scale
from ..elements import WRAP
from ..live.selection import Selection, SharedSelection
from ..views.class_bars import ClassBars
from ..views.frame_view import FrameView
from ..views.map_view import nearest_position, receptive_box
from .responses import Responses

_PLAIN, _UNIT = "nothing", "response of the unit"


class ImageView:
    """The image, a map over it, the receptive field of a position as a box, and the likeliest classes as bars.

    A click on the image chooses the position whose field is centred nearest; a click on a bar chooses the class.

    Parameters
    ----------
    selection : SharedSelection
    """

    def __init__(self, selection: SharedSelection):
        self.selection = selection
        net = self._net
        self.view = FrameView(net.size, caption="the image")
        self.view.on_pick = self._picked
        tip = "what is drawn over the image"
        self.overlay = w.Dropdown(options=[_PLAIN, _UNIT], description="over it", tooltip=tip)
        self.overlay.layout.width, self.overlay.style.description_width = "230px", "48px"
        self.opacity = w.FloatSlider(
            0.7, min=0, max=1, step=0.05, description="opacity", tooltip="of the map over the image", readout=False,
            layout=w.Layout(width="230px", display="none"), style={"description_width": "48px"},
        )  # fmt: skip
        self.classes = ClassBars()
        self.classes.on_choose = self._class_chosen
        self.overlay.observe(lambda _: self._draw(), "value")
        self.opacity.observe(lambda _: self._draw(), "value")
        beside = w.VBox(
            [self.overlay, self.opacity, self.classes], layout=w.Layout(flex="1 1 206px", max_width="300px")
        )
        self.widget = w.HBox([self.view, beside], layout=w.Layout(grid_gap="4px 14px", **WRAP))
        self.widget.add_class("cx-image")
        self._picture: np.ndarray | None = None
        self._responses: Responses | None = None
        self.show(selection.value)

    @property
    def _net(self) -> Network:
        assert self.selection.value.net is not None
        return self.selection.value.net

    @property
    def _layer(self) -> Layer:
        return self._net.layers[self.selection.value.layer]

    def show(self, selection: Selection) -> None:
        """Show the selected image at once; its responses follow.

        Parameters
        ----------
        selection : Selection
        """
        net = self._net
        if (self.view.height, self.view.width) != net.size:
            self.view.resize(net.size, whole_scale(net.size))
        self._picture = net.picture(net.pixels_of(selection.image))
        self._responses = None
        self._draw()

    def show_responses(self, found: Responses) -> None:
        """Show the responses of the selected layer to the image.

        Parameters
        ----------
        found : Responses
        """
        self._responses = found
        if found.predictions is not None:
            self.classes.layout.display = "" if found.predictions else "none"
            known = scores_if_any(self._net)
            count = "" if known is None else f"of its {known.channels:,} classes "
            self.classes.show(found.predictions, f"{count}it predicts")
        self._draw()

    def follow(self) -> None:
        """Show another position, unit or class of the same image."""
        chosen = self.selection.value.target
        self.classes.mark(chosen)
        self._draw()

    def _draw(self) -> None:
        if self._picture is None:
            return
        s, found = self.selection.value, self._responses
        over = self.overlay.value == _UNIT
        self.opacity.layout.display = "" if over else "none"
        picture, caption = self._picture, "the image; a click chooses a position"
        if over and (found is None or found.maps is None or s.unit is None or s.unit >= len(found.maps)):
            caption = "choose a unit of a layer with a map to see where it responds"
        elif over and found is not None and found.maps is not None and s.unit is not None:
            values = found.maps[s.unit]
            large = upsample(torch.from_numpy(values)[None, None], self._layer, self._net.size)[0, 0].numpy()
            picture = drawing.overlay(picture, large, self.opacity.value, bool((values < 0).any()))
            caption = f"where unit {s.unit} of {s.layer} responds, up to {values.max():.3g}"
        box: list[float] = []
        if s.position is not None and self._layer.has_map:
            box = receptive_box(self._layer, s.position)
            caption += f"; the box is what position ({s.position[0]}, {s.position[1]}) of {s.layer} sees"
        if self.view.box != box:
            self.view.box = box
        self.view.caption = caption
        self.view.draw(picture)
        self.view.poster = png(picture)

    def _picked(self, row: int, column: int) -> None:
        if self._layer.has_map:
            self.selection.set(position=nearest_position(self._layer, row, column))

    def _class_chosen(self, number: int | None) -> None:
        self.selection.set(target=number, unit=None, position=None)
