"""AccentuationControls: a maximisation that begins with an image and keeps a layer near it (feature accentuation)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ipywidgets as w

from ...network import Layer, Network
from ...preimage import Settings
from ...preimage.feature_distance import CLOSENESS
from .images import ImageChoices
from .settings_controls import slider_of

SELECTED = "the image"


class AccentuationControls:
    """A switch, the image that a run begins with, the layer that stays near it, and how near.

    Parameters
    ----------
    settings : Settings
        What the slider writes into.

    Attributes
    ----------
    on_switch : callable
        Called when it was switched, or another image or layer was chosen.
    on_change : callable
        Called when the slider was moved.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.on_switch: Callable[[], None] = lambda: None
        self.on_change: Callable[[], None] = lambda: None
        self._fitted: tuple[Network, str, Any] | None = None
        self._choices: ImageChoices | None = None
        self._image: tuple[Any, str] | None = None  # the one that other panels look at, and its Python
        tip = "accentuate what the unit responds to in an image: begin with it, and stay near it in a layer"
        self.switch = w.ToggleButton(False, description="from an image", icon="image", tooltip=tip)
        self.switch.layout.width = "148px"
        self.source = w.Dropdown(layout=w.Layout(width="148px"))
        self.source.tooltip = "the image that the run begins with"
        self.kept = w.Dropdown(description="keep", layout=w.Layout(width="304px", max_width="100%"))
        self.kept.tooltip = "the layer in which the picture stays near the image"
        self.slider = slider_of(CLOSENESS, settings.closeness)
        for control in (self.kept, self.slider):
            control.style.description_width = "76px"
        self.row = w.VBox([w.HBox([self.switch, self.source]), self.kept, self.slider])
        self._show()
        self.switch.observe(self._switched, "value")
        for box in (self.source, self.kept):
            box.observe(self._chosen, "value")
        self.slider.observe(self._moved, "value")

    @property
    def on(self) -> bool:
        """Whether runs begin with an image."""
        return bool(self.switch.value) and not self.switch.disabled

    def fit(self, net: Network, layer: Layer, image: Any, python: str) -> None:
        """Offer the layers before a unit's layer, and the images that fit the network.

        Parameters
        ----------
        net : Network
        layer : Layer
            The unit's layer.
        image : object
            The image that other panels look at, offered first; None for none.
        python : str
            Its Python.
        """
        if self._fitted is not None and self._fitted[:2] == (net, layer.name) and self._fitted[2] is image:
            return
        if self._fitted is None or self._fitted[0] is not net:
            grey_or_colours = net.pixels.order != "channels"
            self._choices = ImageChoices(None, net) if grey_or_colours else None
        self._fitted, self._image = (net, layer.name, image), None if image is None else (image, python)
        before = [name for name, one in net.layers.items() if "/" not in name and one.has_map]
        before = [name for name in before if net.layers.depth(net.layers[name]) < net.layers.depth(layer)]
        names = ([] if image is None else [SELECTED]) + ([] if self._choices is None else self._choices.names)
        for box in (self.source, self.kept):
            box.unobserve(self._chosen, "value")
        for box, options, usual in ((self.source, names, 0), (self.kept, before, len(before) // 2)):
            now = box.value
            box.options = options
            if options:
                box.value = now if now in options else options[usual]
        for box in (self.source, self.kept):
            box.observe(self._chosen, "value")
        self.switch.disabled = not (before and names)
        self._show()

    @property
    def options(self) -> dict[str, Any]:
        """What a run is given."""
        return {"init": self._chosen_image[0], "keep": self.kept.value} if self.on else {}

    @property
    def python(self) -> str:
        """The Python of the image."""
        return self._chosen_image[1]

    @property
    def _chosen_image(self) -> tuple[Any, str]:
        if self.source.value == SELECTED and self._image is not None:
            return self._image
        assert self._choices is not None  # else there is no such option
        return self._choices[self.source.value]

    def _show(self) -> None:
        self.source.layout.visibility = "visible" if self.on else "hidden"
        for widget in (self.kept, self.slider):
            widget.layout.display = "" if self.on else "none"

    def _switched(self, change: dict) -> None:
        self._show()
        self.on_switch()

    def _chosen(self, change: dict) -> None:
        if self.on and change["new"] is not None:
            self.on_switch()

    def _moved(self, change: dict) -> None:
        value, now = float(f"{change['new']:.2g}"), self.settings.closeness
        if now > 0 and abs(math.log10(value / now)) < 0.008:
            return  # the slider only went to its nearest tick
        self.settings.update(closeness=value)
        self.on_change()
